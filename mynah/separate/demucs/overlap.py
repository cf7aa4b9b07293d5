"""A long mix through nets that hear seconds of it: overlapping segments, faded into each other, in flat memory.

Each net goes over the mix in segments whose weight rises to their middle and falls again; where segments overlap,
their answers are averaged by these weights. A net may go over it more than once, each time moved by another fraction
of a second, and several nets may do so. All passes advance together, so that what every one of them has left
behind can be given away; only what some pass still needs is kept.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.nets.separator import Pieces
from mynah.separate.demucs.engine import Engine

SHIFT_SECONDS = 0.5  # by how much a pass may be moved
QUIET = 1e-8  # added to the standard deviation of a mix before dividing by it


@dataclass(frozen=True)
class Plan:
    """How a mix is gone over.

    Attributes:
        shifts: Passes of each net, each moved at random; 0 for one pass that is not.
        overlap: Of neighbouring segments, as a share of one.
        segment: Seconds that a net is given at once; its own choice when `None`.
        seed: Of the moves.
    """

    shifts: int = 0
    overlap: float = 0.25
    segment: float | None = None
    seed: int = 0


def apart(mix: Pieces, engines: Sequence[Engine], weights: Sequence[Sequence[float]], plan: Plan) -> Iterator[Tensor]:
    """The stems of a mix.

    Args:
        mix: Opens the mix, `[channel, time]` in pieces. It is opened twice: nets hear it standardised as a whole.
        engines: Of one rate, with the same stems.
        weights: Of each engine for each stem.
        plan: How to go over it.

    Returns:
        Pieces `[stem, channel, time]`, together as long as the mix.

    Raises:
        BadOption: The segment is longer than a net can hear.
    """
    passes = list(_passes(engines, weights, plan))
    mean, deviation = spread(mix())
    tape = _Tape((piece - mean) / deviation for piece in mix())
    answer: Tensor | None = None  # [stem, channel, time], beginning at `given`
    given = 0
    while passes:
        step = min(passes, key=lambda one: one.begin)
        tape.reach(step.needs)
        samples = min(step.length, tape.end - step.begin)
        if samples <= 0:
            passes.remove(step)  # the mix is over
            continue
        part = step.answer(tape, samples)
        if (early := given - step.begin) > 0:  # a moved pass begins before the mix does
            part, at = part[..., early:], 0
        else:
            at = -early
        if answer is None:
            answer = part.new_zeros(*part.shape[:2], 0)
        answer = F.pad(answer, (0, max(0, at + part.shape[-1] - answer.shape[-1])))
        answer[..., at : at + part.shape[-1]] += part
        step.advance()
        # No pass will touch again what lies before the earliest segment to come.
        done = min(min(one.begin for one in passes) - given, answer.shape[-1])
        if done > 0:
            yield answer[..., :done] * deviation + mean
            answer, given = answer[..., done:].clone(), given + done
        tape.forget(min(one.keeps for one in passes))
    if answer is not None and answer.shape[-1]:
        yield answer * deviation + mean


def spread(pieces: Iterable[Tensor]) -> tuple[float, float]:
    """Mean and standard deviation of a mix, over the average of its channels.

    Example:

        >>> mean, deviation = spread([torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0]])])
        >>> mean, round(deviation, 6)
        (2.0, 1.0)
    """
    count, mean, squares = 0, 0.0, 0.0
    for piece in pieces:
        mono = piece.mean(0).double()
        if not (samples := len(mono)):
            continue
        offset = mono.mean().item() - mean
        squares += mono.var(correction=0).item() * samples + offset**2 * count * samples / (count + samples)
        mean += offset * samples / (count + samples)
        count += samples
    return mean, (squares / (count - 1)) ** 0.5 + QUIET if count > 1 else QUIET


def _passes(engines: Sequence[Engine], weights: Sequence[Sequence[float]], plan: Plan) -> Iterator[_Pass]:
    dice = random.Random(plan.seed)
    total = torch.tensor(weights, dtype=torch.float32).sum(0)
    for engine, row in zip(engines, weights, strict=True):
        share = torch.tensor(row, dtype=torch.float32) / total / max(1, plan.shifts)
        length = engine.segment(plan.segment)
        stride = max(1, int((1 - plan.overlap) * length))
        longest = int(SHIFT_SECONDS * engine.rate)
        for _ in range(max(1, plan.shifts)):
            begin = dice.randint(0, longest) - longest if plan.shifts else 0
            yield _Pass(engine, share, begin, length, stride)


class _Tape:
    """A window on the mix: silent outside it, read on demand, forgotten when told."""

    def __init__(self, pieces: Iterator[Tensor]) -> None:
        self._pieces = pieces
        self._begin, self.end = 0, 0  # of what is held, in samples of the mix
        self._held: Tensor | None = None

    def reach(self, end: int) -> None:
        """Read on until `end` is held, or the mix is over."""
        fresh = [self._held] if self._held is not None else []
        while self.end < end and (piece := next(self._pieces, None)) is not None:
            fresh.append(piece)
            self.end += piece.shape[-1]
        if fresh:
            self._held = fresh[0] if len(fresh) == 1 else torch.cat(fresh, -1)

    def read(self, begin: int, end: int) -> Tensor:
        """`[channel, end - begin]`."""
        assert self._held is not None
        first, last = max(begin, self._begin), min(end, self.end)
        held = self._held[..., first - self._begin : last - self._begin]
        return F.pad(held, (first - begin, end - last))

    def forget(self, before: int) -> None:
        """Keep nothing from before this sample."""
        before = min(before, self.end)
        if self._held is not None and before > self._begin:
            self._held = self._held[..., before - self._begin :].clone()
            self._begin = before


class _Pass:
    """One net going once over the mix.

    Attributes:
        begin: Of the next segment, in samples of the mix.
        length: Of a segment.
    """

    def __init__(self, engine: Engine, share: Tensor, begin: int, length: int, stride: int) -> None:
        self.engine, self.share, self.begin, self.length, self.stride = engine, share, begin, length, stride
        self._around = engine.heard(length, length) - length
        self._back = (engine.heard(1, length) + self._around + length) // 2 + 1
        self._number = 0
        rising = torch.arange(1, length // 2 + 1)
        falling = torch.arange(length - length // 2, 0, -1)
        triangle = torch.cat([rising, falling]).float()
        self._triangle = triangle / triangle.max()
        self._fades: dict[int, Tensor] = {}

    @property
    def needs(self) -> int:
        """Up to where the mix has to be known for the next segment."""
        return self.begin + self.length + self._around

    @property
    def keeps(self) -> int:
        """From where the mix is still needed; a short last segment looks back by what it lacks."""
        return self.begin - self._back

    def advance(self) -> None:
        """To the next segment."""
        self.begin += self.stride
        self._number += 1

    def answer(self, tape: _Tape, samples: int) -> Tensor:
        """What this pass adds to the result, `[stem, channel, samples]` from `begin` on."""
        heard = self.engine.heard(samples, self.length)
        first = self.begin - (heard - samples) // 2
        place = next(self.engine.net.parameters()).device
        stems = self.engine.answer(tape.read(first, first + heard).to(place), samples).to("cpu")
        return stems * (self.share[:, None, None] * self._fade()[:samples])

    def _fade(self) -> Tensor:
        """The triangle, divided by the sum of all that overlap there; early segments have fewer before them."""
        before = min(self._number, (self.length - 1) // self.stride)
        if before not in self._fades:
            total = torch.zeros(self.length)
            for away in range(-((self.length - 1) // self.stride), before + 1):
                moved = away * self.stride
                if moved >= 0:
                    total[: self.length - moved] += self._triangle[moved:]
                else:
                    total[-moved:] += self._triangle[:moved]
            self._fades[before] = self._triangle / total
        return self._fades[before]
