"""A pitch contour at other times than those it was measured at, and where there was no pitch."""

from __future__ import annotations

import torch
from torch import Tensor

from mynah.core.types import Contour

_GLIDE_OCTAVES = 1 / 3  # what lies further apart are two notes, and nothing was sung between them


def onto_grid(seconds: Tensor, hz: Tensor, confidence: Tensor, count: int, hop_seconds: float) -> tuple[Tensor, Tensor]:
    """Pitch and confidence at `i * hop_seconds`.

    The nearest frame says whether there is a pitch. Between two frames that have one, at most four semitones apart,
    it moves evenly in octaves; otherwise the nearest counts. Before the first frame and after the last, these do.

    Args:
        seconds: When each frame is centred, rising, shape `[frame]`, at least one.
        hz: NaN where unvoiced, shape `[frame]`.
        confidence: Shape `[frame]`; moves evenly between frames.
        count: How many frames are wanted.
        hop_seconds: Time between them.

    Example:

        >>> at, hz = torch.tensor([0.0, 0.02]), torch.tensor([200.0, 220.5])
        >>> onto_grid(at, hz, torch.tensor([0.8, 1.0]), 3, 0.01)
        (tensor([200.0000, 210.0000, 220.5000]), tensor([0.8000, 0.9000, 1.0000]))
    """
    wanted = torch.arange(count, dtype=torch.float64) * hop_seconds
    seconds = seconds.double()
    after = torch.searchsorted(seconds, wanted).clamp(1, max(1, len(seconds) - 1)).clamp(max=len(seconds) - 1)
    before = (after - 1).clamp(min=0)
    gap = (seconds[after] - seconds[before]).clamp(min=1e-9)
    share = ((wanted - seconds[before]) / gap).clamp(0, 1)
    nearest = torch.where(share < 0.5, before, after)
    octave = hz.double().log2()
    slide = (octave[after] - octave[before]).abs() <= _GLIDE_OCTAVES  # false where either is NaN
    values = torch.where(slide, octave[before] * (1 - share) + octave[after] * share, octave[nearest])
    sure = confidence.double()
    return (2**values).float(), (sure[before] * (1 - share) + sure[after] * share).float()


def contour_at(contour: Contour, count: int, hop_seconds: float) -> Tensor:
    """The values of a contour at `i * hop_seconds`, as `onto_grid` has them, `[frame]`."""
    at = torch.arange(len(contour.values), dtype=torch.float64) * contour.hop_seconds
    return onto_grid(at, contour.values, torch.ones_like(contour.values), count, hop_seconds)[0]


def glided(hz: Tensor) -> Tensor:
    """Pitch everywhere: what lies between two notes is a glide from one to the other, NaN `[frame]` filled.

    Example:

        >>> glided(torch.tensor([torch.nan, 100.0, torch.nan, 400.0]))
        tensor([100., 100., 200., 400.])
    """
    known = hz.isfinite().nonzero()[:, 0]
    if not len(known):
        return torch.zeros_like(hz)
    octaves, place = hz.log2(), torch.arange(len(hz))
    after = torch.searchsorted(known, place).clamp(max=len(known) - 1)
    before = torch.where(known[after] <= place, after, (after - 1).clamp(min=0))
    left, right = known[before], known[after]
    share = ((place - left) / (right - left).clamp(min=1)).clamp(0, 1)
    return 2 ** torch.lerp(octaves[left], octaves[right], share)
