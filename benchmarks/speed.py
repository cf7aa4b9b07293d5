"""How fast `convert/mynah` is and how much memory an hour takes: real-time factor and peak memory, printed as a table.

    python benchmarks/speed.py [--minutes 60]

Every line is a process of its own that reads a wave file, tracks its pitch, hears, renders and writes it, so nothing is
left out. The sound is the demo song's voice over and over.
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
from pathlib import Path
begin = time.perf_counter()
import mynah
from mynah.convert.mynah import Mynah, MynahOptions
voice = mynah.voice(sys.argv[3])
system = Mynah.load()
ready = time.perf_counter()
system.convert_file(Path(sys.argv[1]), voice, MynahOptions(), Path(sys.argv[2]))
done = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"load": ready - begin, "convert": done - ready, "peak": peak}))
"""


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="*", default=[0.25, 3.0, 60.0], help="lengths to measure")
    parser.add_argument("--source", type=Path, default=Path(__file__).parent.parent / "examples" / "voice.ogg")
    parser.add_argument("--voice", default="kerstin")
    arguments = parser.parse_args()

    table = Table(title="convert/mynah, file to file, 44.1 kHz")
    for column in ("length", "load", "convert", "real-time factor", "peak memory"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        for minutes in arguments.minutes:
            song = _repeated(arguments.source, minutes * 60, Path(folder) / "song.wav")
            command = [sys.executable, "-c", CHILD, str(song), str(Path(folder) / "out.wav"), arguments.voice]
            figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            table.add_row(
                f"{minutes:g} min",
                f"{figures['load']:.2f} s",
                f"{figures['convert']:.2f} s",
                f"{figures['convert'] / (minutes * 60):.4f}",
                f"{figures['peak'] / 1e6:.0f} MB",
            )
    Console().print(table)


def _repeated(source: Path, seconds: float, path: Path) -> Path:
    import mynah
    from mynah.audio.files import Writer

    clip = mynah.read(source, rate=44_100, mono=True)
    left = round(seconds * clip.rate)
    with Writer(path, clip.rate, channels=1) as writer:
        while left > 0:
            writer.push(mynah.Audio(clip.samples[:, :left], clip.rate))
            left -= clip.samples.shape[-1]
    return path


if __name__ == "__main__":
    main()
