"""Slices of a recording: cut where it is silent, so that nobody learns from pauses."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mynah.train.data import FRAME_RATE

PAUSE_SECONDS = 0.3  # a shorter gap belongs to the phrase
MARGIN_SECONDS = 0.1  # of a pause that stay with the phrase on either side, for breaths and the ends of notes
SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 15.0
_SILENT_DB = -60.0  # of full scale; no voice is recorded so quietly
_BELOW_LOUD_DB = 40.0  # pauses are this much quieter than the loud parts


def levels(wave: Tensor, rate: int) -> Tensor:
    """Level in dB of full scale 50 times a second, `[time]` to `[frame]`; -120 for digital silence."""
    size = rate // FRAME_RATE
    frames = wave[: len(wave) // size * size].reshape(-1, size)
    return 10 * frames.square().mean(1).clamp(min=1e-12).log10()


def sounding(level: Tensor) -> Tensor:
    """Which frames are no pause, `[frame]`."""
    if not len(level):
        return torch.zeros(0, dtype=torch.bool)
    loud = level.sort().values[int(0.95 * (len(level) - 1))].item()
    return level > max(_SILENT_DB, loud - _BELOW_LOUD_DB)


def slices(
    wave: Tensor, rate: int, *, shortest: float = SHORTEST_SECONDS, longest: float = LONGEST_SECONDS
) -> list[tuple[int, int]]:
    """First frame and number of frames of every slice, in order and without overlap, at 50 frames/s.

    Args:
        wave: Mono, `[time]`.
        rate: In Hz, a multiple of 50.
        shortest: What is shorter is dropped, in seconds.
        longest: What is longer is cut at its quietest place, in seconds.

    Example:

        >>> sound, pause = 0.5 * torch.sin(torch.arange(32_000) / 5), torch.zeros(16_000)
        >>> slices(torch.cat([pause, sound, pause, sound, pause]), 16_000)
        [(45, 110), (195, 110)]
    """
    level = levels(wave, rate)
    least, most = round(shortest * FRAME_RATE), round(longest * FRAME_RATE)
    found = (part for begin, end in _phrases(sounding(level)) for part in _cut(level, begin, end, most))
    return [(begin, end - begin) for begin, end in found if end - begin >= least]


def _phrases(sounds: Tensor) -> Iterator[tuple[int, int]]:
    """From where to where something sounds without a pause, with the margins."""
    pause, margin = round(PAUSE_SECONDS * FRAME_RATE), round(MARGIN_SECONDS * FRAME_RATE)
    places = sounds.nonzero()[:, 0].tolist()
    if not places:
        return
    begin = last = places[0]
    for place in places[1:]:
        if place - last > pause:
            yield max(0, begin - margin), last + 1 + margin
            begin = place
        last = place
    yield max(0, begin - margin), min(len(sounds), last + 1 + margin)


def _cut(level: Tensor, begin: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    """Pieces of at most so many frames, none shorter than a quarter of that."""
    while end - begin > most:
        low, high = begin + most // 4, min(begin + most, end - most // 4)
        place = low + int(level[low:high].argmin())
        yield begin, place
        begin = place
    yield begin, end
