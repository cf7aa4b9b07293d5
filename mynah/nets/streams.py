"""Singing while the sound still comes in: stages from what is heard to what is sung, which pass on what is settled.

A whole recording, a file of hours and a microphone take the same way; they differ in how much is heard at a time
(`Pace`) and in whether the melody is known before. Memory holds a few windows, and the result does not depend on how
the sound was cut. Everything that flows is a tensor with time as its last dimension: sound `[time]`, then rows of what
is known of every frame `[row, frame]`, then sound again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.audio.chunks import Chunks
from mynah.audio.files import Writer
from mynah.audio.mixing import as_one
from mynah.audio.resample import Resampler, resampled_length
from mynah.core.errors import BadAudio
from mynah.core.types import Audio
from mynah.core.verbs import Stream

BLOCK_SECONDS = 10.0  # of a recording that is there already, at a time


class Stage(Protocol):
    """A part of the way. What an iterator gives has to be taken before more is pushed."""

    def push(self, piece: Tensor) -> Iterator[Tensor]: ...

    def flush(self) -> Iterator[Tensor]: ...


class Span(NamedTuple):
    """A window in seconds, as `mynah.audio.chunks.Chunks` has it."""

    chunk: float
    left: float = 0.0
    right: float = 0.0
    overlap: float = 0.0

    @property
    def wait(self) -> float:
        """Seconds that have to come behind a moment at most before it is settled."""
        return self.chunk + self.right + self.overlap

    def over(
        self, function: Callable[[Tensor], Tensor], rate: Fraction | int, *, each: int = 1, ratio: Fraction | int = 1
    ) -> Chunks:
        """A function in such windows; they begin and end at multiples of `each` steps.

        Args:
            function: As `Chunks` takes it.
            rate: Steps in a second.
            each: Steps.
            ratio: Steps out for each step in.
        """
        chunk, left, right, overlap = (round(seconds * rate / each) * each for seconds in self)
        return Chunks(function, max(each, chunk), left=left, right=right, overlap=overlap, ratio=ratio)


@dataclass(frozen=True)
class Pace:
    """How much is heard at a time.

    Attributes:
        heard: By the nets that hear content.
        expected: By the prior and the flow.
        stretch: Seconds that are decoded at a time, and filtered.
        margin: Seconds on either side that a filter without end is given.
    """

    heard: Span
    expected: Span
    stretch: float
    margin: float

    def singing(self, reach: int, frames_per_second: Fraction | int) -> float:
        """Seconds until what is known of a frame is sound, at most, with a decoder that looks at `reach` frames."""
        return self.expected.wait + self.stretch + (reach + 3) / float(frames_per_second)


SONG = Pace(Span(13.0, overlap=2.0), Span(23.0, overlap=2.0), 5.12, 0.5)  # of a recording that is there already
LIVE = Pace(Span(0.32, 1.6, 0.08, 0.04), Span(0.16, 0.64, 0.08, 0.04), 0.16, 0.1)  # of a microphone


class Each:
    """Every piece by itself.

    Args:
        function: What depends on no other frame.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self._function = function

    def push(self, piece: Tensor) -> Iterator[Tensor]:
        yield self._function(piece)

    def flush(self) -> Iterator[Tensor]:
        return iter(())


class Chain:
    """One stage after the other."""

    def __init__(self, *stages: Stage) -> None:
        self._stages = stages

    def push(self, piece: Tensor) -> Iterator[Tensor]:
        return self._from(0, piece)

    def flush(self) -> Iterator[Tensor]:
        for place, stage in enumerate(self._stages):
            for piece in stage.flush():
                yield from self._from(place + 1, piece)

    def _from(self, place: int, piece: Tensor) -> Iterator[Tensor]:
        if place == len(self._stages):
            yield piece
            return
        for passed in self._stages[place].push(piece):
            yield from self._from(place + 1, passed)


