"""What is taken from a recording: words, loudness and melody. Nothing else of the source reaches the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.audio.chunks import map_chunks
from mynah.convert.ucd_svc.listeners import Ear
from mynah.convert.ucd_svc.sizes import LOUDNESS_HOP, PITCH_HOP, RATE, UNIT
from mynah.core.types import Contour
from mynah.features.grid import contour_at
from mynah.features.loudness import Loudness
from mynah.features.mel import PowerSpectrum

_STRETCH = 500  # content frames (10 s) that are heard at a time
_PAST, _AHEAD = 90, 5  # content frames that one depends on, rounded up


@dataclass(frozen=True, eq=False)
class Heard:
    """A recording as its parts.

    Attributes:
        content: `[size, frame]`, 50 frames a second.
        loudness: dB, A-weighted, `[5 * frame]`.
        pitch: Hz, 0 where unvoiced, `[2 * frame + 1]`.
    """

    content: Tensor
    loudness: Tensor
    pitch: Tensor


def loudness_of(wave: Tensor, window: int) -> Tensor:
    """Log-scaled A-weighted power in dB every 4 ms: `[time]` at 16 kHz to `[time // 64]`."""
    power, meter = PowerSpectrum(window, LOUDNESS_HOP), Loudness(RATE, window)
    around = -(-window // 2 // UNIT)

    def part(piece: Tensor) -> Tensor:
        return meter(power(piece[None]))[0]

    ratio = Fraction(1, LOUDNESS_HOP)
    pieces = map_chunks(
        part, [wave], chunk=_STRETCH * UNIT, left=around * UNIT, right=around * UNIT, ratio=ratio
    )  # fmt: skip
    return torch.cat(list(pieces))


def content_of(wave: Tensor, ear: Callable[[Tensor], Tensor]) -> Tensor:
    """Words of `[time]` at 16 kHz: `[size, time // 320]`."""
    pieces = map_chunks(
        lambda piece: ear(piece[None])[0],
        [wave],
        chunk=_STRETCH * UNIT,
        left=_PAST * UNIT,
        right=_AHEAD * UNIT,
        ratio=Fraction(1, UNIT),
    )
    return torch.cat(list(pieces), -1)


def pitch_of(melody: Contour, frames: int) -> Tensor:
    """A melody on the grid of the excitation, Hz, 0 where unvoiced: `[2 * frame + 1]`."""
    return contour_at(melody, 2 * frames + 1, PITCH_HOP / RATE).nan_to_num(0.0)


@torch.no_grad()
def hear(wave: Tensor, melody: Contour, ear: Ear, window: int) -> Heard:
    """Listen to 16 kHz sound `[time]`; its last frame is filled up with silence.

    Args:
        wave: One channel.
        melody: Its pitch.
        ear: The acoustic model.
        window: Samples that loudness is measured over.
    """
    wave = F.pad(wave, (0, -len(wave) % UNIT))
    return Heard(
        content_of(wave, ear.net), loudness_of(wave, window), pitch_of(melody, len(wave) // UNIT)
    )  # fmt: skip
