"""One cover from beginning to end: its steps run, its stems handed out, the result written, the shelf kept small."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from mynah.audio.disk import typed_errors
from mynah.audio.encoding import format_of
from mynah.audio.files import probe
from mynah.audio.files import write as write_audio
from mynah.catalog.weights import sha256
from mynah.core.atomic import replacing
from mynah.core.errors import BadOption
from mynah.core.types import Audio, Voice
from mynah.scenes.cover import shelf
from mynah.scenes.cover.mixdown import FAINT_LUFS
from mynah.scenes.cover.options import CoverOptions
from mynah.scenes.cover.result import Cover, Done
from mynah.scenes.cover.steps import SOUNDS, TABLES, Engines, plan, read_table, write
from mynah.scenes.cover.work import File, Progress, Run


def covered(
    song: Audio | Path | str,
    out: Path | str | None,
    options: CoverOptions,
    engines: Engines,
    replace: Mapping[str, Path | str],
    *,
    stems: Path | str | None,
    work: Path | str | None,
    bits: int | None,
    progress: Progress,
) -> Cover:
    """As `mynah.scenes.cover.cover`, which has asked the registry and the library already."""
    place, limit = shelf.shelf(work), shelf.limit_bytes()
    if out is not None:
        _refuse(Path(out), song, bits)
    given = _replaced(replace)
    steps, same = plan(options, engines, backing="backing" in given)
    try:
        with _file_of(song) as file:
            given["song"] = File(file, sha256(file))
            waiting = "waiting for another cover of this song"
            with shelf.claimed(place, given["song"].sha256, lambda: progress(waiting, 0.0)) as folder:
                run = Run(folder, steps, given, same, progress)
                path = run.file("master").path
                files = {name: each for name, each in {**given, **run.files}.items() if name != "song"}
                paths = {name: each.path for name, each in files.items()}
                if stems is not None:
                    paths = {name: _copied(each, Path(stems), name) for name, each in paths.items()}
                    path = paths["master"]
                if out is not None:
                    start = time.perf_counter()
                    progress("write", 0.0)
                    write(path, Path(out), file, note(engines.voice), bits, lambda part: progress("write", part))
                    run.done.append(Done("write", time.perf_counter() - start, kept=False))
                    path = Path(out)
                semitones, remarks = _told(files, options)
                result = Cover(path, paths, tuple(run.done), semitones, remarks)
                if out is None and stems is None:
                    _ = result.audio  # the shelf may drop the file, though not before others
        return result
    finally:
        shelf.bound(place, limit)


def note(voice: Voice) -> str:
    """What a listener to the finished song has to be told.

    Example:

        >>> note(Voice("ann", (200.0, 400.0)))
        "The vocal of this recording is synthetic: converted to the voice 'ann' by Mynah ..."
    """
    terms = "; ".join(filter(None, (voice.terms.attribution, voice.terms.license)))
    whose = f"{voice.name!r} ({terms})" if terms else repr(voice.name)
    return f"The vocal of this recording is synthetic: converted to the voice {whose} by Mynah {version('mynah')}"


def _refuse(out: Path, song: Audio | Path | str, bits: int | None) -> None:
    """What makes no sense is told before the work."""
    if str(out) == "-" or out.is_dir():
        raise BadOption(f"cannot write a cover to {out}: give the name of a file")
    format_of(out, 2, bits)
    if not isinstance(song, Audio) and out.exists() and Path(song).exists() and out.samefile(song):
        raise BadOption(f"{out} is the song itself: give another place")


def _replaced(replace: Mapping[str, Path | str]) -> dict[str, File]:
    """Files by hand, each of which can be read.

    Raises:
        BadOption: No step gives anything of that name.
        BadAudio: Not a recording, where one is needed.
    """
    given = {}
    for name, file in replace.items():
        if name not in SOUNDS + TABLES:
            raise BadOption(f"there is no stem {name!r} to replace: choose among {', '.join(SOUNDS + TABLES)}")
        path = Path(file).expanduser()
        if name in SOUNDS:
            probe(path)
        elif not path.is_file():
            raise BadOption(f"{path}: there is no such file to replace {name} by")
        given[name] = File(path, sha256(path))
    return given


@contextmanager
def _file_of(song: Audio | Path | str) -> Iterator[Path]:
    """The song as a file; sound that has none gets one for as long as the block runs."""
    if not isinstance(song, Audio):
        path = Path(song).expanduser()
        probe(path)
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        yield write_audio(song, Path(folder) / "song.wav", bits=32, peak_db=None)


def _copied(file: Path, folder: Path, name: str) -> Path:
    target = folder / f"{name}{file.suffix}"
    if not (target.exists() and target.samefile(file)):
        with typed_errors(target), replacing(target) as half:
            shutil.copyfile(file, half)
    return target


def _told(files: Mapping[str, File], options: CoverOptions) -> tuple[float | None, tuple[str, ...]]:
    """How far the vocal moved, and what the listener should know."""
    semitones, remarks = None, []
    if "transposition" in files:
        [semitones] = read_table(files["transposition"].path, "vocal_semitones")
        if semitones % 12 and options.key == "keep":
            remarks.append(
                f"the vocal moved by {semitones:+g} semitones and the accompaniment stayed: it will be out of tune, "
                "unless key is set to follow"
            )
    if "levels" in files:
        [lufs] = read_table(files["levels"].path, "lead_lufs")
        if lufs < FAINT_LUFS:
            remarks.append(f"hardly a voice was found in this song ({lufs:.0f} LUFS)")
    return semitones, tuple(remarks)
