"""What hundreds of hours cost before training: `mynah prepare` over thousands of files, and looking for copies.

    python benchmarks/whisper_vits_svc_hours.py [--files 20000] [--apart 40000]

A handful of short recordings under thousands of names (hard links) are found, reckoned, prepared and reported on, which
is all of `mynah prepare` but the ears; and copies are looked for among 40,000 recordings of ten seconds (110 hours)
that are all different, by outlines and notes drawn at random. Printed are seconds and the most memory that the process
had so far.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table

from mynah.audio.files import write
from mynah.core.types import Audio
from mynah.train.data import Clip, Take, prepare, scan
from mynah.train.forecast import forecast
from mynah.train.report import report
from mynah.train.survey import HIGHEST, LOWEST, OUTLINE
from mynah.train.twice import duplicates

T = TypeVar("T")
DIFFERENT, SECONDS = 20, 2.0


def main() -> None:
    """Run each part once, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--apart", type=int, default=40_000)
    arguments = parser.parse_args()
    table = Table("", "seconds", "processor", "MB so far")

    def timed(name: str, deed: Callable[[], T]) -> T:
        begun, worked = time.perf_counter(), time.process_time()
        result = deed()
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        row = (time.perf_counter() - begun, time.process_time() - worked)
        table.add_row(name, *(f"{value:.1f}" for value in row), f"{most:.0f}")
        return result

    timed("nothing yet", lambda: None)
    with tempfile.TemporaryDirectory() as name:
        data, cache = Path(name) / "data", Path(name) / "cache"
        linked(data / "ann", arguments.files)
        prepare(scan(data)[:DIFFERENT], cache, workers=1)  # what comes once for every recording is another matter
        clips = timed(f"find {arguments.files} files", lambda: scan(data))
        timed("reckon", lambda: forecast(clips, cache))
        takes = timed("prepare what is prepared", lambda: prepare(clips, cache))
        found = timed("report", lambda: report(clips, takes))
    apart, outlines, notes = different(arguments.apart)
    copies = timed(f"copies among {arguments.apart}", lambda: duplicates(apart, outlines, notes))
    Console().print(table)
    Console().print(f"{len(found.duplicates)} copies of {DIFFERENT} recordings, and {len(copies)} of different ones")


class Drawn(Take):
    """A take without files: its melody is drawn from its name."""

    def pitch(self, first: int = 0, frames: int | None = None) -> torch.Tensor:
        dice = torch.Generator().manual_seed(int(self.folder.name))
        return 100 * 2 ** (2 * torch.rand(10, generator=dice)).repeat_interleave(100)


def linked(folder: Path, count: int) -> None:
    """Some recordings, each under many names."""
    beat = torch.arange(int(32_000 * SECONDS)) / 32_000
    for number in range(DIFFERENT):
        turns = (150 + 10 * number) * beat + 2 * torch.sin(math.tau * (0.5 + 0.1 * number) * beat)
        first = write(Audio(0.2 * torch.sin(math.tau * turns)[None], 32_000), folder / f"{number:06}.wav")
        for place in range(number + DIFFERENT, count, DIFFERENT):
            os.link(first, folder / f"{place:06}.wav")


def different(count: int) -> tuple[list[Take], torch.Tensor, torch.Tensor]:
    """Takes of ten seconds with outlines and notes as those of songs are: smooth, and of a few notes."""
    dice = torch.Generator().manual_seed(0)
    takes = [Drawn(Clip(Path(str(place)), "ann"), Path(str(place)), 500, 16_000.0) for place in range(count)]
    rough = torch.randn(count, 8, generator=dice)
    outlines = F.interpolate(rough[:, None], OUTLINE, mode="linear")[:, 0]
    outlines = F.normalize(outlines - outlines.mean(1, keepdim=True))
    notes = torch.zeros(count, HIGHEST - LOWEST + 1, dtype=torch.int32)
    sung = 20 + torch.randint(25, (count, 6), generator=dice)
    notes.scatter_(1, sung, torch.full(sung.shape, 100, dtype=torch.int32))
    return takes, outlines, notes


if __name__ == "__main__":
    main()
