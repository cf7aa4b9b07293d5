"""The net: what is to be expected of content and melody, a flow that puts a voice on, and the decoder.

VITS (Kim, Kong, Son, arXiv 2106.06103) with content for text; the key layout is that of the published files.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.convert.rvc.decoder import Decoder
from mynah.convert.rvc.sizes import STEPS, NetConfig
from mynah.nets.flows import Coupling, Flip
from mynah.nets.relative import RelativeEncoder
from mynah.nets.wavenet import WaveNet

LOW_HZ, HIGH_HZ = 50.0, 1100.0
SPREAD = 0.66666  # share of the prior's variety that the original sings with


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
    return ((mel - low) * (STEPS - 2) / (high - low) + 1).clamp(1, STEPS - 1).round().long()


class Prior(nn.Module):
    """What is to be expected of content and melody, whoever sings."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.emb_phone = nn.Linear(config.words, config.hidden)
        if config.pitched:
            self.emb_pitch = nn.Embedding(STEPS, config.hidden)
        self.encoder = RelativeEncoder(config.hidden, config.filters, config.heads, config.layers, 3, window=10)
        self.proj = nn.Conv1d(config.hidden, 2 * config.latent, 1)

    def forward(self, words: Tensor, pitch: Tensor | None, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the spread, `[batch, latent, frame]`.

        Args:
            words: `[batch, size, frame]`.
            pitch: Hz, 0 where unvoiced, `[batch, frame]`; for a net that is told one.
            mask: `[batch, 1, frame]`.
        """
        x = self.emb_phone(words.transpose(1, 2))
        if pitch is not None:
            x = x + self.emb_pitch(pitch_steps(pitch))
        x = F.leaky_relu(x * math.sqrt(x.shape[-1]), 0.1).transpose(1, 2)
        mean, spread = (self.proj(self.encoder(x, mask)) * mask).chunk(2, 1)
        return mean, spread


class Posterior(nn.Module):
    """What is heard in a recording of a voice that is known; only training needs it."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.pre = nn.Conv1d(config.bins, config.hidden, 1)
        self.enc = WaveNet(config.hidden, 5, 16, condition=config.condition)
        self.proj = nn.Conv1d(config.hidden, 2 * config.latent, 1)

    def forward(self, spectrum: Tensor, mask: Tensor, voice: Tensor, noise: Tensor) -> Latent:
        """The Gaussians.

        Args:
            spectrum: Magnitudes, `[batch, bin, frame]`.
            mask: `[batch, 1, frame]`.
            voice: `[batch, size]`.
            noise: Of variance one, `[batch, latent, frame]`.
        """
        x = self.enc(self.pre(spectrum) * mask, mask, voice[..., None])
        mean, spread = (self.proj(x) * mask).chunk(2, 1)
        return Latent((mean + noise * spread.exp()) * mask, mean, spread)


class Flow(nn.Module):
    """Couplings with flips between them.

    Shape:
        `[batch, channel, frame]` in and out; mask `[batch, 1, frame]`; voice `[batch, size]`.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.flows = nn.ModuleList()
        for _ in range(4):
            self.flows.append(Coupling(config.latent, config.hidden, 5, 3, condition=config.condition))
            self.flows.append(Flip())

    def forward(self, x: Tensor, mask: Tensor, voice: Tensor, *, reverse: bool = False) -> Tensor:
        for step in reversed(self.flows) if reverse else self.flows:
            x = step(x, mask, voice[..., None], reverse=reverse) if isinstance(step, Coupling) else step(x)
        return x


class Singer(nn.Module):
    """All that is needed to sing: prior, flow, decoder, and a table of voices."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.enc_p = Prior(config)
        self.flow = Flow(config)
        self.dec = Decoder(config.latent, config.condition, config.decoder, pitched=config.pitched)
        self.emb_g = nn.Embedding(config.voices, config.condition)

    def latent(
        self, words: Tensor, pitch: Tensor | None, voice: Tensor, noise: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Frames for the decoder, `[batch, latent, frame]`.

        Args:
            words: `[batch, size, frame]`, 100 frames a second.
            pitch: Hz, 0 where unvoiced, `[batch, frame]`; for a net that is told one.
            voice: Its vector, `[batch, size]`.
            noise: `[batch, latent, frame]`; its strength says how far latents stray from their mean.
            mask: `[batch, 1, frame]`, 1 where there is a frame; everywhere by default.
        """
        mask = torch.ones_like(words[:, :1]) if mask is None else mask
        mean, spread = self.enc_p(words, pitch, mask)
        return self.flow((mean + spread.exp() * noise) * mask, mask, voice, reverse=True) * mask


class Trainee(Singer):
    """A singer that can also listen to a recording."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__(config)
        self.enc_q = Posterior(config)
