"""Steps of a normalising flow that move one half of the channels by what the other half says."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mynah.nets.wavenet import WaveNet


class Coupling(nn.Module):
    """An affine coupling that only shifts, as in VITS (Kim, Kong, Son, arXiv 2106.06103), in its key layout.

    It begins as the identity. The volume stays as it is, so that there is no determinant to be minded.

    Args:
        channels: In and out, an even number.
        hidden: Channels of the net that decides on the shift.
        kernel: Of that net, odd.
        layers: Of that net.
        condition: Size of what it is told besides; 0 for nothing.

    Shape:
        `[batch, channel, frame]` in and out; mask `[batch, 1, frame]`; condition `[batch, condition, 1]`.
    """

    def __init__(self, channels: int, hidden: int, kernel: int, layers: int, *, condition: int = 0) -> None:
        super().__init__()
        self.pre = nn.Conv1d(channels // 2, hidden, 1)
        self.enc = WaveNet(hidden, kernel, layers, condition=condition)
        self.post = nn.Conv1d(hidden, channels // 2, 1)
        for parameter in self.post.parameters():
            nn.init.zeros_(parameter)

    def shift(self, half: Tensor, mask: Tensor, condition: Tensor | None = None) -> Tensor:
        """By how much the other half moves."""
        return self.post(self.enc(self.pre(half) * mask, mask, condition)) * mask

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor | None = None, *, reverse: bool = False) -> Tensor:
        kept, moved = x.chunk(2, 1)
        shift = self.shift(kept, mask, condition)
        return torch.cat([kept, (moved - shift) * mask if reverse else shift + moved * mask], 1)


class Flip(nn.Module):
    """Turns the order of the channels around, so that the next coupling moves the other half."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flip(1)
