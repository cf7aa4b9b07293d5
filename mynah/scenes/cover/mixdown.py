"""Tracks brought to one loudness and added, from files to blocks with flat memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import torch

from mynah.audio.effects import gain
from mynah.audio.files import probe, stream
from mynah.audio.loudness import Meter
from mynah.audio.mixing import match_channels
from mynah.core.types import Audio

FAINT_LUFS = -50.0  # softer than any voice that a listener is meant to hear
_FARTHEST_DB = 24.0  # a gain beyond this would only bring up noise


class Track(NamedTuple):
    """One file in a mix.

    Attributes:
        path: Any rate and number of channels.
        gain_db: Louder or softer by this.
    """

    path: Path
    gain_db: float = 0.0


def lufs_of(path: Path) -> float:
    """Integrated loudness of a recording as two loudspeakers play it; minus infinity for silence."""
    meter: Meter | None = None
    for block in stream(path):
        meter = meter or Meter(block.rate, 2)
        meter.push(match_channels(block, 2))
    return meter.lufs() if meter else -math.inf


def gain_between(has_lufs: float, wanted_lufs: float) -> float:
    """What brings one loudness to another, in dB: nothing where either is silence, and never more than 24 dB.

    Example:

        >>> gain_between(-30.0, -18.0), gain_between(-math.inf, -18.0)
        (12.0, 0.0)
    """
    between = wanted_lufs - has_lufs
    return max(-_FARTHEST_DB, min(_FARTHEST_DB, between)) if math.isfinite(between) else 0.0


def widest(paths: Sequence[Path]) -> tuple[int, int]:
    """The highest rate in Hz and the largest number of channels, but at most two, among recordings."""
    infos = [probe(path) for path in paths]
    return max(info.rate for info in infos), min(2, max(info.channels for info in infos))


def mixed(tracks: Sequence[Track]) -> Iterator[Audio]:
    """The sum of tracks that begin together, as long as the longest, at the highest of their rates.

    It may exceed 1, and nothing clips: that is the limiter's business.
    """
    rate, channels = widest([track.path for track in tracks])
    for blocks in zip_longest(*(stream(track.path, rate=rate) for track in tracks)):
        there = [(block, track) for block, track in zip(blocks, tracks, strict=True) if block is not None]
        total = torch.zeros(channels, max(block.samples.shape[-1] for block, _ in there))
        for block, track in there:
            total[:, : block.samples.shape[-1]] += gain(match_channels(block, channels), track.gain_db).samples
        yield Audio(total, rate)
