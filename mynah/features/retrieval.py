"""Frames of the target that sound like those of the source, and a way toward them."""

from __future__ import annotations

import torch
from torch import Tensor

_ROWS = 1024  # frames that are compared at a time


def drawn(frames: Tensor, bank: Tensor, share: Tensor | float, neighbours: int = 3) -> Tensor:
    """Frames, drawn toward the nearest ones of a bank.

    The nearest ones count by the inverse square of their squared distance, as in RVC. The search is exact, where the
    original looks into one cell of an index only.

    Args:
        frames: `[frame, size]`.
        bank: `[frame, size]`, at least one.
        share: 0 leaves them alone, 1 puts the bank's in their place; a number, or one for each frame `[frame, 1]`.
        neighbours: How many are averaged.

    Returns:
        `[frame, size]`.

    Example:

        >>> bank = torch.tensor([[0.0], [10.0], [20.0]])
        >>> drawn(torch.tensor([[4.0], [10.0], [15.0]]), bank, 0.5, neighbours=2).T
        tensor([[ 2.8247, 10.0000, 15.0000]])
    """
    moved = []
    squares = bank.square().sum(1)
    for rows in frames.split(_ROWS):
        rough = squares - 2 * rows @ bank.T
        nearest = bank[rough.topk(min(neighbours, len(bank)), largest=False).indices]
        # Once more and exactly, because a frame that is in the bank itself has no distance at all.
        distance = (nearest - rows[:, None]).square().sum(2).clamp(min=1e-6)
        weight = distance.min(1, keepdim=True).values.div(distance).square()
        moved.append((nearest * (weight / weight.sum(1, keepdim=True))[..., None]).sum(1))
    return frames + (torch.cat(moved) - frames) * share
