"""A true-peak limiter: looks ahead, turns down smoothly, and lets go slowly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import maximum_filter1d
from torch import Tensor

from mynah.audio.chunks import map_chunks
from mynah.core.errors import BadOption

_AHEAD_SECONDS = 0.005  # to turn down in: shorter is heard as distortion
_RELEASE_SECONDS = 0.1  # after which 37 % of a reduction is left
_MEMORY_SECONDS = 1.6  # after which a reduction by 20 dB has become one by a millionth
_CELLS_HZ = 6000  # gains are worked out so often, and interpolated
_CHUNK_SECONDS = 10
_TAPS = 16  # samples on either side that decide what lies between two samples
_KAISER = 5.0  # shape of their window: sees up to 0.45 of the rate
_MARGIN_DB = 0.05  # for what so few taps do not see


def limited(pieces: Iterable[Tensor], rate: int, peak_db: float) -> Iterator[Tensor]:
    """The same sound, turned down around its peaks so that its true peak stays at or below a ceiling.

    Peaks are looked for between the samples too, four times oversampled below 96 kHz, as ITU-R BS.1770-5, annex 2, asks
    for. The gain falls for 5 ms before a peak, in the shape of half a cosine, and returns with a time constant of 0.1
    s. All channels are turned down alike, nothing is shifted, and what never comes near the ceiling stays as it is. How
    the sound was cut makes no difference but for rounding.

    Args:
        pieces: `[channel, time]`, cut anywhere.
        rate: In Hz.
        peak_db: The ceiling, in dB of full scale.

    Raises:
        BadOption: A ceiling above full scale.

    Example:

        >>> t = torch.arange(4000) / 8000
        >>> [quiet] = limited([0.4 * torch.sin(2 * torch.pi * 100 * t)[None]], 8000, peak_db=-6.0)
        >>> [loud] = limited([0.9 * torch.sin(2 * torch.pi * 100 * t)[None]], 8000, peak_db=-6.0)
        >>> round(quiet.abs().max().item(), 2), round(loud.abs().max().item(), 2)
        (0.4, 0.5)
    """
    if not peak_db <= 0:
        raise BadOption(f"a peak of {peak_db:g} dB would clip: choose 0 or less")
    cell = max(1, rate // _CELLS_HZ)
    ahead = math.ceil(_AHEAD_SECONDS * rate / cell)

    def cells(seconds: float) -> int:
        return cell * math.ceil(seconds * rate / cell)

    return map_chunks(
        lambda wave: _limited(wave, rate, peak_db - _MARGIN_DB, cell, ahead),
        pieces,
        chunk=cells(_CHUNK_SECONDS),
        left=cells(_MEMORY_SECONDS),
        right=cell * (ahead + 2) + cells(_TAPS / rate),
    )


def _limited(wave: Tensor, rate: int, ceiling_db: float, cell: int, ahead: int) -> Tensor:
    ceiling = 10 ** (ceiling_db / 20)
    if not wave.shape[-1] or wave.abs().max() < ceiling / 2:  # between samples, sound is not twice as high
        return wave
    peaks = _peaks(wave, 4 if rate < 96_000 else 2 if rate < 192_000 else 1)
    peaks = F.pad(peaks, (0, -len(peaks) % cell)).view(-1, cell).amax(1)
    over = (peaks / ceiling).clamp(min=1).log().double().numpy()
    if not over.any():
        return wave
    # Held from `ahead` cells and one more before a peak to one after it: both neighbours of its cell then have all of
    # the reduction once it is averaged over the `ahead` cells before them, and interpolation takes nothing from it.
    span = ahead + 3
    held = maximum_filter1d(over, span, mode="constant", origin=1 - span // 2)
    released = _released(held, cell / (_RELEASE_SECONDS * rate))
    ease = np.hanning(ahead + 3)[1:-1]
    smooth = np.convolve(np.pad(released, (ahead, 0), mode="edge"), ease / ease.sum(), "valid")
    gains = torch.from_numpy(np.exp(-smooth)).float()
    return wave * F.interpolate(gains[None, None], scale_factor=cell, mode="linear")[0, :, : wave.shape[-1]]


def _released(held: np.ndarray, step: float) -> np.ndarray:
    """What falls by no more than `exp(-step)` from cell to cell: the largest of all earlier ones, each decayed."""
    with np.errstate(divide="ignore"):
        decay = step * np.arange(len(held))
        return np.asarray(np.exp(np.maximum.accumulate(np.log(held) + decay) - decay))


def _peaks(wave: Tensor, factor: int) -> Tensor:
    """The highest point of all channels at or after each sample, before the next: `[time]`."""
    highest = wave.abs().amax(0)
    if factor > 1:
        padded = F.pad(wave, (_TAPS - 1, _TAPS))[:, None]
        highest = torch.maximum(highest, F.conv1d(padded, _between(factor)).abs().amax((0, 1)))
    return highest


@lru_cache(maxsize=2)
def _between(factor: int) -> Tensor:
    """Windowed sincs for the points between a sample and the next: `[point, 1, tap]`."""
    seconds = torch.arange(1 - _TAPS, _TAPS + 1) - torch.arange(1, factor)[:, None] / factor
    window = torch.i0(_KAISER * (1 - (seconds / _TAPS).square()).sqrt()) / torch.i0(torch.tensor(_KAISER))
    return (torch.sinc(seconds) * window).float()[:, None]
