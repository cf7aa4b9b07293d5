"""What the converter takes from a recording: words, melody, loudness. Nothing else of the source reaches the result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.audio.chunks import map_chunks
from mynah.core.errors import BadAudio
from mynah.core.types import Audio, Contour
from mynah.features.content import HOP, RATE, ContentStudent
from mynah.features.loudness import Loudness
from mynah.nets.source_filter.render import Heard

FRAMES = 2000  # content frames (40 s) that are heard at a time
PAST, AHEAD = 90, 5  # content frames that a content frame depends on, rounded up


def hear(
    blocks: Iterable[Audio],
    melody: Contour,
    student: ContentStudent,
    loudness: Loudness,
    told: Callable[[float], None] = lambda seconds: None,
) -> Heard:
    """Listen to a recording that comes in blocks (mono, 16 kHz). Memory holds the parts, never the whole sound.

    Args:
        blocks: Of any length.
        melody: Pitch of the whole recording.
        student: The content net.
        loudness: The loudness meter.
        told: Called with the seconds heard so far.
    """

    def part(wave: Tensor) -> Tensor:
        # The last frame is filled up with silence.
        power = student.power(F.pad(wave, (0, -wave.shape[-1] % HOP)))
        levels = loudness(power)[0].unflatten(-1, (-1, 2)).T
        return torch.cat([student.from_power(power)[0], levels])

    samples = 0

    def pieces() -> Iterator[Tensor]:
        nonlocal samples
        for block in blocks:
            if block.rate != RATE:
                raise ValueError(f"blocks at {RATE} Hz are needed, not at {block.rate}")
            samples += block.samples.shape[-1]
            yield block.samples.mean(0, keepdim=True)

    parts = []
    for piece in map_chunks(
        part,
        pieces(),
        chunk=FRAMES * HOP,
        left=PAST * HOP,
        right=AHEAD * HOP,
        ratio=Fraction(1, HOP),
    ):
        parts.append(piece)
        told(samples / RATE)
    if not parts:
        raise BadAudio("the recording is empty: there is nothing to convert")
    content, levels = torch.cat(parts, dim=-1).tensor_split([-2])
    level = levels.T.flatten()
    return Heard(content, on_grid(melody, len(level)), level, samples / RATE)


def on_grid(contour: Contour, frames: int, hop_seconds: float = 0.01) -> Tensor:
    """A pitch contour of any hop at `frames` frames of `hop_seconds`: nearest frame, NaN beyond its end."""
    place = (torch.arange(frames, dtype=torch.float64) * hop_seconds / contour.hop_seconds).round().long()
    values = contour.values[place.clamp(max=len(contour.values) - 1)].clone()
    # Trackers end a few frames early or late; more than that is a contour of another recording.
    values[place >= len(contour.values) + round(0.1 / contour.hop_seconds)] = torch.nan
    return values
