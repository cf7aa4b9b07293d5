"""A melody made up from what is said, for speech: attention that looks back only, and a level that is given.

Layers as in the decoder of VITS (arXiv 2106.06103), in the published key layout.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mynah.nets.relative import ChannelNorm, FeedForward

LAYERS = 6


def mels(hz: Tensor) -> Tensor:
    """The scale on which it guesses; 700 Hz are about 1.56.

    Example:

        >>> import torch
        >>> mels(torch.tensor([0.0, 700.0]))
        tensor([0.0000, 1.5623])
    """
    return 2595 / 500 * (1 + hz / 700).log10()


def hertz(mels: Tensor) -> Tensor:
    """The way back.

    Example:

        >>> import torch
        >>> round(hertz(torch.tensor(1.5623)).item())
        700
    """
    return 700 * (10 ** (mels * 500 / 2595) - 1)


def level_taken(pitch: Tensor, voiced: Tensor) -> Tensor:
    """Pitch on that scale `[batch, 1, frame]`, without the mean of its voiced frames; Hz `[batch, frame]`."""
    height, voiced = mels(pitch)[:, None], voiced.to(pitch)[:, None]
    return height - (height * voiced).sum(-1, keepdim=True) / voiced.sum(-1, keepdim=True).clamp(min=1)


class _Attention(nn.Module):
    """Attention to this frame and to all before it."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.conv_q, self.conv_k, self.conv_v, self.conv_o = (nn.Conv1d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            part(x).unflatten(1, (self.heads, -1)).transpose(2, 3) for part in (self.conv_q, self.conv_k, self.conv_v)
        )
        heard = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.conv_o(heard.transpose(2, 3).flatten(1, 2))


class _Layers(nn.Module):
    def __init__(self, channels: int, filters: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.self_attn_layers = nn.ModuleList(_Attention(channels, heads) for _ in range(LAYERS))
        self.norm_layers_0 = nn.ModuleList(ChannelNorm(channels) for _ in range(LAYERS))
        self.ffn_layers = nn.ModuleList(FeedForward(channels, filters, 3, dropout, causal=True) for _ in range(LAYERS))
        self.norm_layers_1 = nn.ModuleList(ChannelNorm(channels) for _ in range(LAYERS))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x * mask
        for attend, norm, feed, norm_again in zip(
            self.self_attn_layers, self.norm_layers_0, self.ffn_layers, self.norm_layers_1, strict=True
        ):
            x = norm(x + self.drop(attend(x)))
            x = norm_again(x + self.drop(feed(x, mask)))
        return x * mask


class Guess(nn.Module):
    """The net.

    Args:
        hidden: Channels of the state that it is told.
        filters: Of its convolutions.
        heads: Of its attention.
        condition: Size of the vector of a voice.
    """

    def __init__(self, hidden: int, filters: int, heads: int, condition: int) -> None:
        super().__init__()
        self.prenet = nn.Conv1d(hidden, hidden, 3, padding=1)
        self.decoder = _Layers(hidden, filters, heads, 0.1)
        self.proj = nn.Conv1d(hidden, 1, 1)
        self.f0_prenet = nn.Conv1d(1, hidden, 3, padding=1)
        self.cond = nn.Conv1d(condition, hidden, 1)

    def forward(self, state: Tensor, level: Tensor, mask: Tensor, voice: Tensor) -> Tensor:
        """A melody on the scale of `mels`, `[batch, 1, frame]`.

        Args:
            state: `[batch, hidden, frame]`; no gradient goes that way.
            level: As `level_taken` gives it.
            mask: `[batch, 1, frame]`.
            voice: `[batch, size]`.
        """
        x = state.detach() + self.cond(voice[..., None]) + self.f0_prenet(level)
        return self.proj(self.decoder(self.prenet(x) * mask, mask)) * mask
