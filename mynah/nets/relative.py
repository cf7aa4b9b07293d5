"""Transformer encoder whose frames know how far away their neighbours are, as in VITS and whatever descends from it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelNorm(nn.Module):
    """Layer norm over the channels of `[batch, channel, frame]`, in the key layout of VITS."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.transpose(1, -1), self.gamma.shape, self.gamma, self.beta).transpose(1, -1)


class RelativeAttention(nn.Module):
    """Self-attention that learns a vector for each distance of up to `window` frames (Shaw et al., arXiv 1803.02155).

    The published code spreads these vectors over a matrix of all distances, which are nearly all too far to have one;
    here only the diagonals near the main one are touched.
    """

    def __init__(self, channels: int, heads: int, window: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        size = channels // heads
        self.conv_q, self.conv_k, self.conv_v, self.conv_o = (nn.Conv1d(channels, channels, 1) for _ in range(4))
        self.emb_rel_k = nn.Parameter(torch.randn(1, 2 * window + 1, size) / math.sqrt(size))
        self.emb_rel_v = nn.Parameter(torch.randn(1, 2 * window + 1, size) / math.sqrt(size))
        self.dropout = nn.Dropout(dropout)
        for layer in (self.conv_q, self.conv_k, self.conv_v):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        frames = x.shape[-1]
        query, key, value = (
            part(x).unflatten(1, (self.heads, -1)).transpose(2, 3) for part in (self.conv_q, self.conv_k, self.conv_v)
        )
        query = query / math.sqrt(query.shape[-1])
        scores = query @ key.transpose(2, 3)
        near = query @ self.emb_rel_k.transpose(1, 2)
        for place, distance in enumerate(range(-self.window, self.window + 1)):
            scores.diagonal(distance, 2, 3).add_(near[:, :, _reaching(frames, distance), place])
        # Frames that are not there are heard by nobody; what they hear themselves is masked by the layers around.
        shares = self.dropout(scores.masked_fill(mask[:, None] == 0, -1e4).softmax(-1))
        # Not a number at all of these is a share, where a distance leads out of the sequence.
        band = torch.stack(
            [
                F.pad(shares.diagonal(distance, 2, 3), (max(0, -distance), max(0, distance)))[..., :frames]
                if abs(distance) < frames
                else shares.new_zeros(shares.shape[:-1])
                for distance in range(-self.window, self.window + 1)
            ],
            -1,
        )
        heard = shares @ value + band @ self.emb_rel_v
        return self.conv_o(heard.transpose(2, 3).flatten(1, 2))


class FeedForward(nn.Module):
    """Two convolutions with a ReLU between them; causal ones look back only."""

    def __init__(self, channels: int, hidden: int, kernel: int, dropout: float = 0.0, *, causal: bool = False) -> None:
        super().__init__()
        around = kernel - 1 if causal else kernel // 2
        self.conv_1 = nn.Conv1d(channels, hidden, kernel, padding=around)
        self.conv_2 = nn.Conv1d(hidden, channels, kernel, padding=around)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        frames = x.shape[-1]  # what looks ahead lies behind the end, and is cut off
        x = self.dropout(self.conv_1(x * mask)[..., :frames].relu())
        return self.conv_2(x * mask)[..., :frames] * mask


class RelativeEncoder(nn.Module):
    """Layers of attention and convolutions, each followed by a norm.

    Args:
        channels: In and out.
        hidden: Of the convolutions.
        heads: Of the attention.
        layers: How many.
        kernel: Of the convolutions, odd.
        window: Frames up to which a distance has a vector of its own.
        dropout: Everywhere, in training.

    Shape:
        `[batch, channel, frame]` in and out; mask `[batch, 1, frame]`, 1 where there is a frame.
    """

    def __init__(
        self, channels: int, hidden: int, heads: int, layers: int, kernel: int, *, window: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.attn_layers = nn.ModuleList(RelativeAttention(channels, heads, window, dropout) for _ in range(layers))
        self.norm_layers_1 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))
        self.ffn_layers = nn.ModuleList(FeedForward(channels, hidden, kernel, dropout) for _ in range(layers))
        self.norm_layers_2 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x * mask
        for attend, norm, feed, norm_again in zip(
            self.attn_layers, self.norm_layers_1, self.ffn_layers, self.norm_layers_2, strict=True
        ):
            x = norm(x + self.dropout(attend(x, mask)))
            x = norm_again(x + self.dropout(feed(x, mask)))
        return x * mask


def _reaching(frames: int, distance: int) -> slice:
    """The frames that have another one at a distance.

    Example:

        >>> _reaching(5, 2), _reaching(5, -2), _reaching(1, 2)
        (slice(0, 3, None), slice(2, 5, None), slice(0, 0, None))
    """
    return (
        slice(max(0, -distance), max(max(0, -distance), frames - max(0, distance)))
        if distance <= 0
        else slice(0, max(0, frames - distance))
    )
