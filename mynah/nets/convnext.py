"""ConvNeXt blocks over time: the one trunk of the content student, the voice encoder and the decoder."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvNeXt(nn.Module):
    """A depthwise convolution over time, then a two-layer net on every frame, added to the input.

    Source: Liu et al., "A ConvNet for the 2020s", arXiv 2201.03545, in one dimension as in Vocos (arXiv 2306.00814).

    Args:
        channels: In and out.
        ahead: Frames of look-ahead; the rest of the kernel lies in the past. None centres the kernel.
        dilation: Frames between neighbouring taps.
        expansion: Width of the inner layer in units of `channels`.
        condition: Size of a vector that scales and shifts what enters the inner layer (FiLM, arXiv 1709.07871); 0
            for none.

    Shape:
        `[batch, channel, frame]` in and out; the condition is `[batch, condition]`.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel: int = 7,
        dilation: int = 1,
        ahead: int | None = None,
        expansion: int = 3,
        condition: int = 0,
    ) -> None:
        super().__init__()
        span = (kernel - 1) * dilation
        right = span // 2 if ahead is None else ahead
        self.padding = (span - right, right)
        self.depthwise = nn.Conv1d(channels, channels, kernel, dilation=dilation, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, expansion * channels)
        self.narrow = nn.Linear(expansion * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.1))
        self.film = nn.Linear(condition, 2 * channels) if condition else None
        if self.film is not None:
            nn.init.zeros_(self.film.bias)
            nn.init.normal_(self.film.weight, std=0.02)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        y = self.norm(self.depthwise(F.pad(x, self.padding)).transpose(1, 2))
        if self.film is not None and condition is not None:
            gain, shift = self.film(condition)[:, None].chunk(2, dim=-1)
            y = y * (1 + gain) + shift
        y = self.narrow(F.gelu(self.widen(y))) * self.scale
        return x + y.transpose(1, 2)
