"""How fast Demucs is through our door and through the package's own, printed as a table.

    python benchmarks/demucs_speed.py [--seconds 30] [--turns 3] [--threads 2] [--weights FILE]

Without weights a `htdemucs` of the published size with random ones is made; their values make no difference to the
time. Both programs are processes of their own and go from a wav file to four wav files: `demucs --repo ... --shifts 0`
here, `separate_file` there, with the same segments and overlap. They take turns, because a busy machine is busy with
both; the best turn of each counts, and all are shown. "load" is the time until the weights were there, "separate" all
that came after, "CPU" what the processors worked for that, which says more where others use them too.

With `--minutes 6 60` the peak memory of `separate_file` on recordings of these lengths is measured instead, with a
small net, because it is not the net that could grow with the recording.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from mynah.audio.files import Writer
from mynah.core.types import Audio
from mynah.separate.demucs import STEMS, Demucs

RATE = 44_100
OURS = """
import json, resource, sys, time
from pathlib import Path
begin = time.perf_counter()
import torch
torch.set_num_threads(int(sys.argv[4]))
from mynah.separate import separate_file
from mynah.separate.demucs import Demucs
system = Demucs.load(sys.argv[1])
loaded, cpu = time.perf_counter(), time.process_time()
out = Path(sys.argv[3])
out.mkdir()
separate_file(Path(sys.argv[2]), {stem: out / f"{stem}.wav" for stem in system.stems}, system, bits=16)
end, worked = time.perf_counter(), time.process_time()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"load": loaded - begin, "separate": end - loaded, "cpu": worked - cpu, "peak": peak}))
"""
THEIRS = """
import json, resource, sys, time
from pathlib import Path
begin = time.perf_counter()
import torch
torch.set_num_threads(int(sys.argv[4]))
from demucs import separate
get_model, loaded = separate.Separator._load_model, []
def load(self):
    get_model(self)
    loaded.extend((time.perf_counter(), time.process_time()))
separate.Separator._load_model = load
weights = Path(sys.argv[1])
separate.main(["--repo", str(weights.parent), "-n", weights.stem.split("-")[0], "--shifts", "0", "-d", "cpu",
               "-o", sys.argv[3], sys.argv[2]])
end, worked = time.perf_counter(), time.process_time()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"load": loaded[0] - begin, "separate": end - loaded[0], "cpu": worked - loaded[1], "peak": peak}))
"""


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="of the recording")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weights", type=Path, help="as published, such as 955717e8-8726e21a.th")
    parser.add_argument("--minutes", type=float, nargs="*", help="measure memory instead, on recordings so long")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.minutes:
            memory(Path(folder), arguments.minutes, arguments.threads)
        else:
            speed(Path(folder), arguments)


def speed(work: Path, arguments: argparse.Namespace) -> None:
    """Both doors in turn."""
    weights, song = arguments.weights or made(work / "aaaa0000.th"), noise(work / "song.wav", arguments.seconds)
    turns: dict[str, list[dict[str, float]]] = {"the package": [], "ours": []}
    for turn in range(arguments.turns):
        for name, code in (("the package", THEIRS), ("ours", OURS)):
            turns[name].append(measured(code, weights, song, work / f"{name}{turn}", arguments.threads))
    columns = ("door", "load, s", "separate, s", "of real time", "CPU, s", "MB peak", "every turn, of real time")
    table = Table(*columns)
    for name, found in turns.items():
        best = min(found, key=lambda turn: turn["separate"])
        figures = [f"{best['load']:.1f}", f"{best['separate']:.1f}", f"{best['separate'] / arguments.seconds:.3f}"]
        figures += [f"{min(turn['cpu'] for turn in found):.1f}", f"{best['peak'] / 1e6:.0f}"]
        table.add_row(name, *figures, " ".join(f"{turn['separate'] / arguments.seconds:.2f}" for turn in found))
    Console().print(table)


def memory(work: Path, minutes: list[float], threads: int) -> None:
    """Ours alone, on recordings of several lengths."""
    # Without transformers: over so few levels they would look at tens of thousands of places at once.
    small = {"channels": 8, "depth": 2, "bottom_channels": 0, "t_layers": 0}
    weights = made(work / "small.th", **small)
    table = Table("minutes", "seconds", "of real time", "MB peak")
    for length in minutes:
        song = noise(work / "song.wav", 60 * length)
        found = measured(OURS, weights, song, work / f"out{length}", threads)
        factor = f"{found['separate'] / 60 / length:.3f}"
        table.add_row(f"{length:g}", f"{found['separate']:.0f}", factor, f"{found['peak'] / 1e6:.0f}")
        for file in (song, *(work / f"out{length}").iterdir()):
            file.unlink()
    Console().print(table)


def measured(code: str, weights: Path, song: Path, out: Path, threads: int) -> dict[str, float]:
    """One process."""
    command = [sys.executable, "-c", code, str(weights), str(song), str(out), str(threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def made(path: Path, **settings: object) -> Path:
    """A file as the package publishes them, with random weights."""
    from fractions import Fraction

    from demucs.htdemucs import HTDemucs

    torch.manual_seed(0)
    named = {"dconv_mode": 3, "bottom_channels": 512, "segment": Fraction(39, 5)} | settings
    named["sources"] = list(STEMS)
    net = HTDemucs(**named)
    state = {name: value.half() for name, value in net.state_dict().items()}
    torch.save({"klass": HTDemucs, "args": (), "kwargs": named, "state": state, "training_args": {}}, path)
    Demucs.load(str(path))
    return path


def noise(path: Path, seconds: float) -> Path:
    """A recording in stereo that is never silent."""
    dice = torch.Generator().manual_seed(0)
    with Writer(path, RATE, 2, bits=16) as writer:
        for _ in range(round(seconds)):
            writer.push(Audio(0.1 * torch.randn(2, RATE, generator=dice), RATE))
    return path


if __name__ == "__main__":
    main()
