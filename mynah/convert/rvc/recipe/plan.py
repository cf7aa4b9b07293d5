"""Figures of a run, by default those of the original."""

from __future__ import annotations

from dataclasses import dataclass, field

from mynah.convert.rvc.recipe.losses import WEIGHTS

SEGMENTS = {
    ("v1", 32_000): 40, ("v1", 40_000): 32, ("v1", 48_000): 24,
    ("v2", 24_000): 36, ("v2", 32_000): 40, ("v2", 40_000): 32, ("v2", 48_000): 36,
}  # fmt: skip
"""Frames (100/s) of every clip that become sound, by version and rate."""


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        steps: Of the optimiser; the original counts epochs, and advises 20 to 200 of them.
        clips: In what is computed at a time.
        segment: Frames (100/s) of every clip that become sound; see `SEGMENTS`.
        rate: Learning rate at the beginning.
        decay: What it is multiplied with whenever as much was drawn as there is.
        weights: Of the losses, by name.
        seed: Of all that is drawn.
    """

    steps: int = 20_000
    clips: int = 4
    segment: int = 32
    rate: float = 1e-4
    decay: float = 0.999875
    weights: dict[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    seed: int = 1
