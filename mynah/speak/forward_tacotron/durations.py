"""How long every sound lasts, read off an attention: the likeliest way through it that never goes back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SILENT = -11.0  # mean log magnitude of a frame below which nobody speaks
SHIFT = 0.25  # how much likelier marks and pauses become in silence, and all else less likely


@dataclass(frozen=True)
class Quality:
    """How far durations can be trusted.

    Attributes:
        monotone: Share of steps at which attention stays or moves on by one.
        sharp: Mean weight of what was looked at along the way, where somebody speaks.
        ones: Most sounds in a row that last one frame.
        longest: Frames of the longest sound.
    """

    monotone: float
    sharp: float
    ones: int
    longest: int


def durations(attention: Tensor, mel: Tensor | None = None, pauses: Tensor | None = None) -> tuple[Tensor, Quality]:
    """Frames of every symbol; they add up to the number of frames.

    The way with the least sum of `1 - weight`, over all that begin with the first symbol at the first frame, end with
    the last at the last, and go to the next frame, the next symbol, or both at a time.

    Args:
        attention: `[frame, symbol]`, 0 to 1.
        mel: Log magnitudes `[band, frame]`; where they are silent, symbols in `pauses` become likelier.
        pauses: Which symbols are marks or pauses, `[symbol]`; goes with `mel`.

    Example:

        >>> looked = torch.eye(3).repeat_interleave(torch.tensor([2, 1, 3]), 0)
        >>> durations(looked)[0].tolist()
        [2, 1, 3]
    """
    weights = attention.double()
    silent = torch.zeros(len(weights), dtype=torch.bool)
    if mel is not None and pauses is not None:
        silent = mel.mean(0) < SILENT
        shift = SHIFT * (2 * pauses.double() - 1)
        weights = torch.where(silent[:, None], weights + shift, weights)
    weights = weights.clamp(0, 1)
    rows, columns = cheapest((1 - weights).numpy())
    last = torch.zeros(len(weights), dtype=torch.long).scatter_reduce(0, rows, columns, "amax")
    counts = torch.bincount(last, minlength=weights.shape[1])
    along, quiet = weights[rows, columns], silent[rows]
    heard = along[~quiet] if not quiet.all() else along
    peaks = attention.argmax(1).diff().abs()
    monotone = (peaks <= 1).double().mean().item() if len(peaks) else 1.0
    return counts, Quality(monotone, heard.mean().item(), _ones(counts.tolist()), int(counts.max()))


def cheapest(costs: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> tuple[Tensor, Tensor]:
    """The cheapest way from the first corner of `[row, column]` to the last: rows and columns, `[place]` each.

    A way goes down, right, or both, and every place on it is paid for.
    """
    rows, columns = costs.shape
    # Along a diagonal no place depends on another, so that each is done at once: row `i` of `skewed` is `costs[i]`,
    # begun `i` later.
    total = np.full((rows, rows + columns - 1), np.inf)
    skewed = total.copy()
    for row in range(rows):
        skewed[row, row : row + columns] = costs[row]
    came = np.zeros(total.shape, dtype=np.int8)  # 0 from both, 1 from above, 2 from the left
    total[0, 0] = 0
    for step in range(1, rows + columns - 1):
        above = np.concatenate([[np.inf], total[:-1, step - 1]])
        both = np.concatenate([[np.inf], total[:-1, step - 2]]) if step > 1 else np.full(rows, np.inf)
        ways = np.stack([both, above, total[:, step - 1]])
        came[:, step] = ways.argmin(0)
        total[:, step] = ways.min(0) + skewed[:, step]
    row, column = rows - 1, columns - 1
    way = [(row, column)]
    while row or column:
        move = came[row, row + column]
        row, column = row - (move != 2), column - (move != 1)
        way.append((row, column))
    places = torch.tensor(way[::-1])
    return places[:, 0], places[:, 1]


def _ones(counts: list[int]) -> int:
    most = run = 0
    for count in counts:
        run = run + 1 if count == 1 else 0
        most = max(most, run)
    return most
