"""What is heard, put at the decoder's frames: content stretched to them, and how loud it is around each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor


def stretched(pieces: Iterable[Tensor], step: Fraction, frames: int, *, even: bool) -> Iterator[Tensor]:
    """Content at other frames, of which each is `step` of those that come in: `[size, frame]` in pieces.

    Args:
        pieces: Content `[size, frame]`, together at least one frame.
        step: Below 1 there will be more frames than before.
        frames: How many are wanted; the last content is held for as long as it takes.
        even: Between two frames content moves evenly from one centre to the next; otherwise a frame is held.

    Example:

        >>> content = [torch.tensor([[0.0, 6.0]]), torch.tensor([[12.0]])]
        >>> torch.cat(list(stretched(content, Fraction(1, 2), 6, even=False)), 1)
        tensor([[ 0.,  0.,  6.,  6., 12., 12.]])
        >>> torch.cat(list(stretched(content, Fraction(1, 2), 6, even=True)), 1)
        tensor([[ 0.0000,  1.5000,  4.5000,  7.5000, 10.5000, 12.0000]])
    """
    held: Tensor | None = None
    first = done = 0

    def at(number: Tensor, known: Tensor) -> Tensor:
        last = first + known.shape[1] - 1
        if not even:
            return known[:, (number * step.numerator // step.denominator).clamp(max=last) - first]
        place = ((number + 0.5) * float(step) - 0.5).clamp(0, last)
        below = place.floor().long()
        left, right = known[:, below - first], known[:, (below + 1).clamp(max=last) - first]
        return torch.lerp(left, right, (place - below).to(left))

    for piece in pieces:
        held = piece if held is None else torch.cat([held, piece], 1)
        # A frame is settled once the one behind it is known.
        settled = min(frames, max(done, int((first + held.shape[1] - 1) / step)))
        if settled > done:
            yield at(torch.arange(done, settled), held)
            done = settled
        kept = max(first, int((done + 0.5) * step - Fraction(1, 2)) if even else int(done * step))
        kept = min(kept, first + held.shape[1] - 1)
        held, first = held[:, kept - first :], kept
    if held is not None and done < frames:
        yield at(torch.arange(done, frames), held)


def volume(wave: Tensor, hop: int, frames: int) -> Tensor:
    """Root mean square over a hop around the beginning of each frame, `[frame]`.

    Example:

        >>> volume(torch.cat([torch.zeros(4), torch.ones(8)]), 4, 3)
        tensor([0.0000, 0.7071, 1.0000])
    """
    ahead = F.pad(wave.square(), (hop // 2, max(0, frames * hop - len(wave))))[: frames * hop]
    return ahead.view(frames, hop).mean(1).sqrt()
