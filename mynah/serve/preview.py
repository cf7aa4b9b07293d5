"""The first seconds of a result, long before the rest: the same work on a short piece of the source.

The piece begins where somebody begins to sing. It is converted by itself, so where a system looks at the whole song
(the octave that `auto` chooses, the loudness), the result may differ from its preview in that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mynah.core.types import Audio

SECONDS = 10.0
WORTH_SECONDS = 2 * SECONDS  # of a source; shorter ones are done as soon
_SEARCH_SECONDS = 90.0  # for somebody who sings
_BEFORE_SECONDS = 0.5
_HEARD = 0.01  # level from which on something is heard, -40 dB
_FRAME_SECONDS = 0.1


def excerpt(song: Path, out: Path, voices: Callable[[Callable[[], Iterator[Audio]]], Iterator[Audio]]) -> bool:
    """Write ten seconds of a song from where somebody begins to sing to `out`.

    Args:
        song: Any recording.
        out: Where to.
        voices: Makes the voice alone, block by block, of the song's sound: a separator, or nothing for a bare voice.

    Returns:
        Whether there is such a place within the first minute and a half.
    """
    import torch

    from mynah.audio.files import stream, write

    start = _onset(voices(lambda: stream(song, block_seconds=5.0)))
    if start is None:
        return False
    begin, held, rate = max(0.0, start - _BEFORE_SECONDS), [], 0
    for block in stream(song, block_seconds=5.0):
        held.append(block.samples)
        rate = block.rate
        if sum(part.shape[-1] for part in held) >= (begin + SECONDS) * rate:
            break
    samples = torch.cat(held, -1)[:, round(begin * rate) : round((begin + SECONDS) * rate)]
    write(Audio(samples, rate), out, bits=32)
    return True


def alone(blocks: Callable[[], Iterator[Audio]]) -> Iterator[Audio]:
    """A recording that is a voice already."""
    return blocks()


def apart(engine: Any, options: Any) -> Callable[[Callable[[], Iterator[Audio]]], Iterator[Audio]]:
    """What a separator hears of a voice."""
    from mynah.separate import vocals_apart

    return lambda blocks: (vocals_apart(stems)[0] for stems in engine.stream(blocks, options))


def _onset(voice: Iterator[Audio]) -> float | None:
    """Seconds until something is heard; `None` where nothing is, within a minute and a half."""
    passed = 0.0
    for block in voice:
        size = max(1, round(_FRAME_SECONDS * block.rate))
        wave = block.samples.mean(0)
        for start in range(0, len(wave), size):
            if float(wave[start : start + size].square().mean().sqrt()) > _HEARD:
                return passed + start / block.rate
        passed += block.seconds
        if passed > _SEARCH_SECONDS:
            break
    return None
