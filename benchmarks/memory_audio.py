"""How much memory long recordings take: peak memory and time of streaming, by length, printed as a table.

    python benchmarks/memory_audio.py [--minutes 6 60]

Every line is a process of its own. The recording is stereo noise at 44.1 kHz, made on the fly. Flat
memory means that the lines of an hour show what those of a few minutes show; `read` alone holds all it reads.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

CHILD = """
import json, resource, sys, time
import torch
from mynah.audio.chunks import map_chunks
from mynah.audio.files import Writer, read, stream
from mynah.audio.loudness import Meter
from mynah.core.types import Audio
work, source, target, minutes = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

idle, begin = peak(), time.perf_counter()
if work == "make":
    chance = torch.Generator().manual_seed(0)
    with Writer(target, 44_100, 2, bits=16) as writer:
        for second in range(round(60 * minutes)):
            writer.push(Audio((1 + second % 60) / 60 * torch.randn(2, 44_100, generator=chance), 44_100))
elif work == "stream and write":
    with Writer(target, 32_000, 2) as writer:
        for block in stream(source, rate=32_000):
            writer.push(block)
elif work == "chunks":
    blocks = (block.samples for block in stream(source, mono=True))
    for part in map_chunks(torch.tanh, blocks, chunk=441_000, left=44_100, right=4410):
        pass
elif work == "loudness":
    meter = Meter(44_100, 2)
    for block in stream(source):
        meter.push(block)
    meter.lufs()
elif work == "read, mono, 16 kHz":
    read(source, rate=16_000, mono=True)
print(json.dumps({"idle": idle, "peak": peak(), "seconds": time.perf_counter() - begin}))
"""
WORKS = {
    "make": "made.wav",
    "stream and write": "out.flac",
    "chunks": "",
    "loudness": "",
    "read, mono, 16 kHz": "",
}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="*", default=[6.0, 60.0], help="lengths to measure")
    lengths = parser.parse_args().minutes
    table = Table("minutes", "work", "MB before", "MB peak", "MB more", "seconds", "of real time")
    for minutes in lengths:
        with tempfile.TemporaryDirectory() as folder:
            for work, target in WORKS.items():
                paths = [str(Path(folder, "made.wav")), str(Path(folder, target))]
                got = json.loads(subprocess.check_output([sys.executable, "-c", CHILD, work, *paths, str(minutes)]))
                idle, peak, seconds = got["idle"] / 1e6, got["peak"] / 1e6, got["seconds"]
                figures = f"{idle:.0f}", f"{peak:.0f}", f"{peak - idle:.0f}", f"{seconds:.1f}"
                table.add_row(f"{minutes:g}", work, *figures, f"{seconds / minutes / 60:.4f}")
    Console().print(table)


if __name__ == "__main__":
    main()
