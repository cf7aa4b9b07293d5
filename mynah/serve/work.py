"""What each kind of job does: what the command line does, from the job's folder into the job's folder."""

from __future__ import annotations

import importlib
import logging
import shutil
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from mynah.core.errors import BadOption, MynahError, UnknownSystem
from mynah.serve import compare, preview
from mynah.serve.people import somebody
from mynah.serve.sound import accept

PREVIEW = "preview.wav"
MELODY = "melody.csv"  # of a cover's source, corrected by hand
_log = logging.getLogger("mynah.serve")
KINDS = {
    "convert": "conversion",
    "separate": "separation",
    "speak": "speech",
    "transcribe": "transcription",
    "translate": "translation",
    "vocode": "vocoding",
}
"""What a job is called that does a verb."""


@dataclass(frozen=True)
class Desk:
    """Where a job is worked on.

    Attributes:
        folder: Of the job: `source-0`, ... are what was uploaded, `out` holds the results.
        request: What was asked for.
        device: Where nets run.
        tell: Told a step and its fraction; raises when the job is to stop.
        publish: Called when there is a preview to be heard.
    """

    folder: Path
    request: dict[str, Any]
    device: str
    tell: Callable[[str, float], None]
    publish: Callable[[], None]

    @property
    def source(self) -> Path:
        """What was uploaded, if it is one recording."""
        return self.folder / "source-0"

    def out(self, name: str) -> Path:
        """Where a result goes."""
        return self.folder / "out" / f"{name}.{self.request['format']}"

    def step(self, name: str) -> Callable[[float], None]:
        """Whom to tell how far one step is."""
        self.tell(name, 0.0)
        return lambda fraction: self.tell(name, fraction)


