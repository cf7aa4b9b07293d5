"""Whether `convert/ucd_svc` learns two made-up singers apart, and what its parts are good for: some minutes.

    python benchmarks/ucd_svc_learning.py [--steps 600]

A net of 8 layers of 16 channels learns from two singers who are sources and filters: the same four vowels from throats
of different length. Their pitch is known. Words are heard by a small net that learnt before, from throats of all
lengths, to tell the vowels, and is frozen then, so that who sings does not come through it. On songs that nobody
learnt from the table tells (1) how much of the spectral loss is left, (2) how many clips, sung by the other singer, are
nearer to how that one would have sung them than to how they were sung, by the mean of log-mel spectra without their
level, (3) how many of them are within 50 cents of the pitch that was asked for, as it was and transposed, and (4) how
far the words are from the song's, sung by the other and by the virtual singer halfway: mean over clips, and by how
much it is more than the recipe's, clip by clip, with the 95 % interval. This for the recipe as it is, and trained
anew without the perceptual losses, without virtual singers, and without the sine. CREPE and critics have no say.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from mynah.convert.ucd_svc.hear import Heard, content_of, loudness_of
from mynah.convert.ucd_svc.listeners import Ear
from mynah.convert.ucd_svc.objectives import perceptual, reconstruction
from mynah.convert.ucd_svc.recipe.plan import WEIGHTS, Plan
from mynah.convert.ucd_svc.recipe.sing import SingRecipe
from mynah.convert.ucd_svc.rendering import render
from mynah.convert.ucd_svc.sizes import LOUDNESS_HOP, PITCH_HOP, RATE, UNIT, Config, config
from mynah.core.recipe import Batch
from mynah.core.types import Audio
from mynah.features.mel import LogMel, PowerSpectrum
from mynah.features.pitch import pitch
from mynah.train.run import train

VOWELS = ((700, 1200), (300, 2300), (500, 1500), (350, 900))  # first and second formant, Hz
THROATS = {"anna": 1.25, "bert": 0.85}
SONG_SECONDS, SONGS = 4.0, 3  # of each singer, to learn from
HELD_OUT = range(40, 48)  # songs
ARMS = ("the recipe", "without perceptual losses", "without virtual singers", "without the sine")
SIZES = config(window=512, content=len(VOWELS), voice=8, layers=8, stacks=2, residual=16, gates=32, skip=16)
PLAN = Plan(
    steps=600, clips=4, swapped=1, mixed=1, frames=8, swaps_from=200, rate=1e-2, critics_from=10**9, ema=None,
    bf16=False, weights=WEIGHTS | {"melody": 0.0, "fooled": 0.0},
)  # fmt: skip
BARE = config("pitch", window=512, content=len(VOWELS), voice=8, layers=8, stacks=2, residual=16, gates=32, skip=16)
DEAF = WEIGHTS | {"melody": 0.0, "fooled": 0.0, "words": 0.0}


def song(seed: int, throat: float, seconds: float = SONG_SECONDS) -> tuple[Tensor, Tensor, Tensor]:
    """Sound `[time]`, pitch (100 a second, and one more), vowels `[frame]`: alike for all throats but for the sound."""
    dice = torch.Generator().manual_seed(seed)
    length = round(seconds * RATE)
    notes = 130 * 2 ** (torch.randint(0, 10, (math.ceil(seconds * 2) + 2,), generator=dice) / 12)
    vowels = torch.randint(len(VOWELS), (math.ceil(seconds * 4) + 1,), generator=dice)
    time = torch.arange(length + PITCH_HOP)
    hz = smooth(notes.repeat_interleave(RATE // 2)[: len(time)], 1600)
    hz = hz * (1 + 0.01 * torch.sin(math.tau * 5 * time / RATE))
    turns = (hz.double() / RATE).cumsum(0)
    formants = torch.tensor(VOWELS)[vowels].repeat_interleave(RATE // 4, 0)[: len(time)].T * throat
    formants = torch.stack([smooth(formant, 400) for formant in formants])
    wave = 0.02 * torch.randn(len(time), generator=dice)  # breath
    for number in range(1, 25):
        loud = sum(1 / (1 + ((number * hz - formant) / 120) ** 2) for formant in formants)
        wave += (loud + 0.005) * torch.cos(math.tau * (number * turns).remainder(1.0)).float() * (number * hz < 7800)
    return 0.1 * wave[:length], hz[::PITCH_HOP], vowels.repeat_interleave(RATE // 4)[:length:UNIT]


def smooth(values: Tensor, samples: int) -> Tensor:
    """The mean of so many samples around."""
    padded = F.pad(values[None].double(), (samples // 2 + 1, samples // 2), mode="replicate")[0]
    sums = padded.cumsum(0)
    return ((sums[samples + 1 :] - sums[: -samples - 1]) / (samples + 1))[: len(values)].float()


class VowelEar(nn.Module):
    """Tells the vowels, whoever sings them: `[batch, time]` to `[batch, vowel, time // 320]`, from 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.power, self.mel = PowerSpectrum(512, UNIT), LogMel(n_fft=512, bands=40)
        self.first, self.second = nn.Conv1d(40, 48, 3, padding=1), nn.Conv1d(48, 48, 3, padding=1)
        self.out = nn.Conv1d(48, len(VOWELS), 1)

    def forward(self, wave: Tensor) -> Tensor:
        return self.told(wave).softmax(1)

    def told(self, wave: Tensor) -> Tensor:
        """Before the softmax."""
        bands = self.mel(self.power(wave[..., : wave.shape[-1] // UNIT * UNIT]))
        bands = 4 * (bands - bands.mean(1, keepdim=True))  # without the level
        told: Tensor = self.out(F.relu(self.second(F.relu(self.first(bands)))))
        return told


def taught(steps: int = 150) -> Ear:
    """The ear, after it has heard many throats."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ear = VowelEar()
    known = [song(1000 + number, 0.75 + 0.05 * (number % 13), 2.0) for number in range(39)]
    waves, vowels = torch.stack([wave for wave, *_ in known]), torch.stack([vowel for *_, vowel in known])
    optimizer, dice = torch.optim.Adam(ear.parameters(), 3e-3), torch.Generator().manual_seed(0)
    for _ in range(steps):
        some = torch.randperm(len(waves), generator=dice)[:8]
        optimizer.zero_grad()
        F.cross_entropy(ear.told(waves[some]), vowels[some]).backward()
        optimizer.step()
    return Ear(ear.eval().requires_grad_(False), len(VOWELS), ("second", "out"), "vowels", 2, 2)


class Singers:
    """In the place of `Songs`: a few songs of each, and others held out."""

    def __init__(self, ear: Ear, frames: int, sizes: Config = SIZES) -> None:
        self.ear, self.config, self.frames, self.singers = ear, sizes, frames, sorted(THROATS)
        self.training = self.held_out = [""]
        self.heard = {
            (held_out, singer): [self.listened(song(number, THROATS[singer])) for number in numbers]
            for singer in self.singers
            for held_out, numbers in ((False, range(SONGS)), (True, HELD_OUT))
        }

    def listened(self, sung: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        """What is known of a song."""
        wave, hz, _ = sung
        with torch.no_grad():
            return {
                "wave": wave,
                "pitch": hz,
                "content": content_of(wave, self.ear),
                "loudness": loudness_of(wave, SIZES.loudness_window),
            }

    def draw(self, dice: torch.Generator, count: int, places: int, *, held_out: bool = False) -> Batch:
        """As `Songs` does it."""
        rows = []
        for number in torch.randint(len(self.singers), (count,), generator=dice).tolist():
            songs = self.heard[held_out, self.singers[number]]
            whole = songs[int(torch.randint(len(songs), (), generator=dice))]
            first = int(torch.randint(whole["content"].shape[-1] - self.frames, (), generator=dice))
            row = cut(whole, first, self.frames) | {"singer": torch.tensor(number)}
            rows.append(row | {"places": torch.zeros(places, dtype=torch.long), "sure": torch.zeros(places)})
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def cut(whole: dict[str, Tensor], first: int, frames: int) -> dict[str, Tensor]:
    """Some content frames of a song."""
    steps, pitches = UNIT // LOUDNESS_HOP, UNIT // PITCH_HOP
    return {
        "wave": whole["wave"][first * UNIT : (first + frames) * UNIT],
        "pitch": whole["pitch"][first * pitches : (first + frames) * pitches + 1],
        "content": whole["content"][:, first : first + frames],
        "loudness": whole["loudness"][first * steps : (first + frames) * steps],
    }


def learnt(singers: Singers, plan: Plan) -> SingRecipe:
    """By the recipe and the trainer of the house."""
    recipe = SingRecipe(cast(Any, singers), plan)
    with tempfile.TemporaryDirectory() as folder:
        train(recipe, folder, device="cpu", save_every=10**9)
    recipe.nets.eval().requires_grad_(False)
    return recipe


@torch.no_grad()
def spectral_loss(recipe: SingRecipe) -> float:
    """On songs held out, by their own singers."""
    batch = recipe.songs.draw(torch.Generator().manual_seed(0), 8, 1, held_out=True)
    made = recipe.render(batch, torch.arange(8), recipe.table(batch["singer"]), torch.Generator().manual_seed(0))
    return sum(part.item() for part in reconstruction(made, batch["wave"]))


@torch.no_grad()
def sung(recipe: SingRecipe, clip: dict[str, Tensor], voice: Tensor, semitones: float = 0.0) -> Tensor:
    """As whoever listens hears it, `[time]`."""
    heard = Heard(clip["content"], clip["loudness"], clip["pitch"] * 2 ** (semitones / 12))
    return torch.cat(list(render(recipe.generator, recipe.config, heard, voice, 0)))


def envelope(wave: Tensor) -> Tensor:
    """The mean log-mel spectrum `[40]`, without its level."""
    bands: Tensor = LogMel(n_fft=512, bands=40)(PowerSpectrum(512, 160)(wave[None]))[0].mean(-1)
    return bands - bands.mean()


def apart(one: Tensor, other: Tensor) -> float:
    """Of two recordings' envelopes, in the units of `LogMel`, root of the mean square."""
    return (envelope(one) - envelope(other)).square().mean().sqrt().item()


def swapped(recipe: SingRecipe, songs: int = len(HELD_OUT)) -> Iterator[tuple[dict[str, Tensor], Tensor, Tensor]]:
    """Of so many songs of each singer held out: the song, the other singer's row, and how that one would sing it."""
    heard = cast(Any, recipe.songs).heard
    for source in sorted(THROATS):
        [target] = THROATS.keys() - {source}
        for clip, wanted in list(zip(heard[True, source], heard[True, target], strict=True))[:songs]:
            yield clip, recipe.table.row(target), wanted["wave"]


def converted(recipe: SingRecipe) -> list[tuple[float, float]]:
    """Of every clip that the other singer sings: how far it is from that singer's own, and from the source."""
    rows = []
    for clip, voice, wanted in swapped(recipe):
        made = sung(recipe, clip, voice)
        rows.append((apart(made, wanted), apart(made, clip["wave"])))
    return rows


def cents(recipe: SingRecipe, semitones: float, songs: int = len(HELD_OUT)) -> list[float]:
    """Of so many songs of each, sung by the other, median distance from the pitch that was asked for."""
    found = []
    for clip, voice, _ in swapped(recipe, songs):
        hz = pitch(Audio(sung(recipe, clip, voice, semitones)[None], RATE)).values
        wanted = clip["pitch"][: len(hz)] * 2 ** (semitones / 12)
        found.append((1200 * (hz / wanted).log2().abs()).nan_to_num(1200.0).median().item())
    return found


@torch.no_grad()
def words_apart(recipe: SingRecipe, share: float = 1.0) -> list[float]:
    """Of every clip that the other singer sings, distance of the ear's activations from those on the source.

    Args:
        recipe: After its lesson.
        share: Of the other singer in who sings; the rest is the clip's own.
    """
    judge, found = recipe.songs.ear.activations, []
    middle = recipe.table(torch.arange(len(THROATS))).mean(0)
    for clip, voice, _ in swapped(recipe):
        made = sung(recipe, clip, torch.lerp(2 * middle - voice, voice, share))
        found.append(perceptual(judge(made[None]), judge(clip["wave"][None, : len(made)])).item())
    return found


def figures(name: str, plan: Plan, ear: Ear) -> dict[str, Any]:
    """Of one of the four."""
    sizes = BARE if name == "without the sine" else SIZES
    if name == "without perceptual losses":
        plan = replace(plan, weights=DEAF)
    elif name == "without virtual singers":
        plan = replace(plan, swapped=plan.swapped + plan.mixed, mixed=0)
    singers = Singers(ear, plan.frames, sizes)
    before = spectral_loss(SingRecipe(cast(Any, singers), plan))
    recipe = learnt(singers, plan)
    return {
        "loss": (spectral_loss(recipe), before),
        "near": [target < source for target, source in converted(recipe)],
        "cents": {semitones: cents(recipe, semitones, 4) for semitones in (0, 4, -3)},
        "words": words_apart(recipe),
        "halfway": words_apart(recipe, 0.5),
    }


def column(ours: dict[str, Any], whole: dict[str, Any]) -> list[str]:
    """Its figures as text, beside those of the recipe as it is."""

    def more(name: str) -> str:
        values = torch.tensor(ours[name])
        if ours is whole:
            return f"{values.mean():.3f}"
        extra = values - torch.tensor(whole[name])
        return f"{values.mean():.3f} ({extra.mean():+.3f} ± {1.96 * extra.std() / len(extra) ** 0.5:.3f})"

    return [
        "{:.2f} of {:.2f}".format(*ours["loss"]),
        f"{sum(ours['near'])} of {len(ours['near'])}",
        *(f"{sum(one < 50 for one in some)} of {len(some)}" for some in ours["cents"].values()),
        f"{max(max(some) for some in ours['cents'].values()):.1f}",
        more("words"),
        more("halfway"),
    ]


def main() -> None:
    """Teach the ear, then train four times, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=PLAN.steps)
    arguments = parser.parse_args()
    plan, ear = replace(PLAN, steps=arguments.steps, swaps_from=arguments.steps // 3), taught()
    found = {name: figures(name, plan, ear) for name in ARMS}
    names = [
        "spectral loss", "nearer to the target", "within 50 cents", "4 semitones up", "3 down", "cents at most",
        "words apart", "halfway: words",
    ]  # fmt: skip
    table = Table("held out", *found, title=f"{plan.steps} steps")
    for row in zip(names, *(column(one, found[ARMS[0]]) for one in found.values()), strict=True):
        table.add_row(*row)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
