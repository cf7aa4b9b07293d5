"""Two implementations beside each other, in processes of their own that take turns: what benchmarks of singers share.

A program is Python text. It gets `torch`, `seconds`, `frames` (100 a second), `dice`, a `pitch`, the file of the
`weights`, where to save what is `compared`, the folder of the `reference` and a `task`; and ends with `measured(run)`,
where `run(count)` sings so many frames.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

BEFORE = """
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
weights, seconds, threads, compared = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
reference, task = sys.argv[5:]
import torch
torch.set_num_threads(threads)
torch.set_grad_enabled(False)
dice = torch.Generator().manual_seed(1)
frames = round(seconds * 100)
pitch = 220 * 2 ** (torch.sin(torch.arange(frames) / 30) / 3)

def measured(run):
    run(min(frames, 50))  # libraries come in, threads are started
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    run(frames)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = after.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"wall": wall, "spent": spent, "peak": peak}))
"""


def parser_for(description: str | None) -> argparse.ArgumentParser:
    """For what all such benchmarks are told."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True, help="a clone of the original")
    parser.add_argument("--seconds", type=float, nargs="*", default=[10.0, 30.0], help="lengths to measure, from 2 on")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="the fastest counts")
    return parser


def compare(title: str, programs: Mapping[str, str], arguments: argparse.Namespace) -> None:
    """Measure and print a table.

    Args:
        title: What is measured.
        programs: By name. `original` writes the weights when its task is `write`; `ours` and it save what is compared.
        arguments: Of `parser_for`.
    """
    table = Table(title=f"{title}, {arguments.threads} threads")
    for column in ("length", "", "wall clock", "processor", "peak memory"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder:

        def child(name: str, seconds: float, task: str = "run") -> dict[str, float]:
            named = [f"{folder}/voice.pth", str(seconds), str(arguments.threads), f"{folder}/{name}.pt"]
            done = subprocess.run(
                [sys.executable, "-c", BEFORE + programs[name], *named, str(arguments.reference), task],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": str(arguments.threads)},
            )
            figures: dict[str, float] = json.loads(done.stdout) if task == "run" else {}
            return figures

        child("original", 2.0, "write")
        for seconds in arguments.seconds:
            rounds = [{name: child(name, seconds) for name in programs} for _ in range(arguments.rounds)]
            best = {
                name: {what: min(one[name][what] for one in rounds) for what in rounds[0][name]} for name in programs
            }
            for name, figures in best.items():
                table.add_row(
                    f"{seconds:g} s",
                    name,
                    f"{figures['wall'] / seconds:.3f} of real time",
                    f"{figures['spent'] / seconds:.3f} s/s",
                    f"{figures['peak'] / 1e6:.0f} MB",
                )
            ratios = [one["original"]["wall"] / one["ours"]["wall"] for one in rounds]
            spent, peak = (best["original"][what] / best["ours"][what] for what in ("spent", "peak"))
            table.add_row("", "ratio", f"{statistics.median(ratios):.2f} times", f"{spent:.2f} times", f"{peak:.2f}")
        import torch

        ours, theirs = (torch.load(f"{folder}/{name}.pt") for name in ("ours", "original"))
    Console().print(table)
    Console().print(f"largest difference of 2 s of sound: {float((ours - theirs).abs().max()):.1e}")