class Beside:
    """Stages that all hear the same, and whose rows are put below each other as soon as all have come.

    The first one says how many frames there are in the end; of the others what is too much is left out, and what is
    missing is the last that there was.
    """

    def __init__(self, *stages: Stage) -> None:
        self._stages = stages
        self._held: list[list[Tensor]] = [[] for _ in stages]
        self._last: list[Tensor] = []

    def push(self, piece: Tensor) -> Iterator[Tensor]:
        for stage, held in zip(self._stages, self._held, strict=True):
            held.extend(stage.push(piece))
        yield from self._met(min(self._counts()))

    def flush(self) -> Iterator[Tensor]:
        for stage, held in zip(self._stages, self._held, strict=True):
            held.extend(stage.flush())
        yield from self._met(self._counts()[0])
        self._held = [[] for _ in self._stages]

    def _counts(self) -> list[int]:
        return [sum(piece.shape[-1] for piece in held) for held in self._held]

    def _met(self, count: int) -> Iterator[Tensor]:
        if not count:
            return
        rows = [torch.cat(held, -1) for held in self._held]
        full = []
        for place, row in enumerate(rows):
            if row.shape[-1] < count:
                last = row[:, -1:] if row.shape[-1] else self._last[place]
                row = torch.cat([row, last.expand(-1, count - row.shape[-1])], 1)
            full.append(row[:, :count])
        self._held = [[row[:, count:]] for row in rows]
        self._last = [row[:, -1:] for row in full]
        yield torch.cat(full)


def over(stage: Stage, pieces: Iterable[Tensor]) -> Iterator[Tensor]:
    """All that a stage makes of a sequence that can be asked for."""
    for piece in pieces:
        yield from stage.push(piece)
    yield from stage.flush()


class Resampled:
    """Sound `[time]` at another rate."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._resampler, self._rate = Resampler(from_rate, to_rate), from_rate

    def push(self, piece: Tensor) -> Iterator[Tensor]:
        yield self._resampler.push(Audio(piece[None], self._rate)).samples[0]

    def flush(self) -> Iterator[Tensor]:
        rest = self._resampler.flush().samples
        if rest.shape[0]:
            yield rest[0]


class Known:
    """Rows that are known of a whole song before it is heard; the last frame is held for as long as it takes.

    Args:
        rows: `[row, frame]`.
        step: Samples of a frame, of the sound that is pushed.
    """

    def __init__(self, rows: Tensor, step: Fraction | int) -> None:
        self._rows, self._step = rows, Fraction(step)
        self._samples = self._done = 0

    def push(self, piece: Tensor) -> Iterator[Tensor]:
        self._samples += piece.shape[-1]
        yield self._until(int(self._samples / self._step))

    def flush(self) -> Iterator[Tensor]:
        yield self._until(-int(-self._samples // self._step))

    def _until(self, count: int) -> Tensor:
        first, self._done = self._done, max(self._done, count)
        return self._rows[:, torch.arange(first, self._done).clamp(max=self._rows.shape[1] - 1)]


class Counted:
    """Frames with two rows below: the phase in turns before each, and its number.

    Args:
        turns: From Hz `[1, frame]` to the phase before every frame, if the first began at 0.
        hop_seconds: Length of a frame.
        row: In which Hz are, 0 where unvoiced; None where there is no pitch, and then the phase stays 0.
    """

    def __init__(self, turns: Callable[[Tensor], Tensor] | None, hop_seconds: float, row: int | None) -> None:
        self._turns, self._hop_seconds, self._row = turns, hop_seconds, row
        self._number, self._begin = 0, torch.zeros((), dtype=torch.float64)

    def push(self, piece: Tensor) -> Iterator[Tensor]:
        count = piece.shape[-1]
        if not count:
            return
        number = torch.arange(self._number, self._number + count, dtype=torch.float32)  # exact up to two days
        phase = torch.zeros(count, dtype=torch.float64)
        if self._turns is not None and self._row is not None:
            hz = piece[self._row]
            phase = (self._turns(hz[None])[0].cpu() + self._begin).remainder(1.0)
            self._begin = (phase[-1] + hz[-1].double() * self._hop_seconds).remainder(1.0)
        self._number += count
        yield torch.cat([piece, phase[None].float(), number[None]])

    def flush(self) -> Iterator[Tensor]:
        return iter(())


class Sung:
    """A `Stream` of one converter: sound in, sound out, as long in the end as what came in.

    Args:
        stage: From mono sound `[time]` at `rate` to sound at `own_rate`.
        rate: In Hz.
        own_rate: Of the singer, in Hz.
        latency: Seconds that a sample waits at most before what became of it comes out.
        out_rate: Of the result, in Hz; by default `rate`.
    """

    def __init__(self, stage: Stage, rate: int, own_rate: int, latency: float, out_rate: int | None = None) -> None:
        self.rate, self.out_rate = rate, out_rate or rate
        self.latency = latency + lag(own_rate, self.out_rate)
        self._stage = Chain(stage, Resampled(own_rate, self.out_rate))
        self._came = self._went = 0

    @torch.inference_mode()
    def push(self, block: Audio) -> Audio:
        """What can be sung by now, perhaps nothing.

        Raises:
            BadAudio: The block has another rate, or holds something that is not a number.
        """
        if block.rate != self.rate:
            raise BadAudio(f"a block of {block.rate} Hz came to a stream of {self.rate} Hz")
        if not block.samples.shape[-1]:
            return self._out([])
        self._came += block.samples.shape[-1]
        return self._out(list(self._stage.push(as_one(block).samples[0])))

    @torch.inference_mode()
    def flush(self) -> Audio:
        """The rest, to the sample; nothing can be pushed afterwards."""
        total = resampled_length(self._came, self.rate, self.out_rate)
        left = total - self._went
        rest = self._out(list(self._stage.flush())).samples[:, :left]
        return Audio(F.pad(rest, (0, left - rest.shape[-1])), self.out_rate)

    def _out(self, pieces: list[Tensor]) -> Audio:
        sound = torch.cat(pieces) if pieces else torch.zeros(0)
        self._went += len(sound)
        return Audio(sound[None], self.out_rate)


def flat(frames: Tensor) -> Tensor:
    """Sound `[time]` of the samples of its frames `[hop, frame]`."""
    return frames.T.reshape(-1)


def paired(values: Tensor) -> Tensor:
    """Values of which two lie in every frame, `[2, frame]`; the last frame is filled up with zero.

    Example:

        >>> paired(torch.tensor([1.0, 2.0, 3.0]))
        tensor([[1., 3.],
                [2., 0.]])
        >>> flat(paired(torch.tensor([1.0, 2.0])))
        tensor([1., 2.])
    """
    return F.pad(values.reshape(-1), (0, values.numel() % 2)).view(-1, 2).T


def lag(from_rate: int, to_rate: int) -> float:
    """Seconds that a change of rate keeps sound back at most; measured, as the filters are soxr's."""
    return 0.0 if from_rate == to_rate else 1700 / min(from_rate, to_rate)


