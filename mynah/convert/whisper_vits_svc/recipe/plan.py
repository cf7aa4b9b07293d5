"""Figures of a run, by default those of the original."""

from __future__ import annotations

from dataclasses import dataclass, field

from mynah.convert.whisper_vits_svc.losses import WEIGHTS


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        steps: Of the optimiser.
        clips: In what is computed at a time.
        accumulate: So many times are added up for one step of the optimiser.
        segment: Frames (100/s) of every clip that become sound.
        rate: Learning rate at the beginning; the critics' is divided by `accumulate`.
        decay: What both are multiplied with whenever as much was drawn as there is.
        weights: Of the losses, by name.
        ema: Decay of the running average; None for none, as the original has it.
        bf16: Whether nets run in bfloat16; losses never do.
        patience: Training ends when the ears have not been better pleased so many times in a row; None never.
        seed: Of all that is drawn.
    """

    steps: int = 100_000
    clips: int = 8
    accumulate: int = 2
    segment: int = 25
    rate: float = 5e-5
    decay: float = 0.999875
    weights: dict[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    ema: float | None = 0.999
    bf16: bool = False
    patience: int | None = 20
    seed: int = 1
