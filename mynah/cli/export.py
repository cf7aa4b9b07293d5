"""`mynah export`: a trained model without what only training needs, in the layout that somebody else wants."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mynah.cli.screen import Screen
from mynah.core.errors import BadOption

EPILOG = """\
examples:
  mynah export model.safetensors --to original             for whoever uses the program it comes from
  mynah export model.safetensors --to onnx --out singer.onnx

Which system a model belongs to is told by what is in it. `mynah systems` lists them all."""


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """What to hand on, as what."""
    parser.epilog = EPILOG
    parser.add_argument("model", type=Path, metavar="MODEL", help="a file that training wrote, ours or published")
    parser.add_argument("--to", required=True, metavar="LAYOUT", help="safetensors, or what else its system offers")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the result (default MODEL-LAYOUT with its suffix)")
    owner_flag(parser)


def owner_flag(parser: argparse.ArgumentParser) -> None:
    """`--system`, for a model that several systems may take for theirs."""
    parser.add_argument("--system", metavar="NAME", help="whose model it is (default: found out)")


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Export one model."""
    system = owner(args.model, args.system)
    layouts = system.layouts()
    if args.to not in layouts:
        raise BadOption(f"there is no layout {args.to!r} for {args.model}: choose among {', '.join(layouts)}")
    suffix = layouts[args.to]
    out = args.out or Path(f"{args.model.stem}-{args.to}{suffix}")
    if out.suffix != suffix:
        raise BadOption(f"{out}: a model in the layout {args.to} ends in {suffix}")
    if out.resolve() == args.model.resolve():
        raise BadOption(f"{out} is the model itself: choose another name with --out")
    done = system.export(args.model, out)
    screen.give({"file": str(done)})
    screen.show(str(done))
    return 0


def owner(model: Path, name: str | None = None) -> Any:
    """The system whose model a file is, as it says itself, or the one of that name.

    Raises:
        BadOption: None says so, or several do, or the one that was named hands on no models.
    """
    from mynah.cli.choice import full
    from mynah.core.recipe import Shares
    from mynah.core.registry import find, those

    if not model.is_file():
        raise FileNotFoundError(2, "No such file", str(model))
    if name:
        system = find(full(name))
        if not issubclass(system, Shares):
            raise BadOption(f"{full(name)} hands on no models")
        return system
    sharing: dict[str, Any] = those(Shares, "share")
    owners = [each for each, system in sharing.items() if system.owns(model)]
    if len(owners) != 1:
        said = f"may belong to {' or '.join(owners)}" if owners else f"is no model of {' or '.join(sharing)}"
        raise BadOption(f"{model} {said}: say whose it is with --system")
    return sharing[owners[0]]