def whole(sung: Stream, source: Audio) -> Audio:
    """A recording that is there already, in blocks; where it would clip, it is made softer as a whole.

    Raises:
        BadAudio: It is empty or holds something that is not a number.
    """
    mono = as_one(source)
    blocks = mono.samples.split(round(BLOCK_SECONDS * source.rate), -1)
    pieces = [sung.push(Audio(block, source.rate)).samples for block in blocks]
    result = torch.cat([*pieces, sung.flush().samples], -1)
    return Audio(result / result.abs().max().clamp(min=1.0), source.rate)


def through(
    sung: Stream,
    blocks: Iterable[Audio],
    out: Path | str,
    rate: int,
    *,
    seconds: float,
    bits: int | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> float:
    """As `whole`, block by block into a file with flat memory.

    Args:
        sung: A stream at the rate of the blocks, with a result at `rate`.
        blocks: What is sung.
        out: Where to.
        rate: Of the result, in Hz.
        seconds: How long the source is about to be, for the progress.
        bits: Of the result, where its format leaves a choice.
        progress: Told the fraction that is done.

    Returns:
        Seconds that came.

    Raises:
        BadAudio: There is no sound, or it cannot be read.
        BadOption: What `mynah.write` says of places, formats and bits.
        NoSpace: The disk is full.
    """
    done = 0.0
    with Writer(out, rate, channels=1, bits=bits) as writer:
        for block in blocks:
            writer.push(sung.push(block))
            done += block.seconds
            progress(min(1.0, done / max(seconds, 0.01)))
        writer.push(sung.flush())
    return done
