"""`mynah enrol`: a voice from recordings of somebody."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mynah.cli.recordings import PIPE, found
from mynah.cli.screen import Screen
from mynah.core.errors import BadOption

ADVICE = """\
Half a minute of one person alone, dry and without music, is good; a few minutes of singing and speech are better.
Enrol only people who agreed to it."""


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Recordings and what to call them."""
    parser.epilog = ADVICE
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="recordings, or folders of them")
    parser.add_argument("--name", help="what to call the voice (default: the name of the one file or folder)")
    parser.add_argument("--license", default="", help="under which the voice may be used, such as CC0-1.0")
    parser.add_argument("--attribution", default="", help="who is to be named")
    parser.add_argument("--force", action="store_true", help="replace a voice of that name")


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Measure the voice and keep it in the library."""
    name = args.name
    if name is None:
        if len(args.inputs) > 1 or args.inputs == [PIPE]:
            raise BadOption("say what to call the voice: --name NAME")
        name = Path(args.inputs[0]).resolve().stem
    files = [path for path, _ in found(args.inputs)]

    from mynah.core.types import Terms
    from mynah.voices import library

    with screen.progress(f"enrolling {name}") as progress:
        voice = library.enrol(
            files, name, terms=Terms(args.license, args.attribution), replace=args.force, progress=progress
        )  # fmt: skip
    low, high = voice.range_hz
    place = library.path(voice.name)
    screen.give(
        {"name": voice.name, "range_hz": [low, high], "seconds": voice.seconds, "advice": voice.advice, "path": place}
    )
    screen.show(f"{voice.name}: {voice.seconds:.0f} s of sound, pitch {low:.0f} to {high:.0f} Hz, kept in {place}")
    for sentence in voice.advice:
        screen.note(f"advice: {sentence}")
    screen.note(f"now try: mynah convert song.wav --voice {voice.name}")
    return 0
