"""Loudness: of every 10 ms, A-weighted, as an ear would say; where there is sound at all; and that of another sound."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FLOOR_DB = -80.0
SOUNDING_SECONDS = 0.15  # that `sounding` looks at on either side, and some more
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


def powers(wave: Tensor, hop: int) -> Tensor:
    """Mean square of every `hop` samples of sound `[time]`, `[frame]`; the last frame is filled up with silence.

    Example:

        >>> powers(torch.tensor([1.0, 1.0, 2.0]), 2)
        tensor([1., 2.])
    """
    return F.pad(wave, (0, -len(wave) % hop)).view(-1, hop).square().mean(1)


def near(frames_per_second: float) -> int:
    """Frames on either side that `levelled` looks at for its second."""
    return round(frames_per_second / 2)


def levelled(frames: Tensor, power: Tensor, share: float, around: int) -> Tensor:
    """A sound with the loudness of another, over a second around every moment: 0 keeps its own, 1 takes the other's.

    Args:
        frames: Of the sound, `[hop, frame]`.
        power: Mean square of the other's frames, `[frame]`.
        share: 0 to 1.
        around: Frames of half a second; what a frame becomes depends on one more than that on either side.

    Returns:
        `[hop, frame]`.

    Example:

        >>> levelled(torch.full((2, 3), 0.1), torch.full((3,), 0.25), 1.0, around=1)[0]
        tensor([0.5000, 0.5000, 0.5000])
    """
    theirs, own = (
        F.avg_pool1d(each[None, None], 2 * around + 1, 1, padding=around, count_include_pad=False).sqrt()
        for each in (power, frames.square().mean(0))
    )
    gain = (theirs.clamp(min=_SILENT) / own.clamp(min=_SILENT)) ** share
    # From the middle of a frame to that of the next it moves evenly.
    even = F.interpolate(gain, scale_factor=float(len(frames)), mode="linear")[0, 0]
    return frames * even.view(-1, len(frames)).T
