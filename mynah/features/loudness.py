"""Loudness: of every 10 ms, A-weighted, as an ear would say; where there is sound at all; and that of another sound."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FLOOR_DB = -80.0
_SILENT = 1e-6  # root mean square that counts as none


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


def sounding(wave: Tensor, rate: int, hop: int, frames: int, floor_db: float) -> Tensor:
    """Gain `[frame]` of `hop` samples each: closed where sound `[time]` is quiet for more than a fifth of a second.

    Example:

        >>> sounding(torch.cat([torch.ones(800), torch.zeros(8000)]), 8000, 80, 110, -60.0)[[0, 15, 20, 109]]
        tensor([1.0000, 1.0000, 0.4000, 0.0000])
    """
    power = F.pad(wave, (0, max(0, frames * hop - len(wave))))[: frames * hop].view(frames, hop).square().mean(1)
    loud = (10 * power.clamp(min=1e-20).log10() > floor_db).float()[None, None]
    near, fade = (round(seconds * rate / hop) for seconds in (0.1, 0.02))
    wide = F.max_pool1d(loud, 2 * near + 1, 1, padding=near)
    return F.avg_pool1d(wide, 2 * fade + 1, 1, padding=fade, count_include_pad=False)[0, 0]


def levelled(wave: Tensor, rate: int, source: Tensor, source_rate: int, share: float) -> Tensor:
    """A sound with the loudness of another, over a second each: 0 keeps its own, 1 takes all of the other's.

    Args:
        wave: `[time]`.
        rate: Of it, in Hz.
        source: What it was made of, `[time]`, as long.
        source_rate: Of that, in Hz.
        share: 0 to 1.
    """
    if share == 0:
        return wave
    theirs, own = (
        F.interpolate(_rms(sound, hz)[None, None], size=len(wave), mode="linear")[0, 0]
        for sound, hz in ((source, source_rate), (wave, rate))
    )
    return wave * (theirs.clamp(min=_SILENT) / own.clamp(min=_SILENT)) ** share


def _rms(wave: Tensor, rate: int) -> Tensor:
    """Root mean square over a second, every half of one: `[half second]`."""
    half = rate // 2
    around = F.pad(wave.square()[None, None], (half, half + -len(wave) % half))
    return F.avg_pool1d(around, 2 * half, half)[0, 0].sqrt()
