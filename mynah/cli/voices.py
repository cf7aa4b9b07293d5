"""`mynah voices`: the library of voices."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mynah.cli.screen import Screen
from mynah.core.errors import BadVoice


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """One sub-command for each thing that can be done; none of them lists."""
    parser.epilog = 'A voice is a name, a recording, or a mixture of voices such as "ann:0.7,bo:0.3".'
    deeds = parser.add_subparsers(dest="deed", metavar="WHAT")
    deeds.add_parser("list", help="every voice (when nothing is said)")
    show = deeds.add_parser("show", help="range, origin and terms of a voice")
    show.add_argument("name")
    path = deeds.add_parser("play-path", help="a recording of the voice, to be given to a player")
    path.add_argument("name")
    mix = deeds.add_parser("mix", help="keep a mixture under a name of its own")
    mix.add_argument("mixture", nargs="+", help='such as "ann:0.7,bo:0.3", or ann:0.7 bo:0.3')
    mix.add_argument("--name", required=True, help="of the new voice")
    export = deeds.add_parser("export", help="one file that another mynah can import")
    export.add_argument("name")
    export.add_argument("--out", type=Path, help="file or folder (default NAME.mynah, here)")
    import_ = deeds.add_parser("import", help="take in a file that was exported")
    import_.add_argument("file", type=Path)
    import_.add_argument("--name", help="call it otherwise")
    for deed in (mix, import_):
        deed.add_argument("--force", action="store_true", help="replace a voice of that name")
    remove = deeds.add_parser("remove", aliases=["delete"], help="forget a voice of yours, files and all")
    remove.add_argument("names", nargs="+", metavar="name")


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Do what is asked."""
    deed = {
        "show": show,
        "play-path": play_path,
        "mix": mix,
        "export": export,
        "import": import_,
        "remove": remove,
        "delete": remove,
    }.get(args.deed, list_)
    deed(args, screen)
    return 0


def list_(args: argparse.Namespace, screen: Screen) -> None:
    """A line for each voice."""
    from mynah.voices import library

    voices = library.names()
    screen.give({"voices": [asdict(voice) for voice in voices]})
    if not voices:
        screen.note("no voices yet: mynah enrol me.wav")
        return
    screen.table(
        [
            (voice.name, *_notes(voice.range_hz), voice.kind, voice.system or "any", voice.license or "private")
            for voice in voices
        ],
        head=("name", "from", "to", "kind", "system", "licence"),
    )
    for voice in voices:
        if voice.kind == "damaged":
            screen.complaint("; ".join(voice.advice))


def show(args: argparse.Namespace, screen: Screen) -> None:
    """All that is known about one voice, and whom to name."""
    from mynah.voices import library

    voice, place = library.describe(args.name), library.path(args.name)
    low, high = voice.range_hz
    screen.give(asdict(voice) | {"path": place})
    lowest, highest = _notes(voice.range_hz)
    screen.table(
        [
            ("name", voice.name),
            ("kind", voice.kind),
            ("range", f"{lowest} to {highest} ({low:.0f} to {high:.0f} Hz)" if low else "unknown"),
            ("made from", voice.origin or f"{voice.seconds:.0f} s of recordings"),
            ("sung by", voice.system or "any system"),
            ("lies in", place),
            ("licence", voice.license or "private"),
            ("to be named", voice.attribution or "nobody"),
            *(("advice", sentence) for sentence in voice.advice),
        ]
    )


def play_path(args: argparse.Namespace, screen: Screen) -> None:
    """The first recording that a voice was enrolled from."""
    from mynah.voices import library

    place = library.path(args.name)
    clips = sorted((place / "clips").glob("*.flac"))
    if not clips:
        raise BadVoice(f"the voice {args.name!r} came without recordings; `mynah demo` lets you hear voices that ship")
    screen.give({"name": args.name, "path": clips[0]})
    screen.show(str(clips[0]))


def mix(args: argparse.Namespace, screen: Screen) -> None:
    """A mixture, kept."""
    from mynah.voices import library

    mixture = ",".join(args.mixture)
    voice = library.save(library.find(mixture), args.name, replace=args.force)
    screen.give({"name": voice.name, "range_hz": list(voice.range_hz)})
    screen.show(f"{voice.name}: {mixture}")


def export(args: argparse.Namespace, screen: Screen) -> None:
    """One file."""
    from mynah.voices import library

    path = library.export(args.name, args.out or Path.cwd())
    screen.give({"name": args.name, "path": path})
    screen.show(str(path))


def import_(args: argparse.Namespace, screen: Screen) -> None:
    """The voice in a file."""
    from mynah.voices import library

    voice = library.import_(args.file, name=args.name, replace=args.force)
    screen.give({"name": voice.name})
    screen.show(voice.name)


def remove(args: argparse.Namespace, screen: Screen) -> None:
    """Several, if asked; an unknown one stops before anything is removed."""
    from mynah.voices import library

    for name in args.names:
        library.path(name)
    for name in args.names:
        library.remove(name)
        screen.note(f"removed {name}")
    screen.give({"removed": args.names})


def _notes(range_hz: tuple[float, float]) -> tuple[str, str]:
    """Names of notes, which singers know better than Hz.

    Example:

        >>> _notes((261.6, 440.0))
        ('C4', 'A4')
    """
    if not all(hz > 0 for hz in range_hz):
        return "?", "?"
    low, high = (round(69 + 12 * math.log2(hz / 440)) for hz in range_hz)
    names = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
    return f"{names[low % 12]}{low // 12 - 1}", f"{names[high % 12]}{high // 12 - 1}"
