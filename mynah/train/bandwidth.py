"""Bandwidth of a recording: how far up it reaches before a file format, a rate or a filter cut it off."""

from __future__ import annotations

import torch
from torch import Tensor

SIZE = 1024
BAND_HZ = 250.0
DROP_DB = 25.0  # from the kilohertz below the edge to half a kilohertz above it
NOTHING_DB = -75.0  # below the loudest band; rooms and microphones are louder than that, only arithmetic is as quiet
FRAMES = 8000


def bandwidth(wave: Tensor, rate: int) -> float:
    """The frequency in Hz above which there is nothing, give or take 500 Hz; half the rate where nothing was cut off.

    A cut is steep and leaves a void. A voice that merely gets softer toward the highs is left alone, however soft.

    Args:
        wave: Shape `[time]`, at least 0.1 s.
        rate: In Hz.
    """
    hop = max(SIZE // 2, len(wave) // FRAMES)
    frames = wave[: len(wave) // SIZE * SIZE].unfold(0, SIZE, hop) * torch.hann_window(SIZE)
    power = torch.fft.rfft(frames).abs().square()
    # Consonants reach highest and are short, so not the mean over time but what the loudest moments of each bin have.
    loud = power.topk(max(1, len(power) // 20), dim=0).values.mean(0)
    wide = max(1, round(BAND_HZ * SIZE / rate))
    bands = loud[1:].unfold(0, wide, wide).mean(1)
    level = 10 * (bands + 1e-20).log10()
    hz = rate / SIZE * wide
    past, gap = round(1000 / hz), round(500 / hz)
    highest_above = level.flip(0).cummax(0).values.flip(0)
    for edge in range(past, len(level) - 2 * gap):
        drop = level[edge - past : edge].mean() - highest_above[edge - 1 + gap]
        void = highest_above[edge - 1 + 2 * gap] < level.max() + NOTHING_DB
        if drop > DROP_DB and void:
            return edge * hz
    return rate / 2
