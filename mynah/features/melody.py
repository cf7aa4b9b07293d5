"""Melody: moving a pitch contour to another range, and pulling it onto the notes of a scale."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.core.errors import BadOption

NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
FLATS = {"Db": "C#", "Eb": "D#", "Gb": "F#", "Ab": "G#", "Bb": "A#"}
STEPS = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}


def semitones_to_fit(pitch: Tensor, range_hz: tuple[float, float], step: int = 12) -> int:
    """How far a melody has to move so that it lies in a voice's range, in whole `step`s (12 keeps the key).

    The 10th and the 90th percentile of the melody, in octaves, are centred as well as the step allows on those of
    the voice.

    Args:
        pitch: Hz, NaN where unvoiced, shape `[frame]`.
        range_hz: Lowest and highest comfortable pitch of the voice; `(0, 0)` where nobody knows.
        step: 12 for octaves, 1 for semitones.

    Returns:
        Semitones; 0 for a recording without a pitch, and for a voice of an unknown range.
    """
    sung = pitch[pitch.isfinite()]
    if not len(sung) or range_hz[0] <= 0:
        return 0
    low, high = sung.log2().quantile(torch.tensor([0.1, 0.9])).tolist()
    wanted = 6 * (math.log2(range_hz[0]) + math.log2(range_hz[1]) - low - high)
    # Halfway between two octaves the melody stays where it is: rounding toward zero spares needless leaps.
    steps = wanted / step
    return step * int(math.copysign(math.ceil(abs(steps) - 0.5 - 1e-6), steps))


def moved_by(transpose: float | Literal["auto"], pitch: Tensor | None, range_hz: tuple[float, float]) -> float:
    """Semitones by which a melody is to be moved.

    Args:
        transpose: As it was asked for; `"auto"` moves it by octaves into the range.
        pitch: As for `semitones_to_fit`; None where the melody is not known before it is sung.
        range_hz: As for `semitones_to_fit`.

    Raises:
        BadOption: The melody would have to be known.
    """
    if transpose != "auto":
        return transpose
    if pitch is not None:
        return semitones_to_fit(pitch, range_hz)
    if range_hz[0] > 0:
        raise BadOption(
            "transpose: auto listens to the whole song first, which a stream cannot: say by how many semitones, or 0"
        )
    return 0.0


def notes_of(scale: str) -> tuple[int, ...]:
    """Pitch classes (0 is C) of a scale such as `chromatic`, `C major` or `F# minor`.

    Raises:
        BadOption: No such scale.

    Example:

        >>> notes_of("A minor")
        (9, 11, 0, 2, 4, 5, 7)
    """
    if scale.strip().lower() == "chromatic":
        return tuple(range(12))
    key, _, mode = scale.strip().partition(" ")
    key = key[:1].upper() + key[1:]
    key = FLATS.get(key, key)
    if key not in NOTES or mode.strip().lower() not in STEPS:
        raise BadOption(f"no scale {scale!r}: write 'chromatic', or a key and a mode such as 'C major' or 'F# minor'")
    return tuple((NOTES.index(key) + step) % 12 for step in STEPS[mode.strip().lower()])


def tuned(pitch: Tensor, strength: float, scale: str, hop_seconds: float = 0.01) -> Tensor:
    """Pull a melody onto the nearest notes of a scale, and keep its vibrato and its glides.

    Only the melody's slow part (a moving average over 0.3 s within a voiced stretch) is corrected.

    Args:
        pitch: Hz, NaN where unvoiced, shape `[frame]`.
        strength: 0 leaves everything, 1 puts every note's centre right on pitch.
        scale: As in `notes_of`.
        hop_seconds: Time between frames.
    """
    classes = torch.tensor(notes_of(scale))
    if strength == 0 or not pitch.isfinite().any():
        return pitch
    voiced = pitch.isfinite()
    semitone = torch.where(voiced, 69 + 12 * (pitch.nan_to_num(1.0).clamp(min=1.0) / 440).log2(), 0.0)
    half = max(1, round(0.15 / hop_seconds))
    window = torch.ones(1, 1, 2 * half + 1)
    # A leap of more than a semitone and a half is another note: it must not be averaged over.
    leap = F.pad((semitone[1:] - semitone[:-1]).abs() > 1.5, (1, 0))
    begins = voiced & (leap | ~F.pad(voiced[:-1], (1, 0)))
    ends = voiced & F.pad(begins[1:] | ~voiced[1:], (0, 1), value=True)
    slow = torch.zeros_like(semitone)
    for first, last in zip(begins.nonzero()[:, 0].tolist(), ends.nonzero()[:, 0].tolist(), strict=True):
        values = semitone[None, None, first : last + 1]
        count = F.conv1d(torch.ones_like(values), window, padding=half)
        slow[first : last + 1] = (F.conv1d(values, window, padding=half) / count)[0, 0]
    grid = (classes[:, None] + 12 * torch.arange(11)).flatten().float()
    nearest = torch.empty_like(semitone)
    for part in torch.arange(len(semitone)).split(100_000):
        nearest[part] = grid[(slow[part, None] - grid).abs().argmin(1)]
    return torch.where(voiced, pitch * 2 ** (strength * (nearest - slow) / 12), pitch)
