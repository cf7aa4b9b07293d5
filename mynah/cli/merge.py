"""`mynah merge`: a model between two that come from the same one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mynah.cli.export import owner, owner_flag
from mynah.cli.screen import Screen
from mynah.core.errors import BadOption

EPILOG = """\
example:
  mynah merge ann.safetensors bert.safetensors --share 0.3 --out both.safetensors

Both have to have been trained on from the same model to be any good together."""


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Which two, how much of each, where to."""
    parser.epilog = EPILOG
    parser.add_argument("first", type=Path, metavar="FIRST", help="a model")
    parser.add_argument("second", type=Path, metavar="SECOND", help="another of the same sizes")
    parser.add_argument("--share", type=float, default=0.5, help="of the second, 0 to 1 (default %(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="its suffix says the layout")
    owner_flag(parser)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Merge two models."""
    system = owner(args.first, args.system)
    if not args.system and owner(args.second) is not system:
        raise BadOption(f"{args.first} and {args.second} are models of different systems: they cannot be merged")
    done = system.merge(args.first, args.second, args.out, args.share)
    screen.give({"file": str(done), "share": args.share})
    screen.show(str(done))
    return 0
