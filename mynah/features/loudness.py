"""Loudness of every 10 ms, A-weighted: how strongly a voice sings, as an ear would say."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FLOOR_DB = -80.0


def a_weighting(hz: Tensor) -> Tensor:
    """Power gain of the A curve, 1 at 1 kHz. Source: IEC 61672-1."""
    square = hz.double().square()
    response = (12194.0**2 * square.square()) / (
        (square + 20.6**2) * ((square + 107.7**2) * (square + 737.9**2)).sqrt() * (square + 12194.0**2)
    )
    return (response * 1.2589).square().float()


class Loudness(nn.Module):
    """A-weighted level in dB of a power spectrum, floored at -80 dB. A full-scale sine at 1 kHz has about -3 dB.

    Shape:
        `[batch, n_fft // 2 + 1, frame]` to `[batch, frame]`.
    """

    weights: Tensor

    def __init__(self, rate: int = 16_000, n_fft: int = 400) -> None:
        super().__init__()
        curve = a_weighting(torch.linspace(0, rate / 2, n_fft // 2 + 1))
        # Parseval for a Hann window, whose mean square is 3/8; a real signal's power lies twice in its half spectrum.
        self.register_buffer("weights", curve * 2 / (n_fft * n_fft * 3 / 8), persistent=False)

    def forward(self, power: Tensor) -> Tensor:
        return 10 * torch.einsum("bft,f->bt", power, self.weights).clamp(min=10 ** (FLOOR_DB / 10)).log10()
