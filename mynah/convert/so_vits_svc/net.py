"""The net: what is to be expected of content and melody, a flow that puts a voice on, and the decoder.

VITS (Kim, Kong, Son, arXiv 2106.06103) with content for text; the key layout is that of the published files.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mynah.convert.so_vits_svc.guess import Guess
from mynah.convert.so_vits_svc.sizes import NetConfig
from mynah.nets.nsf import Decoder
from mynah.nets.relative import RelativeEncoder
from mynah.nets.vits import STEPS, Flow, Posterior, pitch_steps


class Prior(nn.Module):
    """What is to be expected of content and melody, whoever sings."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.proj = nn.Conv1d(config.hidden, 2 * config.latent, 1)
        self.f0_emb = nn.Embedding(STEPS, config.hidden)
        self.enc_ = RelativeEncoder(
            config.hidden, config.filters, config.heads, config.layers, 3, window=4, dropout=0.1
        )

    def forward(self, state: Tensor, pitch: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the spread, `[batch, latent, frame]`.

        Args:
            state: `[batch, hidden, frame]`.
            pitch: Hz, `[batch, frame]`.
            mask: `[batch, 1, frame]`.
        """
        x = self.enc_(state + self.f0_emb(pitch_steps(pitch)).transpose(1, 2), mask)
        mean, spread = (self.proj(x) * mask).chunk(2, 1)
        return mean, spread


class Singer(nn.Module):
    """All that is needed to sing: prior, flow, decoder, and a table of voices."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.emb_g = nn.Embedding(config.voices, config.condition)
        self.pre = nn.Conv1d(config.words, config.hidden, 5, padding=2)
        self.emb_uv = nn.Embedding(2, config.hidden)
        if config.loud:
            self.emb_vol = nn.Linear(1, config.hidden)
        self.enc_p = Prior(config)
        self.dec = Decoder(config.latent, config.condition, config.decoder, pitched=True)
        self.flow = Flow(config.latent, config.hidden, 4, config.condition)
        if config.guesses:
            self.f0_decoder = Guess(config.hidden, config.filters, config.heads, config.condition)

    def state(self, words: Tensor, voiced: Tensor, volume: Tensor | None, mask: Tensor) -> Tensor:
        """What prior and guess begin with, `[batch, hidden, frame]`.

        Args:
            words: Content at the decoder's frames, `[batch, size, frame]`.
            voiced: Where there is a pitch, `[batch, frame]`.
            volume: Root mean square around each frame, `[batch, frame]`; for a net that is told it.
            mask: `[batch, 1, frame]`, 1 where there is a frame.
        """
        x = self.pre(words) * mask + self.emb_uv(voiced.long()).transpose(1, 2)
        if volume is not None:
            x = x + self.emb_vol(volume[..., None]).transpose(1, 2)
        return x

    def latent(self, state: Tensor, pitch: Tensor, voice: Tensor, noise: Tensor, mask: Tensor) -> Tensor:
        """Frames for the decoder, `[batch, latent, frame]`.

        Args:
            state: As above.
            pitch: Hz, going on through what is unvoiced, `[batch, frame]`.
            voice: Its vector, `[batch, size]`.
            noise: `[batch, latent, frame]`; its strength says how far latents stray from their mean.
            mask: `[batch, 1, frame]`.
        """
        mean, spread = self.enc_p(state, pitch, mask)
        return self.flow((mean + spread.exp() * noise) * mask, mask, voice, reverse=True) * mask


class Trainee(Singer):
    """A singer that can also listen to a recording."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__(config)
        self.enc_q = Posterior(config.bins, config.hidden, config.latent, config.condition)


def all_of(x: Tensor) -> Tensor:
    """A mask that leaves out none of the frames of `[batch, channel, frame]`."""
    return torch.ones_like(x[:, :1])
