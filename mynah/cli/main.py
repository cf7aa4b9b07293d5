"""The door of the command line: it picks the command and turns what went wrong into one line and an exit code.

Exit codes: 0 all is well, 1 a bug of ours (with its traceback), 2 something that the user can mend, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from mynah.cli.screen import Screen
from mynah.core.errors import BadOption, MynahError

COMMANDS = {
    "convert": "give recordings another voice",
    "cover": "give whole songs another voice",
    "separate": "take songs apart into vocals and accompaniment, or into more stems",
    "speak": "say a text in any voice",
    "transcribe": "write down what is said or sung, as text or subtitles",
    "vocode": "sound recordings through a mel spectrogram and back, to hear how good a vocoder is",
    "enrol": "make a voice from recordings of somebody",
    "import": "take in a voice that somebody else trained: a file, a folder, an archive, an address or the hub",
    "voices": "list, show, mix, export, import and remove voices",
    "studio": "open a page in the browser: record a voice, drop a song, hear the cover",
    "serve": "offer all of this over HTTP, as OpenAI's API does",
    "work": "do jobs of a server, as one more of its workers",
    "prepare": "make recordings ready for training, and report what is wrong with them",
    "train": "train a system, or tune it to one voice",
    "export": "hand a trained model on, in another layout",
    "merge": "make a model between two",
    "systems": "list what can do the work",
    "evaluate": "measure how good a conversion or a separation is",
    "doctor": "show versions, devices, weights and free space",
    "demo": "convert a short song of ours into two voices, and measure it",
}
EVERYWHERE = {
    "json": "print for machines: one JSON document on standard output",
    "quiet": "no progress and no remarks",
    "debug": "show the traceback of every error",
}
ALIASES = {"enroll": "enrol"}
MODULES = {"import": "importing"}  # where Python has other plans with the word
OK, BUG, MISTAKE, STOPPED = 0, 1, 2, 130


class Usage(BadOption):
    """A command line that makes no sense."""


class Parser(argparse.ArgumentParser):
    """One line instead of a page when somebody mistypes."""

    def error(self, message: str) -> NoReturn:
        raise Usage(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, as `mynah` in a shell does; `argv` is what stands after that word.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        signal.signal(signal.SIGTERM, _leave)
    screen = Screen(**{flag: _taken(f"--{flag}", arguments) for flag in EVERYWHERE})
    try:
        with warnings.catch_warnings():
            warnings.showwarning = screen.warning
            code = _run(arguments, screen)
            screen.flush()
            return code
    except KeyboardInterrupt:
        screen.error("stopped; nothing half-written was left behind", kind="Stopped")
        return STOPPED
    except BrokenPipeError:
        # Whoever read our output (`head`) has had enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except MynahError as error:
        return _mistake(error, screen)
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        if error.filename is None:
            return _bug(error, screen)
        return _mistake(error, screen)
    except Exception as error:
        return _bug(error, screen)


def _taken(flag: str, arguments: list[str]) -> bool:
    """Whether a flag is there; it is taken out, so that it may stand before, after and inside of any command."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    there = flag in arguments[:end]
    arguments[:end] = [word for word in arguments[:end] if word != flag]
    return there


def _run(arguments: list[str], screen: Screen) -> int:
    word = next((word for word in arguments if not word.startswith("-")), "")
    wanted = ALIASES.get(word, word)
    everywhere = Parser(add_help=False)
    shared = everywhere.add_argument_group("everywhere")
    for flag, explanation in EVERYWHERE.items():
        shared.add_argument(f"--{flag}", action="store_true", help=explanation)
    parser = Parser(
        prog="mynah", description="Any voice sings your recording.", parents=[everywhere], allow_abbrev=False
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    run = None
    for name, explanation in COMMANDS.items():
        description = explanation[0].upper() + explanation[1:] + "."
        child = commands.add_parser(
            name,
            help=explanation,
            description=description,
            parents=[everywhere],
            allow_abbrev=False,
            aliases=[alias for alias, real in ALIASES.items() if real == name == wanted],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == wanted:
            module = importlib.import_module(f"mynah.cli.{MODULES.get(name, name)}")
            module.flags(child, arguments[arguments.index(word) + 1 :])
            run = module.run
    try:
        chosen = parser.parse_args(arguments)
    except SystemExit as leaving:  # --help
        return int(leaving.code or OK)
    if chosen.version:
        from mynah import __version__

        screen.give({"version": __version__})
        screen.show(f"mynah {__version__}")
        return OK
    if run is None:
        parser.print_help(sys.stderr)
        return MISTAKE
    return int(run(chosen, screen))


def _mistake(error: Exception, screen: Screen) -> int:
    screen.error(explain(error), kind=type(error).__name__)
    if screen.debug:
        traceback.print_exception(error)
    return MISTAKE


def _bug(error: Exception, screen: Screen) -> int:
    traceback.print_exception(error)
    screen.error(f"a bug in mynah: {type(error).__name__}: {error}", kind="Bug")
    return BUG


def explain(error: Exception) -> str:
    """One line for what the user can mend.

    Example:

        >>> explain(FileNotFoundError(2, "No such file or directory", "song.wav"))
        'song.wav: no such file or directory'
    """
    if isinstance(error, OSError) and not isinstance(error, MynahError):
        return f"{error.filename}: {(error.strerror or str(error)).lower()}"
    return str(error)


def _leave(number: int, frame: FrameType | None) -> None:
    """A polite kill unwinds like Ctrl-C does, so that temporary files go."""
    raise SystemExit(128 + number)
