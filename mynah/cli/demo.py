"""`mynah demo`: a short song of ours in two voices, with figures, pictures and sound to listen to."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mynah.cli.screen import Screen
from mynah.core.errors import BadVoice, MissingExtra

if TYPE_CHECKING:
    from mynah.core.types import Audio
    from mynah.metrics.evaluate import Listeners

SONG = Path(__file__).parent / "song"
BAND_DB = -5.2  # level of the band under a voice, as in the song that comes with the repository


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Voices and a place."""
    from mynah.cli.choice import default

    parser.epilog = "The song was made by examples/make_song.py; nobody's recording is in it."
    parser.add_argument(
        "--voice",
        action="append",
        metavar="VOICE",
        help="instead of the lowest and the highest that ship (again for more)",
    )
    parser.add_argument(
        "--system", default=default("convert"), metavar="NAME", help="who converts (default %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=Path("mynah-demo"), help="folder for the results (default %(default)s)"
    )


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Convert, measure, mix, draw; results of an earlier run are replaced."""
    from mynah.audio.files import read, write
    from mynah.cli.choice import full
    from mynah.cli.devices import device
    from mynah.cli.evaluate import print_figures
    from mynah.core.registry import find
    from mynah.metrics.evaluate import evaluate
    from mynah.voices.library import find as find_voice

    name = full(args.system, "convert")
    voices = [find_voice(spec) for spec in args.voice or contrasting()]
    place = device(args.device)
    engine = find(name).load(device=place)
    source, band = read(SONG / "voice.ogg"), read(SONG / "band.ogg")
    judges = neighbours(place)
    files = [
        write(source, args.out / "source.wav"),
        write(with_band(source, source, band), args.out / "source-song.wav"),
    ]
    reports = []
    for voice in voices:
        with screen.progress(f"{source.seconds:.0f} s of song as {voice.name}") as progress:
            report = evaluate(
                {"source": source},
                lambda audio, voice=voice: engine.convert(audio, voice),  # type: ignore[attr-defined, misc]
                voice.clips,
                title=voice.name,
                judges=judges,
                progress=progress,
            )
        reports.append(report)
        label = "".join(letter if letter.isalnum() else "-" for letter in voice.name)
        assert report.example is not None
        result = report.example.result
        files.append(write(result, args.out / f"{label}.wav"))
        files.append(write(with_band(result, source, band), args.out / f"{label}-song.wav"))
        files.append(report.write_json(args.out / f"{label}.json"))
        try:
            files.append(report.picture(args.out / f"{label}.png"))
        except MissingExtra as missing:
            screen.note(f"no picture: {missing}")
    screen.give({"system": name, "voices": [report.to_dict() for report in reports], "files": files})
    print_figures(reports, screen, only={figure.name for figure in reports[0].figures if _is_told(figure.name)})
    screen.show("\nlisten to, and look at:")
    for file in files:
        if file.suffix != ".json":
            screen.show(f"  {file}")
    return 0


def contrasting() -> list[str]:
    """The lowest and the highest of the voices that ship; else of the user's own.

    Raises:
        BadVoice: There is none at all.
    """
    from mynah.voices.library import names

    usable = [voice for voice in names() if voice.kind != "damaged"]
    usable = [voice for voice in usable if voice.kind == "shipped"] or usable
    if not usable:
        raise BadVoice("there is no voice to sing with: mynah enrol me.wav, then mynah demo --voice me")
    ordered = sorted(usable, key=lambda voice: voice.range_hz[0] * voice.range_hz[1])
    return list(dict.fromkeys([ordered[0].name, ordered[-1].name]))


def neighbours(place: str) -> Listeners:
    """Listeners whose weights are on this machine: a demo fetches nothing."""
    from mynah.features import ge2e
    from mynah.metrics.evaluate import Listeners

    absent = {
        "words": "mynah evaluate hears the words, with Whisper's encoder",
        "opinion": "mynah evaluate asks DNSMOS",
        "speaker": "pip install --no-deps resemblyzer brings the weights of the listener",
    }
    path = ge2e.installed()
    return Listeners(speaker=ge2e.load(path, device=place) if path else None, absent=absent)


def with_band(voice: Audio, source: Audio, band: Audio) -> Audio:
    """The song: a voice as loud as the source was, over the band."""
    from mynah.audio.loudness import loudness
    from mynah.audio.mixing import mix

    louder_db = loudness(source) - loudness(voice)
    return mix([(voice, louder_db if math.isfinite(louder_db) else 0.0, 0.0), (band, BAND_DB, 0.0)])


def _is_told(figure: str) -> bool:
    return not figure.startswith(("naturalness", "content"))
