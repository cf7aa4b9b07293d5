"""How fast a whole cover is and how much memory it takes: time of every step, total, peak memory, printed as a table.

    python benchmarks/cover.py [--minutes 4] [--song song.mp3] [--voice kerstin] [--key follow --split ...]

The run is a process of its own, from nothing to the finished mp3, loading of all nets included; then again, as a second
cover of the same song with another balance, which finds most steps done. Without --song it is the demo song with its
band, over and over, in stereo at 44.1 kHz. Flags that are not listed are those of `mynah cover`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

CHILD = """
import contextlib, io, json, resource, sys, time
begin = time.perf_counter()
from mynah.cli.main import main
said = io.StringIO()
with contextlib.redirect_stdout(said):
    code = main(["cover", *sys.argv[1:], "--json", "--force"])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
if code:
    sys.exit(code)
[cover] = json.loads(said.getvalue())["covers"]
print(json.dumps({"total": time.perf_counter() - begin, "peak": peak, "steps": cover["steps"]}))
"""


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4.0, help="of the song that is made")
    parser.add_argument("--song", type=Path, help="a song of your own")
    parser.add_argument("--voice", default="kerstin")
    arguments, flags = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MYNAH_HOME"] = str(Path(folder) / "home")
        song = arguments.song or _song(arguments.minutes * 60, Path(folder) / "song.flac")
        out = Path(folder) / "cover.mp3"
        command = [str(song), "--voice", arguments.voice, "--out", str(out), *flags]
        first, again = _figures(command), _figures([*command, "--vocal-db", "2"])

        from mynah.audio.files import probe

        seconds = probe(song).seconds
    table = Table(title=f"a cover of {seconds:.0f} s as {arguments.voice}, {os.cpu_count()} cores")
    for column in ("step", "first", "of real time", "with another balance"):
        table.add_column(column, justify="left" if column == "step" else "right")
    repeated = {step["name"]: step for step in again["steps"]}
    for step in first["steps"]:
        other = repeated.get(step["name"], {"kept": True})
        told = "kept" if other["kept"] else f"{other['seconds']:.1f} s"
        table.add_row(step["name"], f"{step['seconds']:.1f} s", f"{step['seconds'] / seconds:.3f}", told)
    table.add_row(
        "all, with loading", f"{first['total']:.1f} s", f"{first['total'] / seconds:.3f}", f"{again['total']:.1f} s"
    )
    table.add_row("peak memory", f"{first['peak'] / 1e6:.0f} MB", "", f"{again['peak'] / 1e6:.0f} MB")
    Console().print(table)


def _figures(arguments: list[str]) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _song(seconds: float, path: Path) -> Path:
    """The demo song over and over, its voice in the middle and its band at the sides."""
    import torch

    import mynah
    from mynah.audio.files import Writer

    examples = Path(__file__).parent.parent / "examples"
    voice, band = (mynah.read(examples / f"{name}.ogg", rate=44_100, mono=True).samples for name in ("voice", "band"))
    length = min(voice.shape[-1], band.shape[-1])
    voice, band = voice[:, :length], 0.55 * band[:, :length]
    clip = torch.cat([voice + band, voice + 0.8 * band.roll(300, -1)])
    left = round(seconds * 44_100)
    with Writer(path, 44_100, channels=2, bits=16) as writer:
        while left > 0:
            writer.push(mynah.Audio(clip[:, :left], 44_100))
            left -= length
    return path


if __name__ == "__main__":
    main()