def done(kind: str, desk: Desk) -> dict[str, Any]:
    """Do a job; returns what came of it, in words of JSON.

    Raises:
        MynahError: Something that whoever asked can mend.
    """
    shutil.rmtree(desk.folder / "out", ignore_errors=True)  # of a worker that died
    (desk.folder / "out").mkdir()
    remarks: list[str] = []

    def heard(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
        if category.__module__.partition(".")[0] == "mynah":
            remarks.append(str(message).replace(f"{desk.folder}/source-", "upload "))

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = heard
        for number in range(desk.request.get("sources", 0)):
            accept(desk.folder / f"source-{number}", desk.request["minutes"], whole=True)
        result = _KINDS[kind](desk)
    files = sorted((desk.folder / "out").iterdir(), key=lambda file: result.get("order", []).index(file.stem))
    result["files"] = [{"name": file.stem, "file": file.name, "bytes": file.stat().st_size} for file in files]
    result["remarks"] = [*remarks, *result.get("remarks", [])]
    return result


def those_who(verb: str) -> list[str]:
    """Who does a verb: the systems of its folder; of those that write down what is said, some translate as well."""
    from mynah.core.registry import find, full, names

    able = [name for name in names() if name.startswith(f"{verb}/")]
    if verb != "translate":
        return able
    from mynah.transcribe import DEFAULT

    first = full(DEFAULT, "transcribe")
    also = sorted((name for name in names() if name.startswith("transcribe/")), key=lambda name: name != first)
    return able + [name for name in also if verb in find(name).card.verbs]


def default(verb: str) -> str:
    """Who does a verb when nobody is named, as the registry names it.

    Raises:
        UnknownSystem: Nobody does.
    """
    from mynah.core.registry import full

    able = those_who(verb)
    if not able:
        raise UnknownSystem(f"no system can {verb} yet")
    if importlib.util.find_spec(f"mynah.{verb}") is None:
        return able[0]
    name = full(getattr(importlib.import_module(f"mynah.{verb}"), "DEFAULT", able[0]), verb)
    return name if name in able else able[0]


def prepare(device: str) -> None:
    """Load who covers a song when nobody is named, so that the first song does not wait for it."""
    from mynah.convert import loaded as converter
    from mynah.separate import loaded as separator

    for verb, load in (("separate", separator), ("convert", converter)):
        try:
            load(default(verb), device)
        except MynahError as error:  # whoever asks for it is told
            _log.warning("%s: %s", default(verb), error)


def _conversion(desk: Desk) -> dict[str, Any]:
    from mynah.audio.files import write
    from mynah.convert import convert_file, loaded

    request = desk.request
    progress = desk.step("load")
    engine, voice, options = loaded(request["system"], desk.device), somebody(request["voice"]), _options(request)
    progress(1.0)
    if _worth(desk) and (piece := preview.excerpt(desk.source, preview.alone)):
        cut = write(piece.song, desk.folder / "excerpt.wav", bits=32)
        convert_file(cut, voice, desk.folder / PREVIEW, engine, options, progress=desk.step("preview"))
        cut.unlink()
        desk.publish()
    seconds, _ = convert_file(desk.source, voice, desk.out("converted"), engine, options, progress=desk.step("convert"))
    return {"order": ["converted"], "seconds": seconds}


def _separation(desk: Desk) -> dict[str, Any]:
    from mynah.audio.files import probe
    from mynah.separate import Two, loaded, separate_file

    request = desk.request
    progress = desk.step("load")
    engine = loaded(request["system"], desk.device)
    if request["two"]:
        engine = Two(engine)
    progress(1.0)
    wanted = request["stems"] or list(engine.stems)
    if wrong := [stem for stem in wanted if stem not in engine.stems]:
        raise BadOption(f"stems: there is no {wrong[0]!r}; choose among {', '.join(engine.stems)}")
    outs = {stem: desk.out(stem) for stem in wanted}
    separate_file(desk.source, outs, engine, _options(request), progress=desk.step("separate"))
    return {"order": wanted, "seconds": probe(outs[wanted[0]]).seconds}


def _cover(desk: Desk) -> dict[str, Any]:
    from mynah.core.registry import find
    from mynah.core.verbs import options_of
    from mynah.scenes.cover import cover
    from mynah.separate import loaded

    request = desk.request
    voice = somebody(request["voice"])
    settings = {
        "separator": request["separator"],
        "converter": request["converter"],
        "separate": request["separate"],
        "convert": request["convert"],
        "device": desk.device,
        **request["options"],
    }
    if _worth(desk):
        progress = desk.step("preview")
        separating = options_of(find(request["separator"]), "separate").of(**request["separate"])
        piece = preview.excerpt(desk.source, preview.apart(loaded(request["separator"], desk.device), separating))
        if piece:
            progress(0.5)
            work = desk.folder / "preview-steps"
            work.mkdir(exist_ok=True)
            stems = piece.write(work)
            cover(
                stems.pop("song"), voice, desk.folder / PREVIEW, work=work, replace=stems,
                progress=lambda step, fraction: progress(0.5), **settings,
            )  # fmt: skip
            shutil.rmtree(work)
            progress(1.0)
            desk.publish()
    out = desk.folder / "out"
    melody = desk.folder / MELODY
    result = cover(
        desk.source, voice, desk.out("cover"), progress=desk.tell, stems=out if request.get("stems") else None,
        replace={"melody": melody} if melody.exists() else None, **settings,
    )  # fmt: skip
    order = ["cover", *(result.stems if request.get("stems") else ())]
    if request.get("compare"):
        order += compare.as_loud(desk.source, desk.out("cover"), out, desk.step("compare"))
    return {
        "order": order,
        "semitones": result.semitones,
        "kept": [step.name for step in result.steps if step.kept],
        "remarks": list(result.remarks),
    }


def _enrolment(desk: Desk) -> dict[str, Any]:
    from mynah.core.types import Terms
    from mynah.voices import library

    request = desk.request
    clips = [desk.folder / f"source-{number}" for number in range(request["sources"])]
    library.enrol(
        clips, request["name"], terms=Terms(request["license"], request["attribution"]), replace=request["replace"],
        progress=desk.step("enrol"),
    )  # fmt: skip
    return {"voice": request["name"]}


def _adoption(desk: Desk) -> dict[str, Any]:
    from mynah.core.types import Terms
    from mynah.voices.adoption import adopt

    request = desk.request
    source = request.get("address", "")
    if not source:
        file = desk.source.with_name(f"voice{_suffix(desk.source)}")  # importers go by the suffix, we by the content
        shutil.copyfile(desk.source, file)
        source = str(file)
    adopt(
        source, request["name"], terms=Terms(request["license"], request["attribution"]), replace=request["replace"],
        origin=request["origin"], progress=desk.step("import"),
    )  # fmt: skip
    return {"voice": request["name"]}


def _suffix(file: Path) -> str:
    """What a file of a voice should be called, by what is in it."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        with file.open("rb") as opened:
            return ".safetensors" if opened.read(9)[8:] == b"{" else ".pth"
    if "voice.json" in names:
        return ".mynah"
    return ".pth" if any(name.endswith("data.pkl") for name in names) else ".zip"


def _speech(desk: Desk) -> dict[str, Any]:
    from mynah.audio.flow import Flow
    from mynah.scenes.speech import prepared, written

    request = desk.request
    progress = desk.step("load")
    speaker = prepared(
        somebody(request["voice"]), system=request["system"], weights=request["weights"], device=desk.device,
        **request["options"],
    )  # fmt: skip
    progress(1.0)
    said = speaker.utterances(request["text"], progress=desk.step("speak"))
    if not request.get("flowing"):
        return {"order": ["speech"], "seconds": written(said, desk.out("speech"))}
    seconds, first = 0.0, next(said)
    with desk.out("speech").open("wb") as file, Flow(file, request["format"], first.rate) as flow:
        for sentence in chain([first], said):
            flow.push(sentence)
            seconds += sentence.seconds
    return {"order": ["speech"], "seconds": seconds}


def _transcription(desk: Desk) -> dict[str, Any]:
    from mynah.audio.files import read
    from mynah.transcribe import loaded, written

    desk.tell("load", 0.0)
    engine = loaded(desk.request["system"], desk.device, desk.request["weights"])
    verb = desk.request["verb"]
    options = _options(desk.request)
    transcript = written(engine, read(desk.source), options, verb=verb, progress=desk.step(verb))
    return {"transcript": asdict(transcript)}


def _vocoding(desk: Desk) -> dict[str, Any]:
    from mynah.audio.files import read, write
    from mynah.vocode import loaded

    progress = desk.step("load")
    engine = loaded(desk.request["system"], desk.device, desk.request["weights"])
    progress(1.0)
    desk.tell("vocode", 0.0)
    audio = engine.vocode(read(desk.source), _options(desk.request))
    write(audio, desk.out("vocoded"))
    return {"order": ["vocoded"], "seconds": audio.seconds}


def _options(request: dict[str, Any]) -> Any:
    from mynah.core.registry import find
    from mynah.core.verbs import options_of

    return options_of(find(request["system"]), request["verb"]).of(**request["options"])


def _worth(desk: Desk) -> bool:
    from mynah.audio.files import probe

    return bool(desk.request["preview"]) and probe(desk.source).seconds >= preview.WORTH_SECONDS


_KINDS: dict[str, Callable[[Desk], dict[str, Any]]] = {
    "conversion": _conversion,
    "cover": _cover,
    "separation": _separation,
    "enrolment": _enrolment,
    "adoption": _adoption,
    "speech": _speech,
    "transcription": _transcription,
    "translation": _transcription,
    "vocoding": _vocoding,
}
