"""How fast `convert/rvc` sings what was heard, beside the original implementation: a table.

    git clone https://github.com/RVC-Project/Retrieval-based-Voice-Conversion-WebUI reference
    python benchmarks/rvc.py --reference reference [--seconds 10 60] [--threads 2] [--rounds 2]

Both have the same weights (random, version 2 at 48 kHz), features and melody. Every line is a process of its own, and
the two take turns. Given are the features, so that prior, flow, source and decoder are measured; the original is given
them as its own pipeline does it on a processor, in pieces of 38 s with a second on either side. The processor's time
counts the system's part, too. The difference is the largest one of any sample, made from the same latents and source,
so that nothing random is in it. `whole` is our `convert` with its defaults, from sound to sound: pitch, a ContentVec of
random weights in the published size, and all the rest.
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
warnings.simplefilter("ignore")
weights, seconds, threads, compared = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
import torch
torch.set_num_threads(threads)
torch.set_grad_enabled(False)
dice = torch.Generator().manual_seed(1)
frames = round(seconds * 100)
words = torch.randn(768, frames, generator=dice)
pitch = 220 * 2 ** (torch.sin(torch.arange(frames) / 30) / 3)
few = 200
latent, source = torch.randn(1, 192, few, generator=dice), 0.1 * torch.randn(1, 1, few * 480, generator=dice)

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
from pathlib import Path
from mynah.convert.rvc import _singer
from mynah.convert.rvc.rendering import render
singer = _singer(Path(weights))
voice = singer.emb_g.weight[0]

def run(count):
    return sum(len(piece) for piece in render(singer, [words[:, :count]], pitch[:count], voice, 0, 0.66666))

torch.save(singer.dec(latent, voice[None], source), compared)
measured(run)
"""

WHOLE = """
from mynah.convert.rvc import Config, Rvc, _singer
from mynah.core.types import Audio, Voice
from mynah.features.contentvec import Ears
from mynah.features.hubert import Hubert
from pathlib import Path
system = Rvc(Config(), Ears(Hubert().eval()))
voice = Voice("random", (100.0, 400.0), weights=Path(weights))
turns = (pitch.repeat_interleave(160) / 16000).double().cumsum(0)
song = Audio(0.1 * sum(torch.sin(6.2831853 * number * turns).float() / number for number in range(1, 9))[None], 16000)

measured(lambda count: system.convert(Audio(song.samples[:, : count * 160], 16000), voice))
"""

REFERENCE = """
sys.path.insert(0, sys.argv[5])
from infer.module.models import SynthesizerTrnMs768NSFsid
described = [1025, 36, 192, 192, 768, 2, 6, 3, 0, "1", [3, 7, 11], [[1, 3, 5]] * 3, [12, 10, 2, 2], 512, [24, 20, 4, 4],
             109, 256, 48000]
torch.manual_seed(0)
model = SynthesizerTrnMs768NSFsid(*described, is_half=False).eval()
del model.enc_q
if sys.argv[6] == "write":
    described[1] = 32
    held = {"weight": model.state_dict(), "config": described, "sr": "48k", "f0": 1, "version": "v2", "info": ""}
    torch.save(held, weights)
    sys.exit()
model.load_state_dict(torch.load(weights)["weight"])
low, high = (1127 * torch.tensor(1 + hz / 700).log() for hz in (50.0, 1100.0))
coarse = ((1127 * (1 + pitch / 700).log() - low) * 254 / (high - low) + 1).clamp(1, 255).round().long()

def run(count):
    done, samples = 0, 0
    while done < count:
        first, last = max(0, done - 100), min(count, done + 3800 + 100)
        part = slice(first, last)
        sound = model.infer(words.T[None, part], torch.tensor([last - first]), coarse[None, part], pitch[None, part],
                            torch.tensor([0]))[0][0, 0]
        samples += len(sound[(done - first) * 480 : len(sound) if last == count else -48000])
        done += 3800
    return samples

lead = model.dec.m_source.forward
model.dec.m_source.forward = lambda *given: (source.transpose(1, 2), None, None)
torch.save(model.dec(latent, pitch[None, :few], g=model.emb_g.weight[:1, :, None]), compared)
model.dec.m_source.forward = lead
measured(run)
"""
CODES = {"ours": OURS, "original": REFERENCE, "whole": WHOLE}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True, help="a clone of the original")
    parser.add_argument("--seconds", type=float, nargs="*", default=[10.0, 60.0], help="lengths to measure, from 2 on")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="the fastest counts")
    parser.add_argument("--no-whole", action="store_true", help="leave the whole conversion out")
    arguments = parser.parse_args()

    table = Table(title=f"version 2 at 48 kHz: prior, flow, source and decoder, {arguments.threads} threads")
    for column in ("length", "", "wall clock", "processor", "peak memory"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        weights = str(Path(folder) / "voice.pth")

        def child(name: str, seconds: float, task: str = "run") -> dict[str, float]:
            named = [weights, str(seconds), str(arguments.threads), f"{folder}/{name}.pt", str(arguments.reference)]
            settings = os.environ | {"OMP_NUM_THREADS": str(arguments.threads)}
            done = subprocess.run(
                [sys.executable, "-c", COMMON + CODES[name], *named, task],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                env=settings,
            )
            figures: dict[str, float] = json.loads(done.stdout) if task == "run" else {}
            return figures

        child("original", 2.0, "write")
        for seconds in arguments.seconds:
            names = ["ours", "original"] if arguments.no_whole else list(CODES)
            rounds = [{name: child(name, seconds) for name in names} for _ in range(arguments.rounds)]
            best = {name: {what: min(one[name][what] for one in rounds) for what in rounds[0][name]} for name in names}
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


if __name__ == "__main__":
    main()
