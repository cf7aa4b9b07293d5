"""Before and after, equally loud: of two recordings of one song the louder one seems the better one."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from mynah.audio.effects import gain
from mynah.audio.files import Writer, probe, stream
from mynah.audio.mixing import match_channels
from mynah.scenes.cover.mixdown import lufs_of

BEFORE, AFTER = "before", "after"
_RATE = 48_000  # the highest of MP3


def as_loud(source: Path, result: Path, folder: Path, progress: Callable[[float], None]) -> list[str]:
    """Write `before.mp3` and `after.mp3`, of which the louder one was turned down.

    Returns:
        What they are called.
    """
    levels = [lufs_of(path) for path in (source, result)]
    progress(0.5)
    for path, name, level in zip((source, result), (BEFORE, AFTER), levels, strict=True):
        softer_db = min(levels) - level if math.isfinite(min(levels)) else 0.0
        info = probe(path)
        rate, channels = min(info.rate, _RATE), min(2, info.channels)
        with Writer(folder / f"{name}.mp3", rate, channels) as writer:
            for block in stream(path, rate=rate):
                writer.push(gain(match_channels(block, channels), softer_db))
    progress(1.0)
    return [BEFORE, AFTER]
