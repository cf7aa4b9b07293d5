"""How Demucs learns: the waveform of every stem as it is, absolute differences, and an average of the weights.

The published recipe, less the machines: Adam at 3e-4 and the mean absolute difference of waveforms, on random mixtures.
The authors took 32 to 64 clips at a time on eight GPUs for days; on one it takes weeks to come near.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.catalog.checkpoint import to_safetensors
from mynah.core.errors import BadData
from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio
from mynah.separate.demucs.engine import Engine
from mynah.separate.demucs.package import CLASSES, STEMS
from mynah.separate.demucs.waveform import centred
from mynah.train.mixtures import Mixtures, found

SEGMENT = Fraction(39, 5)  # seconds
SETTINGS = {"dconv_mode": 3, "bottom_channels": 512, "t_dropout": 0.02, "segment": SEGMENT}


class DemucsRecipe(Recipe):
    """One Demucs from nothing.

    Args:
        mixtures: What it learns from; they name its stems.
        tests: Mixtures of songs that it does not learn from.
        kind: `"waveform"`, `"time"`, `"hybrid"` or `"transformer"`.
        settings: Of that net, without the stems.
        steps: Of the whole run.
        clips: Of a batch.
        seconds: Of a clip.
        rate: Learning rate.
        seed: Of the first weights.
    """

    name = "demucs"
    clip_norm = 5.0
    ema = 0.9995

    def __init__(
        self,
        mixtures: Mixtures,
        tests: Sequence[Mixtures] = (),
        *,
        kind: str = "transformer",
        settings: Mapping[str, Any] = SETTINGS,
        steps: int = 200_000,
        clips: int = 4,
        seconds: float | Fraction = SEGMENT,
        rate: float = 3e-4,
        seed: int = 0,
    ) -> None:
        self.mixtures, self.tests, self.steps, self.clips, self.rate = mixtures, tests, steps, clips, rate
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.engine = Engine(kind, {**settings, "sources": list(mixtures.stems), "samplerate": mixtures.rate})
        self.samples = self.engine.heard(int(seconds * mixtures.rate), int(seconds * mixtures.rate))
        self.nets = nn.ModuleDict({"engine": self.engine})

    def batch(self, step: int) -> Batch:
        return self.mixtures.batch(step, self.clips, self.samples)

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.nets.parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        return self.rate * min(1.0, (step + 1) / 100)

    def optimizer(self, turn: str) -> dict[str, Any]:
        return {"betas": (0.9, 0.999), "weight_decay": 0.0}

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        told = self.engine(batch["mix"])
        return {"difference": F.l1_loss(told, centred(batch["stems"], told.shape[-1]))}

    @torch.no_grad()
    def measures(self) -> dict[str, float]:
        """Gain over the mix in dB on songs that were held out, of all stems and of each."""
        if not self.tests:
            return {}
        learning = self.engine.training
        self.engine.eval()
        gains = []
        for test in self.tests:
            batch = test.batch(0, 4, self.samples)
            told = self.engine(batch["mix"].to(next(self.engine.parameters()).device)).cpu()
            stems, mix = centred(batch["stems"], told.shape[-1]), centred(batch["mix"], told.shape[-1])
            gains.append(_ratio(stems, told) - _ratio(stems, mix[:, None].expand_as(stems)))
        self.engine.train(learning)
        every = torch.cat(gains)
        by_stem = zip(self.mixtures.stems, every.mean(0).tolist(), strict=True)
        return {"gain_db": every.mean().item()} | {f"gain_db_{stem}": gain for stem, gain in by_stem}

    @torch.no_grad()
    def preview(self, batch: Batch) -> Audio:
        """The last stem of the first clip."""
        return Audio(self.engine(batch["mix"][:1])[0, -1].cpu(), self.mixtures.rate)

    def export(self, folder: str) -> list[str]:
        """One safetensors file, as the package writes them: it loads there as it does here."""
        [klass] = [name for name, kind in CLASSES.items() if kind == self.engine.kind and "wdemucs" not in name]
        settings = {name: _json(value) for name, value in sorted(self.engine.settings.items())}
        about = {"klass": klass, "args": "[]", "kwargs": json.dumps(settings)}
        state = self.engine.net.state_dict()
        return [str(to_safetensors(state, Path(folder) / "demucs.safetensors", about, dtype=torch.float16))]


def course(data: Path, folder: Path, *, hold_out: Sequence[str] = ()) -> dict[str, Callable[[], Recipe]]:
    """One stage: the fourth version, on the four stems where the data has them, else on vocals and the rest.

    Args:
        data: Folder of songs in stems, see `mynah.train.mixtures.found`.
        folder: Where prepared recordings are kept.
        hold_out: Patterns of songs to measure on; they are not learnt from.
    """

    def learn() -> Recipe:
        songs, cache = found(data), folder / "prepared"
        aside = [name for name in songs if any(fnmatch(name, pattern) for pattern in hold_out)]
        there = {what for name, files in songs.items() if name not in aside for what in files}
        stems = STEMS if {"drums", "bass"} <= there else ("accompaniment", "vocals")
        tests = []
        for place in (data / name for name in aside if (data / name).is_dir()):
            try:
                tests.append(Mixtures(place, cache, stems, seed=1))
            except BadData:  # a song without one of the stems is no test of them all
                continue
        return DemucsRecipe(Mixtures(data, cache, stems, hold_out=hold_out), tests)

    return {"demucs": learn}


def _ratio(wanted: Tensor, told: Tensor) -> Tensor:
    """Of signal to difference in dB, `[clip, stem]`; silence is given the benefit of a small constant."""
    signal, noise = wanted.square().sum((-2, -1)), (wanted - told).square().sum((-2, -1))
    return 10 * torch.log10((signal + 1e-7) / (noise + 1e-7))


def _json(value: Any) -> Any:
    if isinstance(value, Fraction):
        return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}
    return value
