"""The choice of a system: who does the work, with which weights, where, and with what options."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

from mynah.core.errors import BadOption


def add(parser: argparse.ArgumentParser, argv: Sequence[str], verb: str) -> None:
    """`--system`, `--weights`, `--device`, and a flag for each option of the system that `argv` asks for."""
    from mynah.cli.flags import add as add_options
    from mynah.core.registry import find
    from mynah.core.verbs import options_of

    name = asked(argv, verb)
    parser.add_argument(
        "--system",
        default=name.removeprefix(f"{verb}/"),
        metavar="NAME",
        help=f"who {verb}s (default: whom the voice was made for, else {default(verb)})",
    )
    parser.add_argument("--weights", default="default", metavar="NAME|FILE", help="another set of weights")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default %(default)s)")
    add_options(parser, options_of(find(name), verb), name)


def default(verb: str) -> str:
    """The system that is taken when nobody names one; the folder of the verb knows."""
    name: str = importlib.import_module(f"mynah.{verb}").DEFAULT
    return name


def asked(argv: Sequence[str], verb: str, flag: str = "system") -> str:
    """The system that these arguments ask for with `--system` or another flag, as the registry names it."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument(f"--{flag}", dest="system")
    early.add_argument("--voice", default="")
    try:
        given = early.parse_known_args(list(argv))[0]
    except argparse.ArgumentError as error:
        raise BadOption(str(error)) from None
    return full(given.system or made_for(given.voice, verb) or default(verb), verb)


def made_for(voice: str, verb: str) -> str:
    """The system that does this verb with the voice of that name alone; empty where any can."""
    from mynah.voices.library import system_of

    system = system_of(voice)
    return system if system.startswith(f"{verb}/") else ""


def full(name: str, verb: str = "") -> str:
    """A system's name with the verb, which may be left out where it is plain, or where only one system is called so.

    Raises:
        BadOption: Several are.

    Example:

        >>> full("one", "convert"), full("sing/two", "convert")
        ('convert/one', 'sing/two')
    """
    from mynah.core import registry

    if verb or "/" in name:
        return registry.full(name, verb)
    several = [each for each in registry.names() if each.partition("/")[2] == name]
    if len(several) > 1:
        raise BadOption(f"there are {' and '.join(several)}: say which")
    return several[0] if several else name
