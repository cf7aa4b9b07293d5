"""The first seconds of a result, long before the rest: the same work on a short piece of the source.

The piece begins where somebody begins to sing, and what was heard while looking for that place is not done again. It is
converted by itself, so where a system looks at the whole song (the octave that `auto` chooses, the loudness), the
result may differ from its preview in that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mynah.core.types import Audio

SECONDS = 10.0
WORTH_SECONDS = 2 * SECONDS  # of a source; shorter ones are done as soon
_WINDOW_SECONDS = SECONDS + 2.0  # looked at in one go
_SEARCH_SECONDS = 90.0  # for somebody who sings
_BEFORE_SECONDS = 0.5
_HEARD = 0.01  # level from which on something is heard, -40 dB
_FRAME_SECONDS = 0.1

Apart = Callable[[Audio], tuple[Audio, Audio]]
"""The voice, and all the rest."""


@dataclass(frozen=True)
class Excerpt:
    """Up to ten seconds of a song, as it is and taken apart."""

    song: Audio
    voice: Audio
    rest: Audio

    def cut(self, start: float, end: float) -> Excerpt:
        """Of it, the part between two seconds."""
        return Excerpt(*(_cut(each, start, end) for each in (self.song, self.voice, self.rest)))

    def write(self, folder: Path) -> dict[str, Path]:
        """As files: `song`, `vocals` and `accompaniment`."""
        from mynah.audio.files import write

        sounds = {"song": self.song, "vocals": self.voice, "accompaniment": self.rest}
        return {name: write(sound, folder / f"{name}.wav", bits=32) for name, sound in sounds.items()}


def excerpt(song: Path, apart: Apart) -> Excerpt | None:
    """About ten seconds of a song from where somebody begins to sing; `None` where nobody does in a minute and a half.

    Args:
        song: Any recording.
        apart: Takes a piece of it apart: a separator, or `alone` for a bare voice.
    """
    import torch

    from mynah.audio.files import stream

    blocks = stream(song, block_seconds=2.0)
    held: Audio | None = None
    passed, whole = 0.0, False
    while passed < _SEARCH_SECONDS and not whole:
        while not whole and (held is None or held.seconds < _WINDOW_SECONDS):
            block = next(blocks, None)
            whole = block is None  # the song ends with what is held
            if block is not None:
                held = block if held is None else Audio(torch.cat([held.samples, block.samples], -1), block.rate)
        if held is None or not held.samples.shape[-1]:
            break
        found = Excerpt(held, *apart(held))
        start = _onset(found.voice)
        begin = max(0.0, (held.seconds if start is None else start) - _BEFORE_SECONDS)
        if start is not None and (whole or held.seconds - begin >= SECONDS):
            return found.cut(begin, begin + SECONDS)
        passed += begin
        held = _cut(held, begin, held.seconds)  # the next look begins there, and reaches further
    return None


def alone(piece: Audio) -> tuple[Audio, Audio]:
    """A recording that is a voice already."""
    return piece, Audio(piece.samples * 0, piece.rate)


def apart(engine: Any, options: Any) -> Apart:
    """What a separator hears of a voice, and of the rest."""
    from mynah.separate import vocals_apart

    return lambda piece: vocals_apart(engine.separate(piece, options))


def _cut(sound: Audio, start: float, end: float) -> Audio:
    return Audio(sound.samples[:, round(start * sound.rate) : round(end * sound.rate)], sound.rate)


def _onset(voice: Audio) -> float | None:
    """Seconds until something is heard; `None` where nothing is."""
    wave, size = voice.samples.mean(0), max(1, round(_FRAME_SECONDS * voice.rate))
    for start in range(0, len(wave), size):
        if float(wave[start : start + size].square().mean().sqrt()) > _HEARD:
            return start / voice.rate
    return None
