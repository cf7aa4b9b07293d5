"""How a recording reverberates, heard from how its notes end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy.signal import butter, sosfilt

from mynah.audio.reverb import ReverbMatch
from mynah.core.types import Audio

_BANDS_HZ = ((300.0, 1000.0), (1000.0, 3000.0))  # where voices are strong, and rooms alike
_HOP_SECONDS = 0.01
_SMOOTH = 3  # frames
_FALL_DB = 20.0  # from a note to the lowest point before the next: what falls less far tells nothing
_STRAIGHT_DB = 10.0  # that a straight piece of the fall has to cover
_SECONDS = (0.12, 2.5)  # and how long it may be
_BEND_DB = 1.0  # root mean square by which it may differ from a line
_NEXT_DB = 6.0  # a rise by this much is the next note
_SILENCE_DB = -75.0  # below the loudest frame
_ABRUPT = 0.15  # quantile of the levels: a note that ends gently hides the step down to the reverb
_DRY_SECONDS = 0.25  # voices themselves end no faster
_HELD = 5  # frames before a fall that say how loud the note was
_OWN_SHARE = 0.6  # a line that begins this near to the note is a voice that fades, and no room
_NEAR, _ENOUGH, _AGREED = 1.6, 3, 0.4  # a factor, a count, a share of all
_FADES_DB = -0.9  # the median of a room lies lower


class Decay(NamedTuple):
    """The end of one note in one band.

    Attributes:
        seconds: In which it would fall by 60 dB.
        wet_db: Reverb against dry sound at the moment when the note ends.
        width: Amplitude of the side signal against the mid signal while it falls.
    """

    seconds: float
    wet_db: float
    width: float


def reverb_in(blocks: Iterable[Audio]) -> ReverbMatch | None:
    """The reverb of a recording of one voice; `None` if it is dry, or the ends of its notes do not tell.

    The level of two bands is taken every 10 ms. From each note on, until the next begins, the longest piece is looked
    for in which the level falls along a straight line: the abrupt end of the dry sound before it, and the noise of the
    room after it, are not on that line. Its slope is the decay, and where it meets the end of the note is the level of
    the reverb. The median of the decays is the room's, if enough of them are near it, and a low quantile of the levels,
    because a note that ends gently hides the step from the voice down to its reverb.

    On singing with reverb of 0.4 to 2.5 s put on, 6 to 16 dB below it, two minutes of it: decays within 10 % from 0.8 s
    on, and a quarter too long at 0.4 s; levels within 1.5 dB, but 3 dB too high at 0.4 s.

    Source: after J. M. de M. Prego et al., "Blind estimators for reverberation time and direct-to-reverberant energy
    ratio using subband speech decomposition", WASPAA 2015 (free decays in subbands), and R. Ratnam et al., "Blind
    estimation of reverberation time", JASA 114, 2003 (the choice among decays).
    """
    powers = list(_powers(blocks))
    rows = np.concatenate(powers, -1) if powers else np.zeros((2, 1, 0))
    if not rows.any():
        return None
    decays = [decay for middle, side in zip(rows[0], rows[1], strict=True) for decay in _decays(middle, side)]
    if not decays:
        return None
    seconds, wet_db, width = np.array(decays).T
    decay = float(np.median(seconds))
    if decay < _DRY_SECONDS:
        return None
    near = np.abs(np.log(seconds / decay)) < math.log(_NEAR)
    # A dry voice has such ends, too: few or of all lengths, and most begin as loud as the note.
    if near.sum() < max(_ENOUGH, _AGREED * len(decays)) or np.median(wet_db[near]) > _FADES_DB:
        return None
    return ReverbMatch(decay, float(np.quantile(wet_db[near], _ABRUPT)), float(np.median(width[near])))


def wet_level(lead: Iterable[Audio], dry: Iterable[Audio]) -> float:
    """How loud the reverb of `lead` is, in dB against `dry`, which is the same without it, block for block."""

    def both() -> Iterator[Audio]:
        for wet, own in zip(lead, dry, strict=False):
            time = min(wet.samples.shape[-1], own.samples.shape[-1])
            middle = own.samples[:, :time].mean(0)
            rest = wet.samples[:, :time].mean(0) - middle
            yield Audio(torch.stack([middle + rest, middle - rest]), own.rate)

    powers = sum((power.sum((1, 2)) for power in _powers(both())), np.zeros(2))
    return 10 * math.log10(powers[1] / powers[0]) if powers.all() else -math.inf


def _powers(blocks: Iterable[Audio]) -> Iterator[np.ndarray]:
    """Mean power of mid and side in each band and frame: `[2, band, frame]`."""
    states: list[np.ndarray] = []
    rest = np.zeros((2, 0, 0))
    for block in blocks:
        if not block.samples.shape[-1]:
            continue
        nyquist = 0.45 * block.rate
        filters = [
            butter(2, (low, min(high, nyquist)), "bandpass", fs=block.rate, output="sos")
            for low, high in _BANDS_HZ
            if low < 0.8 * nyquist
        ]
        wave = _mid_and_side(block)
        if not states:
            states = [np.zeros((len(each), 2, 2)) for each in filters]
            rest = np.zeros((2, len(filters), 0))
        bands = []
        for index, sections in enumerate(filters):
            band, states[index] = sosfilt(sections, wave, zi=states[index])
            bands.append(np.square(band))
        power = np.concatenate([rest, np.stack(bands, 1)], -1)
        hop = max(1, round(_HOP_SECONDS * block.rate))
        whole = power.shape[-1] - power.shape[-1] % hop
        rest = power[..., whole:]
        yield power[..., :whole].reshape(2, len(filters), whole // hop, hop).mean(-1)


def _mid_and_side(block: Audio) -> np.ndarray:
    samples = block.samples.detach().cpu().double().numpy()
    if len(samples) != 2:
        return np.stack([samples.mean(0), np.zeros(samples.shape[-1])])
    return np.stack([(samples[0] + samples[1]) / 2, (samples[0] - samples[1]) / 2])


def _decays(middle: np.ndarray, side: np.ndarray) -> list[Decay]:
    """What the notes' ends of one band tell."""
    total = np.convolve(middle + side, np.full(_SMOOTH, 1 / _SMOOTH), "same")
    level = 10 * np.log10(np.maximum(total, total.max() * 10 ** (_SILENCE_DB / 10)) + 1e-30)
    found = []
    for start, stop in _falls(level):
        straight = _longest_line(level[start:stop])
        if straight is None:
            continue
        first, last, slope, height = straight
        held = level[max(0, start - _HELD) : start + 1].mean()
        wet_db = height + slope * _end(level, start, held - 3.0)
        share = 10 ** ((wet_db - held) / 10)
        if share > _OWN_SHARE:
            continue
        part = slice(start + (first + last) // 2, start + last)  # where nothing of the dry sound is left
        width = math.sqrt(side[part].sum() / max(middle[part].sum(), 1e-30))
        found.append(Decay(-60 * _HOP_SECONDS / slope, 10 * math.log10(share / (1 - share)), min(1.0, width)))
    return found


def _end(level: np.ndarray, start: int, threshold: float) -> float:
    """When a note ends, in frames after `start`: where half of its power is gone."""
    after = start + int(np.argmax(level[start:] < threshold))
    before, here = level[after - 1], level[after]
    return after - 1 - start + float((before - threshold) / max(before - here, 1e-9)) if after > start else 0.0


def _falls(level: np.ndarray) -> Iterator[tuple[int, int]]:
    """From where a note begins to fall to its lowest frame before the next, where that is 20 dB below or more."""
    top = bottom = 0
    for frame in range(1, len(level)):
        value = level[frame]
        if value > level[bottom] + _NEXT_DB or frame - top > _SECONDS[1] / _HOP_SECONDS + 100:
            if level[top] - level[bottom] >= _FALL_DB:
                yield top, bottom + 1
            top = bottom = frame
        elif value > level[top] or (bottom == top and value >= level[top] - 1.0):
            top = bottom = frame
        elif value < level[bottom]:
            bottom = frame
    if len(level) and level[top] - level[bottom] >= _FALL_DB:
        yield top, bottom + 1


def _longest_line(level: np.ndarray) -> tuple[int, int, float, float] | None:
    """The longest piece that falls along a line: first and last frame, slope in dB per frame, height at frame 0."""
    count = len(level)
    shortest, longest = round(_SECONDS[0] / _HOP_SECONDS), round(_SECONDS[1] / _HOP_SECONDS)
    if count <= shortest:
        return None
    frames = np.arange(count)
    sums = [np.concatenate([[0.0], np.cumsum(each)]) for each in (level, level**2, frames * level)]
    for length in range(min(count, longest), shortest - 1, -max(1, count // 60)):
        y, yy, xy = (each[length:] - each[:-length] for each in sums)
        begins = np.arange(len(y))
        mean = begins + (length - 1) / 2
        spread = length * (length * length - 1) / 12
        slope = (xy - mean * y) / spread
        bend = np.sqrt(np.maximum(yy - y * y / length - slope**2 * spread, 0) / length)
        good = (bend <= _BEND_DB) & (-slope * length >= _STRAIGHT_DB)
        if good.any():
            at = int(np.argmin(np.where(good, bend, np.inf)))
            return at, at + length, float(slope[at]), float(y[at] / length - slope[at] * mean[at])
    return None
