"""`mynah vocode`: recordings through a mel spectrogram and back, as a vocoder sounds them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mynah.cli.recordings import PIPE, WRITTEN, Job, planned
from mynah.cli.screen import Screen
from mynah.core.errors import BadOption

EPILOG = """\
examples:
  mynah vocode talk.wav                                writes talk-vocode.wav
  mynah vocode talk.wav --weights LJ_V2/               with somebody's weights: a file, or a folder
  mynah vocode album/ --weights g_02500000 --out heard

Whose weights they are is told by what is in them; without any, phases are searched for."""


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Our own flags, then those of the system that `argv` asks for, or whose weights it names."""
    from mynah.cli.choice import add
    from mynah.vocode import system_of

    parser.epilog = EPILOG
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="recordings, folders, or - for standard input")
    parser.add_argument("--out", metavar="PLACE", help="file or folder, or - for standard output")
    parser.add_argument("--format", choices=WRITTEN, help="of the results, where --out does not tell (default wav)")
    parser.add_argument("--bits", type=int, choices=(16, 24, 32), help="per sample (default 24; 32 is float)")
    parser.add_argument("--force", action="store_true", help="replace results that exist")
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--system", nargs="?")
    early.add_argument("--weights", nargs="?")
    given = early.parse_known_args(list(argv))[0]
    if given.weights and not given.system:
        argv = [*argv, "--system", system_of(Path(given.weights))]
    add(parser, argv, "vocode")


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Sound one recording after another; what is wrong with one does not stop the others."""
    from mynah.audio.files import read, write
    from mynah.cli.batch import each
    from mynah.cli.choice import full
    from mynah.cli.devices import device
    from mynah.cli.flags import chosen
    from mynah.core.registry import find
    from mynah.core.verbs import options_of
    from mynah.vocode import sounded

    name = full(args.system, "vocode")
    system = find(name)
    options = chosen(options_of(system, "vocode"), args)
    jobs = planned(args.inputs, "vocode", args.out, args.format)
    engine: Any = system.load(args.weights, device=device(args.device))

    def work(job: Job) -> dict[str, Any]:
        if job.out != PIPE and Path(job.out).exists() and not args.force:
            raise BadOption(f"{job.out} exists: add --force to replace it")
        if job.out == PIPE and screen.json:
            raise BadOption("--json and sound cannot share standard output: give --out FILE")
        start = time.perf_counter()
        with screen.progress(str(job.source)) as progress:
            made = sounded(engine, read(job.source), options, progress=progress)
        wall = time.perf_counter() - start
        write(made, job.out, bits=args.bits)
        screen.note(f"{job.source} -> {job.out}  ({made.seconds:.1f} s of sound in {wall:.1f} s)")
        return {
            "source": job.source, "out": job.out, "seconds": made.seconds, "real_time_factor": wall / made.seconds
        }  # fmt: skip

    done, failed = each(jobs, work, screen, done="vocoded")
    screen.give({"system": name, "vocoded": done, "failed": failed})
    return 2 if failed else 0
