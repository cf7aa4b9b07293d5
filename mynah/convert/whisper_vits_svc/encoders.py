"""The two encoders: what content and melody lead to expect, and what is heard in a recording."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mynah.convert.whisper_vits_svc.sizes import NetConfig
from mynah.nets.normed import Conv1d
from mynah.nets.relative import RelativeEncoder
from mynah.nets.wavenet import WaveNet

STEPS = 256  # of pitch
LOW_HZ, HIGH_HZ = 50.0, 1100.0


class Latent(NamedTuple):
    """A Gaussian for every frame and a sample of it, all `[batch, channel, frame]`; `spread` is a logarithm."""

    sample: Tensor
    mean: Tensor
    spread: Tensor


def pitch_steps(pitch: Tensor) -> Tensor:
    """Pitch in steps of equal width on the mel scale: 1 (50 Hz and below, or unvoiced) to 255 (1100 Hz and above).

    Example:

        >>> pitch_steps(torch.tensor([0.0, 50.0, 220.0, 1100.0, 2000.0]))
        tensor([  1,   1,  60, 255, 255])
    """
    low, high = (1127 * math.log1p(hz / 700) for hz in (LOW_HZ, HIGH_HZ))
    mel = 1127 * (1 + pitch / 700).log()
    step = (mel - low) * (STEPS - 2) / (high - low) + 1
    return (step.clamp(1, STEPS - 1) + 0.5).long()


class Prior(nn.Module):
    """What is to be expected of content and melody, whoever sings; the key layout is the published one."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        hidden = config.hidden
        self.pre = nn.Conv1d(config.words, hidden, 5, padding=2)
        if config.sounds:
            self.hub = nn.Conv1d(config.sounds, hidden, 5, padding=2)
        self.pit = nn.Embedding(STEPS, hidden)
        self.enc = RelativeEncoder(hidden, config.filters, config.heads, config.layers, 3, window=4, dropout=0.1)
        self.proj = nn.Conv1d(hidden, 2 * config.latent, 1)

    def forward(
        self, words: Tensor, sounds: Tensor | None, pitch: Tensor, mask: Tensor, noise: Tensor
    ) -> tuple[Latent, Tensor]:
        """The Gaussians, and the state that they were made of `[batch, hidden, frame]`.

        Args:
            words: `[batch, size, frame]`.
            sounds: `[batch, size, frame]`, where the net hears a second feature.
            pitch: Hz, 0 where unvoiced, `[batch, frame]`.
            mask: `[batch, 1, frame]`.
            noise: Of variance one, `[batch, latent, frame]`.
        """
        x = self.pre(words) * mask
        if sounds is not None:
            x = x + self.hub(sounds) * mask
        state = self.enc(x + self.pit(pitch_steps(pitch)).transpose(1, 2), mask)
        mean, spread = (self.proj(state) * mask).chunk(2, 1)
        return Latent((mean + noise * spread.exp()) * mask, mean, spread), state


class Posterior(nn.Module):
    """What is heard in a recording of a voice that is known; only training needs it."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.pre = nn.Conv1d(config.bins, config.hidden, 1)
        self.enc = WaveNet(config.hidden, 5, config.posterior_layers, condition=config.condition)
        self.proj = nn.Conv1d(config.hidden, 2 * config.latent, 1)

    def forward(self, spectrum: Tensor, mask: Tensor, condition: Tensor, noise: Tensor) -> Latent:
        """The Gaussians.

        Args:
            spectrum: Magnitudes, `[batch, bin, frame]`.
            mask: `[batch, 1, frame]`.
            condition: What is made of the voice, `[batch, condition]`.
            noise: Of variance one, `[batch, latent, frame]`.
        """
        x = self.enc(self.pre(spectrum) * mask, mask, condition[..., None])
        mean, spread = (self.proj(x) * mask).chunk(2, 1)
        return Latent((mean + noise * spread.exp()) * mask, mean, spread)


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(context: object, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(context: object, *grads: Tensor) -> Tensor:
        return -grads[0]


class _Reversal(nn.Module):
    """What is learnt behind this is unlearnt before it."""

    def forward(self, x: Tensor) -> Tensor:
        return _Reversed.apply(x)  # type: ignore[no-untyped-call]


class SpeakerClassifier(nn.Module):
    """Guesses the vector of the voice from the prior's state, so that the prior learns to hide it.

    Source: Ganin and Lempitsky, arXiv 1409.7495; for voices, Zaidi et al., arXiv 2108.02271.

    Shape:
        `[batch, hidden, frame]` to `[batch, size]`.
    """

    def __init__(self, hidden: int, voice: int) -> None:
        super().__init__()
        self.classifier = nn.Sequential(
            _Reversal(),
            Conv1d(hidden, hidden, 5, padding=2),
            nn.ReLU(),
            Conv1d(hidden, hidden, 5, padding=2),
            nn.ReLU(),
            Conv1d(hidden, voice, 5, padding=2),
        )

    def forward(self, state: Tensor) -> Tensor:
        return self.classifier(state).mean(-1)
