"""`mynah import`: a voice that somebody else trained."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence

from mynah.cli.screen import Screen

EPILOG = """\
examples:
  mynah import singer.zip --name singer                archives and folders, with the index that lies beside the model
  mynah import singer.pth                              one file; .safetensors as well
  mynah import https://example.org/singer.zip
  mynah import owner/name/singer.pth --name singer     a file on the Hugging Face hub
  mynah convert song.wav --voice singer                the system is the voice's own

Nothing in these files is ever run. Import only voices of people who agreed to it."""


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Where it is, what to call it, and what nobody can read off the file."""
    parser.epilog = EPILOG
    parser.add_argument("source", metavar="SOURCE", help="file, folder, archive, https://..., or owner/name[/file]")
    parser.add_argument("--name", help="what to call the voice (default: what the file is called)")
    parser.add_argument(
        "--range",
        nargs=2,
        type=float,
        metavar=("LOW-HZ", "HIGH-HZ"),
        help="comfortable pitch; unknown otherwise, and then --transpose auto leaves melodies where they are",
    )
    parser.add_argument("--license", default="", help="under which the voice may be used, such as CC0-1.0")
    parser.add_argument("--attribution", default="", help="who is to be named")
    parser.add_argument("--replace", action="store_true", help="replace a voice of that name")


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Fetch it, look at every part of it, and keep it in the library."""
    from mynah.core.types import Terms
    from mynah.voices import library
    from mynah.voices.adoption import adopt

    with screen.progress(f"importing {args.source}") as progress:
        voice = adopt(
            args.source,
            args.name,
            range_hz=tuple(args.range) if args.range else None,
            terms=Terms(args.license, args.attribution),
            replace=args.replace,
            progress=progress,
        )
    place = library.path(voice.name)
    rows = 0 if voice.bank is None else len(voice.bank)
    screen.give({"name": voice.name, "system": voice.system, "bank": rows, "path": place})
    with_index = f", with an index of {rows} frames" if rows else ""
    screen.show(f"{voice.name}: a voice of {voice.system or 'any system'}{with_index}, kept in {place}")
    speaks = voice.system.startswith("speak/")
    if voice.range_hz[0] == 0 and not speaks:
        screen.note("its range is unknown: say --range LOW HIGH to have melodies moved into it, or --transpose by hand")
    first = 'speak "Good morning."' if speaks else "convert song.wav"
    screen.note(f"now try: mynah {first} --voice {shlex.quote(voice.name)}")
    return 0
