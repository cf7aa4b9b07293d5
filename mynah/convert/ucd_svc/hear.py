"""What is taken from a recording: words, loudness and melody. Nothing else of the source reaches the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.audio.chunks import Chunks
from mynah.convert.ucd_svc.listeners import Ear
from mynah.convert.ucd_svc.sizes import LOUDNESS_HOP, PITCH_HOP, RATE, UNIT
from mynah.core.types import Contour
from mynah.features.grid import contour_at
from mynah.features.loudness import Loudness
from mynah.features.mel import PowerSpectrum

_STRETCH = 500  # content frames (10 s) that are heard at a time


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


def listening(ear: Ear) -> Chunks:
    """Words `[size, frame]` of 16 kHz sound `[time]` that comes in, 50 times a second."""
    return _over(lambda wave: ear.net(wave[None])[0], ear.past, ear.ahead)


def metering(window: int) -> Chunks:
    """Log-scaled A-weighted power in dB of 16 kHz sound `[time]` that comes in: `[5, frame]`, every 4 ms."""
    power, meter = PowerSpectrum(window, LOUDNESS_HOP), Loudness(RATE, window)
    around = -(-window // 2 // UNIT)
    return _over(lambda wave: meter(power(wave[None]))[0].unflatten(-1, (-1, UNIT // LOUDNESS_HOP)).T, around, around)


def _over(function: Callable[[Tensor], Tensor], past: int, ahead: int) -> Chunks:
    """A function of whole frames; the last one is filled up with silence."""

    def filled(wave: Tensor) -> Tensor:
        return function(F.pad(wave, (0, -len(wave) % UNIT)))

    return Chunks(filled, _STRETCH * UNIT, left=past * UNIT, right=ahead * UNIT, ratio=Fraction(1, UNIT))


def loudness_of(wave: Tensor, window: int) -> Tensor:
    """All of `metering`, one after the other: `[time]` at 16 kHz to `[5 * frame]`."""
    return torch.cat(list(metering(window).over([wave])), -1).T.flatten()


def content_of(wave: Tensor, ear: Ear) -> Tensor:
    """All of `listening`: `[time]` at 16 kHz to `[size, frame]`."""
    return torch.cat(list(listening(ear).over([wave])), -1)


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
    content = content_of(wave, ear)
    return Heard(content, loudness_of(wave, window), pitch_of(melody, content.shape[-1]))
