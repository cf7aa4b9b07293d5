"""How fast `convert/ucd_svc` renders at full size, and what its parts are good for: one table each.

    python benchmarks/ucd_svc.py speed [--seconds 10] [--threads 2]
    python benchmarks/ucd_svc.py ablations FOLDER [--begin 700] [--steps 400] [--hold-out '*/*7.opus']

`speed` renders with random weights of the full size, at 16 kHz, what was heard of a song; the real-time factor is time
over length, and seconds of a core for each second of song tell the same on a machine that is busy.

`ablations` trains the small configuration with one part taken away each time: without the sine (the bare pitch
instead), without the perceptual losses, without virtual singers. `--begin` steps that only reconstruct, with none of
these parts but the sine, are common to all that have the sine; whoever has none begins alike by itself. Then each has
its own `--steps` with critics and other singers. One clip of every take held out is sung by its own singer (spectral
loss), by the next one (pitch within 50 cents, median cents, how far the words are from the recording's by activations
of the content student, and the cosine to that singer by the house's voice encoder), and by the virtual singer halfway
between the next two (words). Beside every mean stands by how much it differs from that of the whole, clip by clip,
with the 95 % interval over clips; `*` marks what is larger than that. FOLDER holds one folder for each singer. Both run
again from where they were stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from mynah.convert.ucd_svc.generator import Generator
from mynah.convert.ucd_svc.hear import Heard
from mynah.convert.ucd_svc.objectives import perceptual, reconstruction
from mynah.convert.ucd_svc.recipe import course
from mynah.convert.ucd_svc.recipe.plan import SMALL_PLAN, Plan
from mynah.convert.ucd_svc.recipe.sing import SingRecipe
from mynah.convert.ucd_svc.recipe.songs import Songs
from mynah.convert.ucd_svc.rendering import render
from mynah.convert.ucd_svc.sizes import FULL, PITCH_HOP, RATE, SMALL, UNIT, Config, config
from mynah.convert.ucd_svc.table import mixed
from mynah.core.atomic import replacing
from mynah.core.types import Audio
from mynah.features import speaker
from mynah.features.pitch import pitch
from mynah.nets.normed import folded
from mynah.train.run import train

SECONDS = 2.0  # of a clip that is judged


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    deeds = parser.add_subparsers(dest="deed", required=True)
    fast = deeds.add_parser("speed")
    fast.add_argument("--seconds", type=float, default=10.0)
    fast.add_argument("--threads", type=int, default=2)
    parts = deeds.add_parser("ablations")
    parts.add_argument("folder", type=Path)
    parts.add_argument("--begin", type=int, default=700, help="steps that all begin with")
    parts.add_argument("--steps", type=int, default=400, help="of each by itself")
    parts.add_argument("--clips", type=int, default=3, help="in a batch")
    parts.add_argument("--row", action="append", metavar="NAME", help="only these, for several processes at once")
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
        SMALL_PLAN, steps=arguments.steps, clips=arguments.clips, frames=16, places=1, swapped=1, mixed=1, rate=1e-3,
        critic_rate=1e-3, swaps_from=0, critics_from=0,
    )  # fmt: skip
    deaf = plan.weights | {"words": 0.0, "melody": 0.0}
    beginning = replace(
        plan, steps=arguments.begin, rate=2e-3, swaps_from=arguments.begin, weights=deaf | {"fooled": 0.0}
    )
    bare = config("pitch", window=512, layers=14, stacks=2, residual=32, gates=64, skip=32)
    rows: dict[str, tuple[Config, Plan]] = {
        "whole": (SMALL, plan),
        "without the sine": (bare, plan),
        "without perceptual losses": (SMALL, replace(plan, weights=deaf)),
        "without virtual singers": (SMALL, replace(plan, mixed=0, swapped=2)),
    }

    def recipe_of(sizes: Config, figures: Plan) -> SingRecipe:
        stages = course(
            arguments.folder, arguments.work, config=sizes, plan=figures, hold_out=arguments.hold_out,
            pitch_judge=arguments.crepe,
        )  # fmt: skip
        recipe = stages["sing"]()
        assert isinstance(recipe, SingRecipe)
        return recipe

    found: dict[str, dict[str, list[float]]] = {}
    for name in arguments.row or rows:
        sizes, figures = rows[name]
        home = arguments.work / name.replace(" ", "-")
        if not (home / "clips.json").exists():
            begun = recipe_of(sizes, beginning)
            start = arguments.work / f"begun-{sizes.excitation}"
            train(begun, start)
            if name == "whole" and not (start / "clips.json").exists():
                keep(judged(begun), start / "clips.json")
            recipe = recipe_of(sizes, figures)
            recipe.generator.load_state_dict(begun.generator.state_dict())
            recipe.table.load_state_dict(begun.table.state_dict())
            train(recipe, home, save_every=100)
            keep(judged(recipe), home / "clips.json")
        found[name] = kept(home)
    if "whole" not in found:
        return
    found["the beginning alone"], whole = kept(arguments.work / "begun-sine"), found["whole"]
    title = f"{arguments.begin} and {arguments.steps} steps; {len(whole['spectral loss'])} clips of {SECONDS:g} s"
    table = Table("model", *whole, title=title)
    for name, figures_of in found.items():
        table.add_row(name, *(beside(figures_of[column], whole[column]) for column in whole))
    Console(width=210).print(table)


def keep(figures: Mapping[str, Sequence[float]], path: Path) -> None:
    """For a run that is stopped later."""
    with replacing(path) as half:
        half.write_text(json.dumps(figures), "utf-8")


def kept(folder: Path) -> dict[str, list[float]]:
    """What `keep` wrote there."""
    figures: dict[str, list[float]] = json.loads((folder / "clips.json").read_text("utf-8"))
    return figures


def beside(figures: Sequence[float], whole: Sequence[float]) -> str:
    """The mean, and by how much it differs from that of the whole."""
    ours, theirs = torch.tensor(figures), torch.tensor(whole)
    if figures == whole:
        return f"{ours.nanmean():.3f}"
    apart = ours - theirs
    apart = apart[apart.isfinite()]
    around = 1.96 * (apart.std() / len(apart) ** 0.5).item()
    mark = "*" if abs(apart.mean().item()) > around else ""
    return f"{ours.nanmean():.3f} ({apart.mean():+.3f} ± {around:.3f}){mark}"


@torch.no_grad()
def judged(recipe: SingRecipe) -> dict[str, list[float]]:
    """Figures of one model: of every clip that is held out."""
    recipe.nets.to("cpu").eval()
    songs, table, ear = middles(recipe.songs), recipe.table, speaker.load()
    count = len(table.names)
    found: dict[str, list[float]] = {
        name: [] for name in ("spectral loss", "within 50 cents", "cents", "words apart", "likeness", "virtual: words")
    }
    judge = recipe.songs.ear.activations
    first = torch.zeros(1, dtype=torch.long)
    for number, clip in enumerate(songs):
        batch = {name: values[None] for name, values in clip.items()}
        singer = int(clip["singer"])
        following, after = (table(torch.tensor([(singer + further) % count])) for further in (1, 2))
        voices = (table(clip["singer"][None]), following, mixed(following, after, torch.tensor([0.5])))
        own, other, virtual = (
            recipe.render(batch, first, voice, torch.Generator().manual_seed(number)) for voice in voices
        )
        found["spectral loss"].append(sum(part.item() for part in reconstruction(own, batch["wave"])))
        hz = pitch(Audio(other, RATE)).values
        wanted = clip["pitch"][: len(hz)]
        cents = (1200 * (hz / wanted).log2().abs())[wanted > 0]
        found["within 50 cents"].append((cents < 50).float().mean().item())
        found["cents"].append(cents.nanmedian().item())
        heard = judge(batch["wave"])
        found["words apart"].append(perceptual(judge(other), heard).item())
        found["virtual: words"].append(perceptual(judge(virtual), heard).item())
        known = table.heard[(singer + 1) % count]
        found["likeness"].append(torch.cosine_similarity(ear.embed([Audio(other, RATE)]), known, dim=-1).item())
    return found


def middles(songs: Songs) -> list[dict[str, torch.Tensor]]:
    """The middle of every take that is held out."""
    songs, dice = copy(songs), torch.Generator().manual_seed(0)
    songs.frames = round(SECONDS * RATE / UNIT)
    takes = [take for take in songs.held_out if take.frames > songs.frames]
    clips = [songs._row(take, (take.frames - songs.frames) // 2, 1, dice) for take in takes]
    return [clip for clip in clips if (clip["pitch"] > 0).sum() * PITCH_HOP > 0.3 * RATE]


if __name__ == "__main__":
    main()
