"""How nets learn that give stems as waves: random mixtures in, the error of every sample out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from glob import escape
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from mynah.catalog.checkpoint import to_safetensors
from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio
from mynah.metrics.stems import si_sdr
from mynah.train.mixtures import PLAIN, Mixtures, found

Compare = Callable[[Tensor, Tensor], Tensor]
UNVARIED = replace(PLAIN, gain_db=0.0, across=0.0)


def cosine(high: float, low: float, cycle: int) -> Callable[[int], float]:
    """A learning rate that falls along half a cosine, again and again.

    Example:

        >>> rate = cosine(1.0, 0.0, cycle=4)
        >>> [round(rate(step), 2) for step in range(6)]
        [1.0, 0.85, 0.5, 0.15, 1.0, 0.85]
    """
    return lambda step: low + (high - low) * (1 + math.cos(math.pi * (step % cycle) / cycle)) / 2


class StemsRecipe(Recipe):
    """Regression on the stems of random mixtures, each of which is made softer by chance.

    Args:
        net: From `[batch, channel, heard]` to `[batch, stem, channel, given]`, the middle of what it hears.
        mixtures: With the net's stems in the net's order.
        heard: Samples of a clip.
        steps: Of the whole run.
        clips: In a batch.
        rate: Learning rate of a step.
        compare: What the net gives and what it should give, to one number.
        gains: Every stem is multiplied by something between these.
        judged: Mixtures that are not learnt from; without, nothing is measured.
        file: What the net is exported as.
        described: Free text in that file, by name.
        seed: Of the gains.
    """

    name = "stems"
    clip_norm = math.inf

    def __init__(
        self,
        net: nn.Module,
        mixtures: Mixtures,
        *,
        heard: int,
        steps: int,
        clips: int,
        rate: Callable[[int], float],
        compare: Compare,
        gains: tuple[float, float] = (0.7, 1.0),
        judged: Mixtures | None = None,
        file: str = "stems",
        described: Mapping[str, str] | None = None,
        seed: int = 0,
    ) -> None:
        self.net, self.mixtures, self.heard, self.steps, self.clips = net, mixtures, heard, steps, clips
        self.rate, self.compare, self.gains, self.judged, self.seed = rate, compare, gains, judged, seed
        self.file, self.described = file, dict(described or {})
        self.net.train().requires_grad_(True)
        self.nets = nn.ModuleDict({"net": net})

    def batch(self, step: int) -> Batch:
        stems = self.mixtures.batch(step, self.clips, self.heard)["stems"]
        dice = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        low, high = self.gains
        stems = stems * (low + (high - low) * torch.rand(*stems.shape[:2], 1, 1, generator=dice))
        return {"mix": stems.sum(1), "stems": stems}

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.net.parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        return self.rate(step)

    def optimizer(self, turn: str) -> dict[str, object]:
        """Adam as it was, without decay of weights."""
        return {"betas": (0.9, 0.999), "weight_decay": 0.0}

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        given: Tensor = self.net(batch["mix"])
        return {"error": self.compare(given, middle(batch["stems"], given.shape[-1]))}

    @torch.no_grad()
    def measures(self) -> dict[str, float]:
        """Median gain in SI-SDR over the mix, in dB, over the stems of held-out mixtures."""
        if self.judged is None:
            return {}
        place = next(self.net.parameters()).device
        self.net.eval()
        gains = []
        for step in range(4):
            batch = self.judged.batch(step, 4, self.heard)
            given = self.net(batch["mix"].to(place)).cpu()
            true, mix = middle(batch["stems"], given.shape[-1]), middle(batch["mix"], given.shape[-1])
            for clip in range(len(given)):
                for stem in range(given.shape[1]):
                    gain = si_sdr(true[clip, stem], given[clip, stem]) - si_sdr(true[clip, stem], mix[clip])
                    gains += [gain] if math.isfinite(gain) else []
        self.net.train()
        return {"gain_db": median(gains)} if gains else {}

    def preview(self, batch: Batch) -> Audio | None:
        with torch.no_grad():
            last: Tensor = self.net(batch["mix"][:1])[0, -1]
        return Audio(last.clamp(-1, 1).float().cpu(), self.mixtures.rate)

    def export(self, folder: str) -> list[str]:
        path = Path(folder) / f"{self.file}.safetensors"
        return [str(to_safetensors(self.net.state_dict(), path, self.described))]


def middle(samples: Tensor, length: int) -> Tensor:
    """The part of a clip that a net with context answers for."""
    front = (samples.shape[-1] - length) // 2
    return samples[..., front : front + length]


def as_they_are(
    data: Path, cache: Path, stems: Sequence[str], rate: int, channels: int, hold_out: Sequence[str] = ()
) -> tuple[Mixtures, Mixtures | None]:
    """Mixtures of songs as they were recorded; and of the songs that are held out, if any are.

    Args:
        data: Folder of songs in stems.
        cache: Where recordings are kept as plain samples.
        stems: What a net is to tell apart.
        rate: In Hz.
        channels: 1 or 2.
        hold_out: Patterns of songs.

    Raises:
        BadData: A stem of which no recording was found.
    """

    def mixtures(left_out: Sequence[str], seed: int) -> Mixtures:
        return Mixtures(
            data, cache, stems, rate=rate, channels=channels, hold_out=left_out, variety=UNVARIED, seed=seed
        )  # fmt: skip

    learnt = mixtures(hold_out, 0)
    if not hold_out:
        return learnt, None
    others = [escape(song) for song in found(data) if not any(fnmatch(song, pattern) for pattern in hold_out)]
    return learnt, mixtures(others, 1)
