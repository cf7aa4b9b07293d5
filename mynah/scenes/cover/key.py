"""Another key: a recording moved by semitones, exactly as long as it was and each note where it was.

Rubber Band's better engine ("R3", in pedalboard, GPL-3.0) does it, which keeps tones some 40 dB purer than the one that
works on streams, but wants all of its sound at once and runs fast or slow by a thousandth, because its hops are whole
numbers. So the sound goes through in stretches of twenty seconds; how fast the engine runs is measured on clicks and
undone by resampling; and neighbouring stretches are joined where, and with the lag of at most 2 ms at which, their
waves agree best.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.audio.chunks import regroup
from mynah.audio.files import Writer, probe, stream
from mynah.core.errors import BadOption, MissingExtra
from mynah.core.types import Audio

_STRETCH_SECONDS = 20.0
_GUARD_SECONDS = 0.3  # on either side of a stretch: what the engine needs to settle
_JOINT_SECONDS = 0.5  # in which neighbours may be joined
_FADE_SECONDS = 0.03
_LAG_SECONDS = 0.002


def shifted(
    source: Path, out: Path, semitones: float, progress: Callable[[float], None] = lambda fraction: None
) -> None:
    """Write `source` moved by so many semitones to `out`, in float32 where `out` is a wav.

    Memory holds a few stretches of twenty seconds; as many are worked on at once as torch has threads.

    Args:
        source: Any recording.
        out: Where to; the suffix chooses the format.
        semitones: From -24 to 24, and fractions.
        progress: Told the fraction that is done.

    Raises:
        BadOption: Too many semitones.
        MissingExtra: pedalboard is not installed.
        BadAudio: The source cannot be read.
        NoSpace: The disk is full.
    """
    if not -24 <= semitones <= 24:
        raise BadOption(f"a song cannot be moved by {semitones:g} semitones: from -24 to 24")
    info, done = probe(source), 0.0
    bits = 32 if out.suffix.lower() == ".wav" else None
    pieces = (block.samples for block in stream(source))
    with Writer(out, info.rate, info.channels, bits=bits, peak_db=None) as writer:
        for piece in moved(pieces, info.rate, semitones):
            writer.push(Audio(piece, info.rate))
            done += piece.shape[-1] / info.rate
            progress(min(1.0, done / info.seconds))


def moved(pieces: Iterable[Tensor], rate: int, semitones: float) -> Iterator[Tensor]:
    """Sound `[channel, time]`, cut anywhere, moved by semitones: as much of it, cut elsewhere."""
    if not semitones:
        yield from pieces
        return
    engine = tuned_engine(rate, semitones)
    step, joint, lag = (round(seconds * rate) for seconds in (_STRETCH_SECONDS, _JOINT_SECONDS, _LAG_SECONDS))
    guard = round(_GUARD_SECONDS * rate)
    tail: Tensor | None = None
    stretches = _stretches(_guarded(pieces, guard), step, joint + 2 * guard)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for result, last in _in_turn(pool, engine, stretches, torch.get_num_threads()):
            own = result[:, guard - lag : result.shape[-1] - guard + lag]  # `lag` more than is its own on either side
            length = own.shape[-1] - 2 * lag
            whole = own[:, lag : lag + length] if tail is None else _joined(tail, own, lag, length, rate)
            yield whole if last else whole[:, : length - joint]
            tail = whole[:, length - joint :]


def _joined(tail: Tensor, own: Tensor, lag: int, length: int, rate: int) -> Tensor:
    """`tail` faded into `own`, whose sample `lag` is simultaneous with the first of `tail`: `[channel, length]`.

    Where, and with which lag, is told by the correlation of both, which is 1 where they are alike.
    """
    fade, joint = max(1, round(_FADE_SECONDS * rate)), tail.shape[-1]
    before, after = tail.mean(0), own.mean(0)
    best, place, late = -2.0, 0, 0
    for at in range(0, joint - fade + 1, max(1, fade // 3)):
        old, new = before[at : at + fade], after[at : at + fade + 2 * lag]
        products = F.conv1d(new[None, None], old[None, None])[0, 0]
        powers = new.square().unfold(0, fade, 1).sum(1) * old.square().sum()
        alike = products / (powers.sqrt() + 1e-6)
        if alike.max() > best:
            best, place, late = alike.max().item(), at, int(alike.argmax())
    placed = own[:, late : late + length]
    rise = (torch.arange(fade) + 0.5) / fade
    met = torch.lerp(tail[:, place : place + fade], placed[:, place : place + fade], rise)
    return torch.cat([tail[:, :place], met, placed[:, place + fade :]], -1)


def _guarded(pieces: Iterable[Tensor], guard: int) -> Iterator[Tensor]:
    channels = 0
    for piece in pieces:
        if not channels:
            channels = piece.shape[0]
            yield torch.zeros(channels, guard)
        yield piece
    if channels:
        yield torch.zeros(channels, guard)


def _stretches(pieces: Iterable[Tensor], step: int, shared: int) -> Iterator[tuple[Tensor, bool]]:
    """Windows of `step + shared` that begin every `step`, and whether each is the last, which may be shorter."""
    held: Tensor | None = None
    for piece in regroup(pieces, step):
        held = piece if held is None else torch.cat([held, piece], -1)
        while held.shape[-1] > step + shared:
            yield held[:, : step + shared], False
            held = held[:, step:]
    if held is not None:
        yield held, True


def _in_turn(
    pool: ThreadPoolExecutor, engine: Engine, stretches: Iterable[tuple[Tensor, bool]], at_once: int
) -> Iterator[tuple[Tensor, bool]]:
    waiting: deque[tuple[Future[Tensor], bool]] = deque()
    for wave, last in stretches:
        waiting.append((pool.submit(engine, wave), last))
        if len(waiting) > at_once:
            future, was_last = waiting.popleft()
            yield future.result(), was_last
    for future, was_last in waiting:
        yield future.result(), was_last


@dataclass(frozen=True)
class Engine:
    """Rubber Band for one rate and one interval, with what is known to be wrong about it.

    Attributes:
        rate: In Hz.
        semitones: That it is told.
        slow: What lies `t` samples from the start comes out at `slow * t + late`.
        late: In samples.
    """

    rate: int
    semitones: float
    slow: float = 1.0
    late: float = 0.0

    def __call__(self, wave: Tensor) -> Tensor:
        """From `[channel, time]` to as much, everything in its place."""
        try:
            import pedalboard
        except ImportError as error:
            raise MissingExtra("pedalboard", "cover") from error
        time = wave.shape[-1]
        # The engine gives as much as it gets, so that what is late would be cut.
        long = F.pad(wave, (0, time // 50 + self.rate // 2)).numpy()
        told = pedalboard.time_stretch(long, self.rate, 1.0, self.semitones, preserve_formants=False)
        if self.slow != 1:
            told = soxr.resample(told.T, self.slow * self.rate, self.rate, "VHQ").T
        late = round(self.late / self.slow)
        return F.pad(torch.from_numpy(np.ascontiguousarray(told)), (-late, time + late - told.shape[1]))

    @property
    def moves(self) -> float:
        """By how many semitones a sound is moved in the end: resampling moves it a little, too."""
        return self.semitones + 12 * math.log2(self.slow)


@lru_cache(maxsize=8)
def tuned_engine(rate: int, semitones: float) -> Engine:
    """An engine that was listened to, and told a few cents more or less so that it moves a sound by `semitones`."""
    first = _measured(Engine(rate, semitones))
    second = _measured(Engine(rate, 2 * semitones - first.moves))
    return min(first, second, key=lambda engine: abs(engine.moves - semitones))


def _measured(engine: Engine) -> Engine:
    """The same engine, with what it does to the times of nine clicks."""
    rate, gap = engine.rate, engine.rate // 2
    fall = torch.exp(-torch.arange(rate // 50) / (0.002 * rate))
    click = fall * torch.randn(len(fall), generator=torch.Generator().manual_seed(0))
    wave = torch.zeros(1, 10 * gap)
    starts = range(gap, 10 * gap, gap)
    for start in starts:
        wave[0, start : start + len(click)] = click
    times, came = (np.array([_middle(sound, start, gap) for start in starts]) for sound in (wave, engine(wave)))
    slow, late = np.polyfit(times, came, 1)
    return Engine(rate, engine.semitones, float(slow), float(late))


def _middle(wave: Tensor, start: int, gap: int) -> float:
    """Where the energy of a click near `start` lies, in samples."""
    first = start - gap // 5
    energy = wave[0, first : start + gap // 5].double().square()
    return first + float((energy * torch.arange(len(energy))).sum() / energy.sum())
