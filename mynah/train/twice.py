"""Recordings that are there twice: the same file, or the same sound in another format, as loud or not.

Whoever has hundreds of thousands cannot look at every pair. Equal files are told by their content. Of the others only
those are compared that are as long as each other, by outline and notes, in blocks; and what is known to be there
already is not compared any more, so that a thousand copies cost a thousand comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.train.data import FRAME_RATE, Take

SLACK = FRAME_RATE // 5  # frames by which lengths may differ: formats add silence
ROWS, COLUMNS = 256, 2048  # that are compared at a time
_ALIKE, _IN_TUNE = 0.98, 0.5


def duplicates(takes: Sequence[Take], outlines: Tensor, notes: Tensor) -> list[tuple[Take, Take]]:
    """Each recording that is there already, behind the first of its kind.

    Args:
        takes: From `mynah.train.data.prepare`.
        outlines: Their level contours, of mean 0 and length 1, `[take, point]`.
        notes: How long they are on each note, `[take, note]`.
    """
    first: dict[Path, int] = {}
    pairs, own = [], []
    for place, take in enumerate(takes):
        other = first.setdefault(take.folder, place)
        if other != place:
            pairs.append((other, place))
        else:
            own.append(place)
    own.sort(key=lambda place: takes[place].frames)
    lengths = torch.tensor([takes[place].frames for place in own])
    # A note at the edge of two is counted as one of them in one format and as the other in another.
    near = F.avg_pool1d(notes[own].float()[:, None], 3, stride=1, padding=1)[:, 0]
    twin = torch.zeros(len(own), dtype=torch.bool)
    for one, other in _alike(lengths, outlines[own], F.normalize(near), twin):
        early, late = sorted((own[one], own[other]))
        if not (twin[one] or twin[other]) and _same_melody(takes[early], takes[late]):
            twin[one if own[one] == late else other] = True
            pairs.append((early, late))
    return [(takes[early], takes[late]) for early, late in sorted(pairs)]


def _alike(lengths: Tensor, outlines: Tensor, notes: Tensor, twin: Tensor) -> Iterator[tuple[int, int]]:
    """Pairs that may be the same, of recordings in the order of their lengths; `twin` is asked at every block."""
    for row in range(0, len(lengths), ROWS):
        rows = slice(row, row + ROWS)
        end = int(torch.searchsorted(lengths, lengths[rows][-1] + SLACK, right=True))
        for column in range(row, end, COLUMNS):
            columns = slice(column, min(end, column + COLUMNS))
            alike = (outlines[rows] @ outlines[columns].T > _ALIKE) & (notes[rows] @ notes[columns].T > _IN_TUNE)
            alike &= (lengths[rows, None] - lengths[columns]).abs() <= SLACK
            alike &= ~twin[rows, None] & ~twin[columns]
            for one, other in alike.nonzero().tolist():
                if row + one < column + other:
                    yield row + one, column + other


def _same_melody(one: Take, other: Take) -> bool:
    first, second = one.pitch(), other.pitch()
    count = min(len(first), len(second))
    # Lossy formats begin a little late.
    for shift in range(-6, 7):
        moved = second[max(0, shift) : count + min(0, shift)]
        held = first[max(0, -shift) : count - max(0, shift)]
        both = (held > 0) & (moved > 0)
        if both.sum() >= 20:
            cents = 1200 * (held[both] / moved[both]).log2().abs()
            if (cents < 10).float().mean() > 0.9:
                return True
    return False
