"""How fast `convert/whisper_vits_svc` sings what was heard, beside the original implementation: a table.

    git clone https://github.com/PlayVoice/whisper-vits-svc
    python benchmarks/whisper_vits_svc.py --reference whisper-vits-svc [--seconds 10 30] [--threads 2] [--rounds 2]

Both have the same weights (random, of the published sizes), features and melody. Every line is a process of its own,
and the two take turns. Given are the features, so that prior, flow, source and decoder are measured; the original is
driven as its own `svc_inference.py` does it. The processor's time counts the system's part, too. The difference is the
largest one of any sample, made from the same latents and source, so that nothing random is in it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

COMMON = """
import json, resource, sys, time, warnings
from types import SimpleNamespace as Sizes
warnings.simplefilter("ignore")
weights, seconds, threads, compared = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
import torch
torch.set_num_threads(threads)
torch.set_grad_enabled(False)
dice = torch.Generator().manual_seed(1)
frames = round(seconds * 100)
words, sounds, voice = (torch.randn(*shape, generator=dice) for shape in ((1280, frames), (256, frames), (256,)))
pitch = 220 * 2 ** (torch.sin(torch.arange(frames) / 30) / 3)
few = 200
latent, source = torch.randn(1, 192, few, generator=dice), 0.1 * torch.randn(1, 1, few * 320, generator=dice)

def measured(run):
    run(min(frames, 50))  # libraries come in, threads are started
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    run(frames)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = after.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"wall": wall, "spent": spent, "peak": peak}))
"""

OURS = """
from mynah.catalog.checkpoint import load_strict
from mynah.convert.whisper_vits_svc import published
from mynah.convert.whisper_vits_svc.net import Singer
from mynah.convert.whisper_vits_svc.rendering import render
from mynah.convert.whisper_vits_svc.sizes import NetConfig
from mynah.nets.normed import folded
singer = Singer(NetConfig()).eval()
load_strict(singer, published.read(weights).net, weights)
folded(singer)
heard = torch.cat([words, sounds])

def run(count):
    return sum(len(piece) for piece in render(singer, [heard[:, :count]], pitch[:count], voice, 0))

torch.save(singer.dec(latent, source, voice[None]), compared)
measured(run)
"""

REFERENCE = """
sys.path.insert(0, sys.argv[5])
from vits.models import SynthesizerInfer
published = Sizes(
    data=Sizes(sampling_rate=32000),
    vits=Sizes(ppg_dim=1280, vec_dim=256, spk_dim=256, gin_channels=256, inter_channels=192, hidden_channels=192,
               filter_channels=640),
    gen=Sizes(upsample_input=192, upsample_rates=[5, 4, 4, 2, 2], upsample_kernel_sizes=[15, 8, 8, 4, 4],
              upsample_initial_channel=320, resblock_kernel_sizes=[3, 7, 11], resblock_dilation_sizes=[[1, 3, 5]] * 3),
)
torch.manual_seed(0)
model = SynthesizerInfer(513, 25, published).eval()
if sys.argv[6] == "write":
    torch.save({"model_g": model.state_dict()}, weights)
    sys.exit()
model.load_state_dict(torch.load(weights)["model_g"])

def run(count):
    source = model.pitch2source(pitch[None, :count])
    done, samples = 0, 0
    while done < count:
        first, last = max(0, done - 10), min(count, done + 2510)
        part = slice(first, last)
        sound = model.inference(words.T[None, part], sounds.T[None, part], pitch[None, part], voice[None],
                                torch.tensor([last - first]), source[:, :, first * 320 : last * 320])[0, 0]
        samples += len(sound[(done - first) * 320 : len(sound) if last == count else -3200])
        done += 2500
    return samples

torch.save(model.dec.inference(voice[None], latent, source), compared)
measured(run)
"""


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True, help="a clone of the original")
    parser.add_argument("--seconds", type=float, nargs="*", default=[10.0, 30.0], help="lengths to measure")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="the fastest counts")
    arguments = parser.parse_args()

    title = f"prior, flow, source and decoder, {arguments.threads} threads"
    table = Table(title=title)
    for column in ("length", "", "wall clock", "processor", "peak memory"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        weights = str(Path(folder) / "exported.pth")
        sounds = {name: str(Path(folder) / f"{name}.pt") for name in ("ours", "original")}

        def child(name: str, seconds: float, task: str = "run") -> dict[str, float]:
            code = COMMON + (OURS if name == "ours" else REFERENCE)
            named = [weights, str(seconds), str(arguments.threads), sounds[name], str(arguments.reference), task]
            settings = os.environ | {"OMP_NUM_THREADS": str(arguments.threads)}
            done = subprocess.run(
                [sys.executable, "-c", code, *named], check=True, capture_output=True, text=True, env=settings
            )
            figures: dict[str, float] = json.loads(done.stdout) if task == "run" else {}
            return figures

        child("original", 1.0, "write")
        for seconds in arguments.seconds:
            rounds = [{name: child(name, seconds) for name in sounds} for _ in range(arguments.rounds)]
            best = {name: {what: min(one[name][what] for one in rounds) for what in rounds[0][name]} for name in sounds}
            for name, figures in best.items():
                table.add_row(
                    f"{seconds:g} s",
                    name,
                    f"{figures['wall'] / seconds:.3f} of real time",
                    f"{figures['spent'] / seconds:.3f} s/s",
                    f"{figures['peak'] / 1e6:.0f} MB",
                )
            ratios = [one["original"]["wall"] / one["ours"]["wall"] for one in rounds]
            spent = best["original"]["spent"] / best["ours"]["spent"]
            table.add_row("", "ratio", f"{statistics.median(ratios):.2f} times", f"{spent:.2f} times", "")
        import torch

        ours, theirs = (torch.load(path) for path in sounds.values())
    Console().print(table)
    Console().print(f"largest difference of 2 s of sound: {float((ours - theirs).abs().max()):.1e}")


if __name__ == "__main__":
    main()
