"""Figures of both stages, by default the original's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar


class AlignPhase(NamedTuple):
    """Until which step, with how many frames for each step of the decoder, how fast, and on how many readings."""

    until: int
    each: int
    rate: float
    clips: int


class SpeakPhase(NamedTuple):
    """Until which step, how fast, and on how many readings."""

    until: int
    rate: float
    clips: int


Phase = TypeVar("Phase", AlignPhase, SpeakPhase)


def at(phases: Sequence[Phase], step: int) -> Phase:
    """The phase that a step is in.

    Example:

        >>> [at(Plan().align, step).each for step in (0, 9_999, 10_000, 60_000)]
        [10, 10, 5, 1]
    """
    return next((phase for phase in phases if step < phase.until), phases[-1])


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        align: Phases of the aligner.
        speak: Phases of the speaker.
        told: How much durations, pitch and strength count beside the spectrum.
        monotone: Readings along which attention jumps more often are left out, see `Quality`.
        sharp: Those at which it is less sure of what it looks at.
        ones: Those with more sounds of one frame in a row.
        longest: Those with a longer sound, in frames.
        seed: Of all that is drawn.
    """

    align: tuple[AlignPhase, ...] = (
        AlignPhase(10_000, 10, 1e-3, 32),
        AlignPhase(20_000, 5, 1e-4, 16),
        AlignPhase(30_000, 2, 1e-4, 8),
        AlignPhase(50_000, 1, 1e-4, 8),
    )
    speak: tuple[SpeakPhase, ...] = (SpeakPhase(150_000, 5e-5, 32), SpeakPhase(300_000, 1e-5, 32))
    told: float = 0.1
    monotone: float = 0.95
    sharp: float = 0.5
    ones: int = 6
    longest: int = 40
    seed: int = 42
