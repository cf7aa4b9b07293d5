"""`mynah work`: one more worker for a `mynah serve` on this machine."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from mynah.cli.screen import Screen

EPILOG = """\
example:
  mynah work --queue redis://127.0.0.1:6379/0

A worker shares the server's folder of jobs (MYNAH_HOME), so it runs on the same machine, as the same user."""


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Whose work, and where the nets run."""
    from mynah.serve.settings import QUEUE

    parser.epilog = EPILOG
    parser.add_argument("--queue", default=os.environ.get(QUEUE, ""), metavar="URL", help="as `mynah serve` has it")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default %(default)s)")


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Work until somebody says stop."""
    from mynah.serve.settings import required

    required()
    from mynah.cli.devices import device
    from mynah.serve import worker

    place = device(args.device)
    screen.note("waiting for jobs; Ctrl-C stops, and hands back what is being worked on")
    worker.run(args.queue, place)
    return 0
