"""Recordings that are there twice: the same file, or the same sound in another format, as loud or not.

Whoever has hundreds of thousands cannot look at every pair. Equal files are told by their content. The others are laid
into cells by their length and the first three cosines of their outline, so wide that what is alike lies in the same
cell or beside it, and only neighbours are compared; what is known to be there already is not compared any more, so that
a thousand copies cost a thousand comparisons.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.train.data import FRAME_RATE, Take

SLACK = FRAME_RATE // 5  # frames by which lengths may differ: formats add silence
ROWS, COLUMNS = 256, 2048  # that are compared at a time
_ALIKE, _IN_TUNE = 0.98, 0.5
_WIDE = math.sqrt(2 - 2 * _ALIKE)  # by which outlines that are alike differ at most, in any direction
_COSINES = 3
_STEPS = [step for step in product((-1, 0, 1), repeat=1 + _COSINES) if step >= (0,) * (1 + _COSINES)]


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
    lengths = torch.tensor([takes[place].frames for place in own])
    # A note at the edge of two is counted as one of them in one format and as the other in another.
    near = F.normalize(F.avg_pool1d(notes[own].float()[:, None], 3, stride=1, padding=1)[:, 0])
    twin = torch.zeros(len(own), dtype=torch.bool)
    for one, other in _alike(lengths, outlines[own], near, twin):
        early, late = sorted((one, other))
        if not (twin[one] or twin[other]) and _same_melody(takes[own[early]], takes[own[late]]):
            twin[late] = True
            pairs.append((own[early], own[late]))
    return [(takes[early], takes[late]) for early, late in sorted(pairs)]


def _alike(lengths: Tensor, outlines: Tensor, notes: Tensor, twin: Tensor) -> Iterator[tuple[int, int]]:
    """Pairs that may be the same; who is a `twin` by then is left out."""
    size = outlines.shape[1]
    turn = math.pi / size * torch.arange(1, 1 + _COSINES)[:, None] * (torch.arange(size) + 0.5)
    where = (outlines @ (math.sqrt(2 / size) * turn.cos()).T / _WIDE).floor().long()
    keys = torch.cat([lengths[:, None] // (SLACK + 1), where], 1).tolist()
    lists: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        lists[tuple(key)].append(place)
    cells = {key: torch.tensor(places) for key, places in lists.items()}
    for key, step in product(cells, _STEPS):
        beside = cells.get(tuple(map(sum, zip(key, step, strict=True))))
        if beside is None:
            continue
        for rows, columns in product(cells[key].split(ROWS), beside.split(COLUMNS)):
            rows, columns = rows[~twin[rows]], columns[~twin[columns]]
            alike = (outlines[rows] @ outlines[columns].T > _ALIKE) & (notes[rows] @ notes[columns].T > _IN_TUNE)
            alike &= (lengths[rows, None] - lengths[columns]).abs() <= SLACK
            if not any(step):
                alike &= rows[:, None] < columns
            one, other = alike.nonzero().T
            yield from zip(rows[one].tolist(), columns[other].tolist(), strict=True)


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
