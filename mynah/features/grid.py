"""A pitch contour at other times than those it was measured at, and where there was no pitch."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

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

        >>> glided(torch.tensor([torch.nan, 100.0, torch.nan, 400.0])).round()
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


class OnGrid:
    """As `onto_grid`, of a pitch that is still coming in: Hz `[1, frame]`, 0 where there is none.

    Args:
        from_hop: Time between frames that come in, in seconds.
        to_hop: Between those that go out.
    """

    def __init__(self, from_hop: Fraction, to_hop: Fraction) -> None:
        self._from, self._to = from_hop, to_hop
        self._held = torch.zeros(1, 0)
        self._first = self._done = 0

    def push(self, piece: Tensor) -> Iterator[Tensor]:
        self._held = torch.cat([self._held, piece], 1)
        # A frame is settled once there is one behind it.
        yield self._until(int((self._first + self._held.shape[1] - 1) * self._from / self._to))

    def flush(self) -> Iterator[Tensor]:
        yield self._until(int((self._first + self._held.shape[1]) * self._from / self._to))

    def _until(self, stop: int) -> Tensor:
        count = stop - self._done
        if count <= 0 or not self._held.shape[1]:
            return self._held[:, :0]
        seconds = (self._first + torch.arange(self._held.shape[1])).double() * float(self._from)
        hz = self._held[0].masked_fill(self._held[0] == 0, torch.nan)
        moved = onto_grid(seconds - self._done * float(self._to), hz, torch.ones_like(hz), count, float(self._to))[0]
        self._done = stop
        kept = min(self._held.shape[1] - 1, max(0, int(stop * self._to / self._from) - self._first))
        self._held, self._first = self._held[:, kept:], self._first + kept
        return moved.nan_to_num(0.0)[None]


class Lasting:
    """A pitch that lasts through the pause behind it: from Hz `[1, frame]` to two rows, Hz and whether there was any.

    Before the first note it stays 0. What `glided` does needs the next note, for which a stream cannot wait.
    """

    def __init__(self) -> None:
        self._last = torch.zeros(1)

    def push(self, piece: Tensor) -> Iterator[Tensor]:
        joined = torch.cat([self._last, piece[0]])
        place = torch.where(joined > 0, torch.arange(len(joined)), 0).cummax(0).values
        lasting = joined[place]
        self._last = lasting[-1:]
        yield torch.stack([lasting[1:], (piece[0] > 0).float()])

    def flush(self) -> Iterator[Tensor]:
        return iter(())
