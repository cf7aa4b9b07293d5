"""`mynah serve`: Mynah over HTTP, with workers of its own."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mynah.cli.screen import Screen
from mynah.core.errors import BadOption

if TYPE_CHECKING:
    from mynah.serve.settings import Settings

EPILOG = """\
examples:
  mynah serve                                          http://127.0.0.1:8765, for this machine alone
  MYNAH_TOKEN=$(cat secret) mynah serve --host 0.0.0.0 for others, who need the token
  mynah serve --queue redis://127.0.0.1:6379/0         and on the same machine, as often as there are cores to spare:
  mynah work --queue redis://127.0.0.1:6379/0
  mynah serve --weights whisper=tiny                   the model whisper-1 is then Whisper's tiny

A token on the command line can be seen by everybody on this machine; MYNAH_TOKEN cannot. Several, separated by commas,
keep the jobs of several people apart."""


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Where to listen, for whom, and how much to take."""
    from mynah.serve.settings import QUEUE, TOKEN, Settings

    parser.epilog = EPILOG
    parser.add_argument("--host", default=Settings.host, help="address to listen at (default %(default)s)")
    parser.add_argument("--port", type=int, default=Settings.port, help="0 takes any free one (default %(default)s)")
    parser.add_argument("--token", action="append", metavar="SECRET", help=f"who knows it may come in; better {TOKEN}")
    parser.add_argument("--queue", default=os.environ.get(QUEUE, ""), metavar="URL", help="a Redis (default SQLite)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default %(default)s)")
    parser.add_argument(
        "--use", action="append", default=[], metavar="VERB=SYSTEM", help="who does it when nobody else is asked for"
    )
    parser.add_argument(
        "--weights", action="append", default=[], metavar="SYSTEM=NAME|FILE",
        help="of a system that speaks or transcribes, such as whisper=large-v3 (default: its own)",
    )  # fmt: skip
    numbers = {
        "workers": "worker processes to start; 0 where `mynah work` is started by hand",
        "queue-size": "jobs that may wait",
        "upload-mb": "most that one request may carry",
        "minutes": "longest recording",
        "files": "most recordings in one request",
        "rate": "requests a minute for each client",
        "keep-hours": "how long results are kept",
    }
    for name, explanation in numbers.items():
        default = getattr(Settings, name.replace("-", "_"))
        parser.add_argument(
            f"--{name}", type=type(default), default=default, help=f"{explanation} (default %(default)s)"
        )


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Serve until somebody says stop."""
    from mynah.serve.run import serve

    serve(settings(args), ready("serves", screen))
    return 0


def settings(args: argparse.Namespace) -> Settings:
    """What the flags say.

    Raises:
        MissingExtra: The libraries of the server are not installed.
    """
    from mynah.serve.settings import TOKEN, Settings, required

    required()
    from mynah.cli.devices import device

    told = args.token or [token.strip() for token in os.environ.get(TOKEN, "").split(",") if token.strip()]
    names = ("host", "port", "queue", "workers", "queue_size", "upload_mb", "minutes", "files", "rate", "keep_hours")
    return Settings(
        tokens=tuple(told), device=device(args.device), usual=_usual(args.use), weights=_weights(args.weights),
        **{name: getattr(args, name) for name in names},
    )  # fmt: skip


def _usual(pairs: Sequence[str]) -> dict[str, str]:
    """Systems by verb.

    Raises:
        BadOption: No such verb, or nobody of that name does it.
    """
    from mynah.serve.work import KINDS, those_who

    found = {}
    for verb, name in _pairs(pairs, "--use", "VERB=SYSTEM"):
        able = those_who(verb) if verb in KINDS else []
        chosen = next((each for each in able if name in (each, each.partition("/")[2])), None)
        if chosen is None:
            among = f"{name!r} cannot {verb}: choose among {', '.join(able)}" if able else f"there is no verb {verb!r}"
            raise BadOption(f"--use: {among}")
        found[verb] = chosen
    return found


def _weights(pairs: Sequence[str]) -> dict[str, str]:
    """Weights by system.

    Raises:
        BadOption: No such system, or one whose weights cannot be chosen here.
    """
    from mynah.cli.choice import full
    from mynah.core.registry import find

    found = {}
    for system, weights in _pairs(pairs, "--weights", "SYSTEM=NAME or SYSTEM=FILE"):
        name = full(system)
        if not {"speak", "transcribe"} & set(find(name).card.verbs):
            raise BadOption(f"--weights: {name} neither speaks nor transcribes: its weights come with the voice")
        found[name] = weights
    return found


def _pairs(pairs: Sequence[str], flag: str, wanted: str) -> list[tuple[str, str]]:
    """What stands on both sides of each equals sign.

    Example:

        >>> _pairs(["whisper=tiny"], "--weights", "SYSTEM=NAME")
        [('whisper', 'tiny')]
    """
    parted = [pair.partition("=") for pair in pairs]
    for pair, (left, _, right) in zip(pairs, parted, strict=True):
        if not (left and right):
            raise BadOption(f"{flag} wants {wanted}, not {pair!r}")
    return [(left, right) for left, _, right in parted]


def ready(does: str, screen: Screen) -> Callable[[str], None]:
    """Whom to tell the address as soon as the server answers."""

    def tell(address: str) -> None:
        screen.give({"address": address})
        screen.show(f"mynah {does} at {address}")
        screen.note("Ctrl-C stops it; jobs that are not done go on at the next start")
        screen.flush()

    return tell
