"""Figures of a run."""

from __future__ import annotations

from dataclasses import dataclass, field

WEIGHTS = {"convergence": 1.0, "magnitude": 1.0, "words": 2.0, "melody": 1.0, "fooled": 1.0}
"""Of the losses, in the paper's order; the paper's own values are not known to us, so these are ours."""


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        steps: Of the optimiser.
        clips: Recordings in a batch, each of which is sung by its own singer.
        swapped: How many of them are also sung by another singer of the table.
        mixed: How many of them are also sung by a virtual singer between two.
        frames: Content frames (50 a second) of a clip.
        rate: Learning rate of the generator at the beginning; it falls to a twentieth.
        critic_rate: Of the critics, when they begin; it falls alike.
        critics: Channels of their first layers.
        swaps_from: Step from which other singers sing.
        critics_from: Step from which critics are asked.
        places: Windows of a clip that CREPE looks at.
        weights: Of the losses, by name; 0 leaves one out.
        ema: Decay of the running average.
        bf16: Whether nets run in bfloat16; spectra never do.
        seed: Of all that is drawn.
    """

    steps: int = 400_000
    clips: int = 16
    swapped: int = 8
    mixed: int = 8
    frames: int = 50
    rate: float = 5e-4
    critic_rate: float = 2e-4
    critics: int = 16
    swaps_from: int = 0
    critics_from: int = 100_000
    places: int = 8
    weights: dict[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    ema: float | None = 0.999
    bf16: bool = False
    seed: int = 1


SMALL_PLAN = Plan(
    steps=2400, clips=6, swapped=2, mixed=1, frames=25, rate=2e-3, critics=4, swaps_from=600, critics_from=1500,
    places=4, ema=0.995, bf16=True,
)  # fmt: skip
"""What a processor can do in an hour."""
