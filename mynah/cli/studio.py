"""`mynah studio`: a page in the browser, on a server of its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from mynah.cli import serve
from mynah.cli.screen import Screen
from mynah.core.errors import MissingExtra

EPILOG = """\
examples:
  mynah studio                                           the page at http://127.0.0.1:8765, for this machine alone
  MYNAH_TOKEN=$(cat secret) mynah studio --host 0.0.0.0  for others, whose browsers ask for the token as a password

It is the server of `mynah serve` with a page on it, so whatever that offers to programs is there as well."""
_RATE = 6000  # requests a minute: a page asks more often than a program


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """As for `mynah serve`; and whether the browser is opened."""
    serve.flags(parser, argv)
    parser.set_defaults(rate=_RATE)
    parser.epilog = EPILOG
    parser.add_argument(
        "--browser", action=argparse.BooleanOptionalAction, default=sys.stdout.isatty(), help="open the page in it"
    )


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Serve until somebody says stop."""
    settings = serve.settings(args)
    if find_spec("gradio") is None:
        raise MissingExtra("gradio", "studio")
    settings.check()  # before the page is built, which takes a moment
    from mynah.serve.run import serve as answer
    from mynah.studio.page import put

    tell = serve.ready("studio is", screen)

    def ready(address: str) -> None:
        tell(address)
        if args.browser:
            import webbrowser

            webbrowser.open(address)

    answer(settings, ready, put)
    return 0
