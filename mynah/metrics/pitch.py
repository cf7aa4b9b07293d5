"""Pitch agreement: whether the result sings the melody of its source."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mynah.core.types import Contour
from mynah.features.grid import onto_grid


@dataclass(frozen=True)
class PitchAgreement:
    """How a melody follows another. What cannot be told is None.

    Attributes:
        correlation: Pearson's, of log pitch over the frames that are voiced in both; None for a single held pitch.
        median_cents: Median distance over those frames, with the transposition taken off.
        rmse_cents: Root of the mean squared distance over them; a wrong octave counts as the 1200 cents that it is.
        voicing_f1: Harmonic mean of precision and recall of the result's voiced frames; None where nobody has a pitch.
        transposed_semitones: What was taken off.
        frames: How many frames are voiced in both.
    """

    correlation: float | None
    median_cents: float | None
    rmse_cents: float | None
    voicing_f1: float | None
    transposed_semitones: float
    frames: int


def agreement(source: Contour, result: Contour, *, transpose: float | None = None) -> PitchAgreement:
    """Compare the melody of a result with that of its source, frame by frame; the shorter one says how far.

    Args:
        source: Hz, NaN where unvoiced.
        result: The same; of another hop, it is put on the grid of the source.
        transpose: Semitones by which the result was meant to be moved; None takes off the median difference, whatever
            it is, so that a constant mistuning goes unseen.

    Example:

        >>> melody = Contour(torch.tensor([200.0, 210.0, torch.nan, 220.0]), 0.01, "Hz")
        >>> octave_up = Contour(2 * melody.values, 0.01, "Hz")
        >>> heard = agreement(melody, octave_up)
        >>> round(heard.median_cents, 3), round(heard.transposed_semitones, 3), heard.voicing_f1
        (0.0, 12.0, 1.0)
    """
    wanted, got = _side_by_side(source, result)
    both = wanted.isfinite() & got.isfinite()
    count = int(both.sum())
    voiced = int(wanted.isfinite().sum()) + int(got.isfinite().sum())
    f1 = 2 * count / voiced if voiced else None
    if not count:
        return PitchAgreement(None, None, None, f1, transpose or 0.0, 0)
    before, after = wanted[both].double().log2(), got[both].double().log2()
    moved = 12 * (after - before)
    semitones = _median(moved) if transpose is None else transpose
    cents = 100 * (moved - semitones)
    return PitchAgreement(
        correlation=_correlation(before, after),
        median_cents=_median(cents.abs()),
        rmse_cents=cents.square().mean().sqrt().item(),
        voicing_f1=f1,
        transposed_semitones=semitones,
        frames=count,
    )


def _side_by_side(source: Contour, result: Contour) -> tuple[Tensor, Tensor]:
    got = result.values
    if result.hop_seconds != source.hop_seconds and len(got):
        seconds = torch.arange(len(got), dtype=torch.float64) * result.hop_seconds
        count = round(len(got) * result.hop_seconds / source.hop_seconds)
        got, _ = onto_grid(seconds, got, torch.ones(len(got)), count, source.hop_seconds)
    shorter = min(len(source.values), len(got))
    return source.values[:shorter], got[:shorter]


def _median(values: Tensor) -> float:
    return values.quantile(0.5).item() if len(values) < 1 << 24 else values.median().item()


def _correlation(x: Tensor, y: Tensor) -> float | None:
    x, y = x - x.mean(), y - y.mean()
    spread = (x.square().sum() * y.square().sum()).sqrt().item()
    # A cent of movement over the whole recording is rounding, not melody.
    if min(x.square().mean(), y.square().mean()) < (1 / 1200) ** 2:
        return None
    return (x * y).sum().item() / spread
