"""How fast `convert/ucd_svc` renders at full size, and what its parts are good for: one table each.

    python benchmarks/ucd_svc.py speed [--seconds 10] [--threads 2]
    python benchmarks/ucd_svc.py ablations FOLDER [--steps 600] [--hold-out 'singer/9*'] [--work runs/ucd-ablations]

`speed` renders with random weights of the full size, at 16 kHz, what was heard of a song; the real-time factor is time
over length, and seconds of a core for each second of song tell the same on a machine that is busy. `ablations` trains
the small configuration anew with one part taken away each time: without the sine (the bare pitch instead), without the
perceptual losses, without virtual singers. Every row tells, on clips held out: the spectral loss, and of clips that the
next singer sings, pitch within 50 cents, and how far the words are from the recording's (activations of the content
student; less is better). FOLDER holds one folder for each singer. Both run again from where they were stopped.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from mynah.convert.ucd_svc.generator import Generator
from mynah.convert.ucd_svc.hear import Heard
from mynah.convert.ucd_svc.objectives import perceptual
from mynah.convert.ucd_svc.recipe import course
from mynah.convert.ucd_svc.recipe.plan import SMALL_PLAN, Plan
from mynah.convert.ucd_svc.recipe.sing import SingRecipe
from mynah.convert.ucd_svc.rendering import render
from mynah.convert.ucd_svc.sizes import FULL, RATE, SMALL, Config, config
from mynah.core.types import Audio
from mynah.features.pitch import pitch
from mynah.nets.normed import folded
from mynah.train.run import train

CLIPS = 24


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    deeds = parser.add_subparsers(dest="deed", required=True)
    fast = deeds.add_parser("speed")
    fast.add_argument("--seconds", type=float, default=10.0)
    fast.add_argument("--threads", type=int, default=2)
    parts = deeds.add_parser("ablations")
    parts.add_argument("folder", type=Path)
    parts.add_argument("--steps", type=int, default=600)
    parts.add_argument("--hold-out", action="append", default=[], metavar="PATTERN")
    parts.add_argument("--work", type=Path, default=Path("runs/ucd-ablations"))
    parts.add_argument("--crepe", default="crepe-tiny", help="weights of the judge of pitch")
    arguments = parser.parse_args()
    if arguments.deed == "speed":
        speed(arguments.seconds, arguments.threads)
    else:
        ablations(arguments)


@torch.inference_mode()
def speed(seconds: float, threads: int) -> None:
    """Of the generator in both sizes, the better of two times."""
    torch.set_num_threads(threads)
    table = Table(
        "size",
        "parameters",
        "real-time factor",
        "seconds of a core",
        title=f"{seconds:g} s at 16 kHz, {threads} threads",
    )
    for name, sizes in (("full", FULL), ("small", SMALL)):
        net, frames = folded(Generator(sizes.generator).eval()), round(seconds * 50)
        heard = Heard(torch.randn(64, frames), -20 * torch.ones(5 * frames), 220 * torch.ones(2 * frames + 1))
        voice, taken, worked = torch.eye(sizes.generator.voice)[0], [], []
        for _ in range(2):
            start, began = time.perf_counter(), time.process_time()
            for _stretch in render(net, sizes, heard, voice, 0):
                pass
            taken.append(time.perf_counter() - start)
            worked.append(time.process_time() - began)
        count = sum(parameter.numel() for parameter in net.parameters())
        table.add_row(name, f"{count / 1e6:.2f} M", f"{min(taken) / seconds:.2f}", f"{min(worked) / seconds:.2f}")
    Console().print(table)


def ablations(arguments: argparse.Namespace) -> None:
    """Train each, then listen to clips that none was trained on."""
    plan = replace(
        SMALL_PLAN, steps=arguments.steps, swaps_from=arguments.steps // 3, critics_from=arguments.steps * 3 // 4
    )
    bare = config("pitch", window=512, layers=14, stacks=2, residual=32, gates=64, skip=32)
    rows: dict[str, tuple[Config, Plan]] = {
        "whole": (SMALL, plan),
        "without the sine": (bare, plan),
        "without perceptual losses": (SMALL, replace(plan, weights=plan.weights | {"words": 0.0, "melody": 0.0})),
        "without virtual singers": (SMALL, replace(plan, mixed=0)),
    }
    table = Table("model", "spectral loss", "within 50 cents", "words apart", title=f"{arguments.steps} steps")
    for name, (sizes, figures) in rows.items():
        stages = course(
            arguments.folder, arguments.work, config=sizes, plan=figures, hold_out=arguments.hold_out,
            pitch_judge=arguments.crepe,
        )  # fmt: skip
        recipe = stages["sing"]()
        assert isinstance(recipe, SingRecipe)
        train(recipe, arguments.work / name.replace(" ", "-"))
        table.add_row(name, *judged(recipe))
    Console().print(table)


@torch.no_grad()
def judged(recipe: SingRecipe) -> list[str]:
    """Figures of one model."""
    recipe.nets.to("cpu").eval()
    songs = recipe.songs
    batch = songs.draw(torch.Generator().manual_seed(1), CLIPS, 1, held_out=True)
    following = recipe.table((batch["singer"] + 1) % len(songs.singers))
    made = recipe.render(batch, torch.arange(CLIPS), following, torch.Generator().manual_seed(1))
    hits, count = 0.0, 0
    for sound, wanted in zip(made, batch["pitch"], strict=True):
        hz = pitch(Audio(sound[None], RATE)).values
        wanted = wanted[: len(hz)]
        hits += float((1200 * (hz / wanted).log2().abs() < 50)[wanted > 0].sum())
        count += int((wanted > 0).sum())
    judge = songs.ear.activations
    words = perceptual(judge(made), judge(batch["wave"])).item()
    return [f"{-recipe.measures()['score']:.3f}", f"{100 * hits / max(1, count):.1f} %", f"{words:.3f}"]


if __name__ == "__main__":
    main()
