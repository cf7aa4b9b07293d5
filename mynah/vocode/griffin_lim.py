"""Griffin-Lim: sound whose spectra are as strong as a mel spectrogram says, found in a number of rounds.

No weights. Phases begin at random; each round makes sound of the spectra and takes that sound's phases (Griffin and
Lim, 1984), with momentum (Perraudin, Balazs and Søndergaard, 2013). What a band says of its bins is spread over them
so that the bands come out right again and nothing is negative (Lee and Seung, 2001).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from mynah.core.errors import BadOption
from mynah.core.system import Card, System
from mynah.core.types import Audio
from mynah.core.verbs import Options
from mynah.features.mel import MelFormat, deemphasised
from mynah.features.resound import resound

ROUNDS = 32
MOMENTUM = 0.99
SPREADING = 40  # rounds, by which strengths of bins are found; more change nothing that can be heard


@dataclass(frozen=True)
class Config:
    """Of which mel spectrograms."""

    format: MelFormat = field(default_factory=MelFormat)


class GriffinLimOptions(Options):
    """What a listener may change."""

    rounds: Annotated[int, Field(ge=1, le=1000, description="how often phases are improved")] = ROUNDS
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="of the phases in the beginning")] = 0


class GriffinLim(System[Config]):
    """Makes sound of mel spectrograms of any format."""

    card = Card(
        verbs=("vocode",),
        paper="Griffin and Lim, Signal estimation from modified short-time Fourier transform, 1984",
        origin="ours, after the paper",
    )

    @property
    def format(self) -> MelFormat:
        """That it makes sound of."""
        return self.config.format

    @classmethod
    def tiny(cls) -> Self:
        return cls(Config(MelFormat(16_000, 256, 64, 256, 40, 0.0, None)))

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu", format: MelFormat | None = None) -> Self:
        """There is nothing to load; `format` is what it shall make sound of.

        Raises:
            BadOption: Weights were named, and it has none.
        """
        if weights != "default":
            raise BadOption(f"Griffin-Lim has no weights, and {weights!r} was asked for: leave --weights out")
        return cls(Config(format or MelFormat()))

    @classmethod
    def recognises(cls, place: Path) -> bool:
        """Never: there are no weights."""
        return False

    def vocode(self, source: Audio, options: GriffinLimOptions | None = None) -> Audio:
        """To a mel spectrogram and back: one channel, as long, at the rate of the format."""
        chosen = options or GriffinLimOptions()
        return resound(source, self.format, lambda mel: self._wave(mel, chosen.seed, chosen.rounds))

    def wave(self, mel: Tensor, *, seed: int = 0) -> Tensor:
        """Sound `[batch, frame * hop]` in [-1, 1] of mel spectrograms `[batch, band, frame]`."""
        return self._wave(mel, seed, ROUNDS)

    @torch.inference_mode()
    def _wave(self, mel: Tensor, seed: int, rounds: int) -> Tensor:
        strengths = spread(self.format.magnitudes(mel.float()).transpose(1, 2), self.format)
        return phased(strengths, self.format, rounds, seed)


def spread(strengths: Tensor, format: MelFormat) -> Tensor:
    """Magnitudes of bins `[batch, frame, bin]`, none negative, of those of bands `[batch, frame, band]`."""
    filters = format.filters().to(strengths)
    found = strengths / filters.sum(1).clamp(min=1e-9) @ filters
    wanted, both = strengths @ filters, filters.T @ filters
    for _ in range(SPREADING):
        found = found * wanted / (found @ both).clamp(min=1e-12)
    return found


def phased(strengths: Tensor, format: MelFormat, rounds: int, seed: int) -> Tensor:
    """Sound `[batch, frame * hop]` in [-1, 1] whose spectra are about as strong as `[batch, frame, bin]`."""
    frames, begin = strengths.shape[1], format.before
    dice = torch.Generator().manual_seed(seed)
    turns = torch.rand(strengths.shape, generator=dice).to(strengths.device) * math.tau
    guess, last = torch.polar(torch.ones_like(strengths), turns), torch.zeros((), device=strengths.device)
    room = format.n_fft - format.win
    window = F.pad(format.window(), (room // 2, room - room // 2)).to(strengths.device)
    covered = _added(window.square().expand(1, frames, -1), format.hop).clamp(min=1e-3)

    def sound() -> Tensor:
        return _added(torch.fft.irfft(strengths * guess, format.n_fft) * window, format.hop) / covered

    for _ in range(rounds):
        now = torch.fft.rfft(sound().unfold(-1, format.n_fft, format.hop) * window)
        # A step on in the direction of the last one finds better phases, and sooner.
        guess, last = now + MOMENTUM * (now - last), now
        guess = guess / guess.abs().clamp(min=1e-16)
    wave = sound()[:, begin : begin + frames * format.hop]
    return deemphasised(wave, format.preemphasis).clamp(-1, 1)


def _added(pieces: Tensor, hop: int) -> Tensor:
    """Pieces `[batch, frame, time]` that begin `hop` after each other, as one sound."""
    batch, frames, size = pieces.shape
    parts = -(-size // hop)
    pieces = F.pad(pieces, (0, parts * hop - size)).view(batch, frames, parts, hop)
    whole = pieces.new_zeros(batch, frames + parts - 1, hop)
    for part in range(parts):
        whole[:, part : part + frames] += pieces[:, :, part]
    return whole.flatten(1)[:, : (frames - 1) * hop + size]
