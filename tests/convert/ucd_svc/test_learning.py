"""Two made-up singers are learnt in seconds: spectrum and melody."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from mynah.convert.ucd_svc.hear import Heard, loudness_of
from mynah.convert.ucd_svc.listeners import Ear, student_ear
from mynah.convert.ucd_svc.objectives import reconstruction
from mynah.convert.ucd_svc.recipe.plan import WEIGHTS, Plan
from mynah.convert.ucd_svc.recipe.sing import SingRecipe
from mynah.convert.ucd_svc.rendering import render
from mynah.convert.ucd_svc.sizes import LOUDNESS_HOP, PITCH_HOP, RATE, UNIT, Config, config
from mynah.core.recipe import Batch
from mynah.core.types import Audio
from mynah.features import content
from mynah.features.pitch import pitch

VOWELS = ((700, 1200), (300, 2300), (500, 1500), (350, 900))
THROATS = {"anna": 1.25, "bert": 0.85}


def song(seed: int, throat: float, seconds: float) -> tuple[Tensor, Tensor, Tensor]:
    """Sound `[time]`, pitch (100 a second, and one more) and words `[size, frame]`, alike for all throats."""
    dice = torch.Generator().manual_seed(seed)
    length = round(seconds * RATE)
    notes = 130 * 2 ** (torch.randint(0, 10, (math.ceil(seconds * 2) + 2,), generator=dice) / 12)
    vowels = torch.randint(len(VOWELS), (math.ceil(seconds * 4) + 1,), generator=dice).tolist()
    time = torch.arange(length + PITCH_HOP)
    hz = smooth(notes.repeat_interleave(RATE // 2)[: len(time)], 1600)
    hz = hz * (1 + 0.01 * torch.sin(2 * math.pi * 5 * time / RATE))
    turns = (hz.double() / RATE).cumsum(0)
    formants = torch.tensor(VOWELS)[vowels].repeat_interleave(RATE // 4, 0)[: len(time)].T * throat
    formants = torch.stack([smooth(formant, 400) for formant in formants])
    wave = torch.zeros(len(time))
    for number in range(1, 25):
        loud = sum(1 / (1 + ((number * hz - formant) / 120) ** 2) for formant in formants)
        wave += (loud + 0.005) * torch.cos(2 * math.pi * (number * turns).remainder(1.0)).float() * (number * hz < 7800)
    signs = torch.randn(len(VOWELS), 64, generator=torch.Generator().manual_seed(0))
    words = signs[torch.tensor(vowels)].repeat_interleave(RATE // 4, 0)[:length:UNIT].T
    return 0.1 * wave[:length], hz[::PITCH_HOP], words


def smooth(values: Tensor, samples: int) -> Tensor:
    """The mean of so many samples around."""
    padded = torch.nn.functional.pad(values[None].double(), (samples // 2 + 1, samples // 2), mode="replicate")[0]
    sums = padded.cumsum(0)
    return ((sums[samples + 1 :] - sums[: -samples - 1]) / (samples + 1))[: len(values)].float()


class Singers:
    """In the place of `Songs`: a few seconds of each, one more song of each held out."""

    def __init__(self, ear: Ear, config: Config, frames: int = 12, seconds: float = 4.0) -> None:
        self.ear, self.config, self.frames, self.singers = ear, config, frames, sorted(THROATS)
        self.training = self.held_out = [""]
        self.heard = {
            (held_out, singer): self._heard(*song(10 + held_out if held_out else number, throat, seconds))
            for held_out in (False, True)
            for number, (singer, throat) in enumerate(sorted(THROATS.items()))
        }

    def _heard(self, wave: Tensor, pitch: Tensor, words: Tensor) -> dict[str, Tensor]:
        return {"wave": wave, "pitch": pitch, "content": words, "loudness": loudness_of(wave, 512)}

    def clip(self, singer: str, first: int, frames: int, *, held_out: bool = False) -> dict[str, Tensor]:
        whole = self.heard[held_out, singer]
        steps, pitches = UNIT // LOUDNESS_HOP, UNIT // PITCH_HOP
        return {
            "wave": whole["wave"][first * UNIT : (first + frames) * UNIT],
            "pitch": whole["pitch"][first * pitches : (first + frames) * pitches + 1],
            "content": whole["content"][:, first : first + frames],
            "loudness": whole["loudness"][first * steps : (first + frames) * steps],
            "singer": torch.tensor(self.singers.index(singer)),
        }

    def draw(self, dice: torch.Generator, count: int, places: int, *, held_out: bool = False) -> Batch:
        rows = []
        for number in torch.randint(2, (count,), generator=dice).tolist():
            singer = self.singers[number]
            room = self.heard[held_out, singer]["content"].shape[-1] - self.frames
            row = self.clip(singer, int(torch.randint(room, (), generator=dice)), self.frames, held_out=held_out)
            chosen = torch.randint(1, 2 * self.frames - 1, (places,), generator=dice)
            rows.append(row | {"places": chosen * PITCH_HOP, "sure": torch.ones(places)})
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


SIZES = config(window=512, voice=8, layers=8, stacks=2, residual=16, gates=32, skip=16)
PLAN = Plan(
    steps=110, clips=4, swapped=1, mixed=1, frames=8, swaps_from=10**9, rate=1.5e-2, critics_from=10**9, ema=None,
    bf16=False, weights=WEIGHTS | {"melody": 0.0, "words": 0.0},
)  # fmt: skip


@cache
def singers() -> Singers:
    return Singers(student_ear(content.load()), SIZES)


@cache
def learnt() -> SingRecipe:
    recipe = SingRecipe(cast(Any, singers()), PLAN)
    optimizer = torch.optim.AdamW(recipe.parameters("net"), betas=(0.8, 0.99))
    for step in range(PLAN.steps):
        optimizer.param_groups[0]["lr"] = recipe.learning_rate("net", step)
        optimizer.zero_grad()
        torch.stack(list(recipe.losses("net", recipe.batch(step)).values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(recipe.parameters("net"), 1.0)
        optimizer.step()
    recipe.nets.eval().requires_grad_(False)
    return recipe


@torch.no_grad()
def rendered(recipe: SingRecipe, clip: dict[str, Tensor], singer: str, semitones: float = 0.0) -> Tensor:
    heard = Heard(clip["content"], clip["loudness"], clip["pitch"] * 2 ** (semitones / 12))
    return torch.cat(list(render(recipe.generator, SIZES, heard, recipe.table.row(singer), 0)))


def loss(recipe: SingRecipe) -> float:
    batch = singers().draw(torch.Generator().manual_seed(0), 8, 1, held_out=True)
    dice = torch.Generator().manual_seed(0)
    with torch.no_grad():
        made = recipe.render(batch, torch.arange(8), recipe.table(batch["singer"]), dice)
    return sum(part.item() for part in reconstruction(made, batch["wave"]))


def test_the_spectral_loss_on_songs_held_out_falls_by_half() -> None:
    assert loss(learnt()) < 0.5 * loss(SingRecipe(cast(Any, singers()), PLAN))


@pytest.mark.parametrize("semitones", [0.0, 4.0, -3.0])
def test_the_melody_is_the_one_that_was_asked_for(semitones: float) -> None:
    clip = singers().clip("anna", 0, 190, held_out=True)
    made = pitch(Audio(rendered(learnt(), clip, "bert", semitones)[None], RATE)).values
    wanted = clip["pitch"][: len(made)] * 2 ** (semitones / 12)
    cents = 1200 * (made / wanted).log2().abs()
    assert made.isfinite().float().mean() > 0.8
    assert cents[cents.isfinite()].median() < 50
