"""The net: what is to be expected of content and melody, a flow that puts a voice on, and the decoder.

VITS (Kim, Kong, Son, arXiv 2106.06103) with content for text; the key layout is that of the published files.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.convert.rvc.refine import Grain, RefineConfig, Refiner
from mynah.convert.rvc.sizes import NetConfig
from mynah.nets.nsf import Decoder
from mynah.nets.relative import RelativeEncoder
from mynah.nets.vits import STEPS, Flow, Posterior, pitch_steps

SPREAD = 0.66666  # share of the prior's variety that the original sings with


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


class Singer(nn.Module):
    """All that is needed to sing: prior, flow, decoder, and a table of voices."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.enc_p = Prior(config)
        self.flow = Flow(config.latent, config.hidden, 3, config.condition)
        self.dec: Decoder | Refiner
        if isinstance(config.decoder, RefineConfig):
            self.dec = Refiner(config.latent, config.condition, config.decoder)
        else:
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

    def phases(self, dice: torch.Generator) -> Tensor | None:
        """In turns, by which the sines of a source start where it has several, `[sine]`."""
        sines = self.config.decoder.sines
        return None if sines == 1 else torch.rand(sines, generator=dice) * (torch.arange(sines) > 0)

    def sound(
        self,
        latent: Tensor,
        voice: Tensor,
        source: Tensor | None,
        grain: Grain,
        *,
        lead: Tensor | None = None,
        precision: torch.dtype = torch.float32,
    ) -> Tensor:
        """What the decoder makes of frames, `[batch, 1, frame * hop]`.

        Args:
            latent: `[batch, latent, frame]`.
            voice: Its vector, `[batch, size]`.
            source: Of the decoder's `m_source`, for a net that is told a melody.
            grain: What a RefineGAN takes its own noise from.
            lead: As of `Refiner`.
            precision: What is counted in.
        """
        if isinstance(self.dec, Refiner):
            assert source is not None
            return self.dec(latent, voice, source, grain, lead=lead, precision=precision)
        return self.dec(latent, voice, source, precision=precision)


class Trainee(Singer):
    """A singer that can also listen to a recording."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__(config)
        self.enc_q = Posterior(config.bins, config.hidden, config.latent, config.condition)
