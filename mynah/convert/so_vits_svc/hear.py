"""What is heard, put at the decoder's frames: content stretched to them, and how loud it is around each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.audio.chunks import Chunks
from mynah.features.loudness import SOUNDING_SECONDS, powers, sounding
from mynah.nets.streams import Pace, Span


class Stretched:
    """Content at other frames, of which each is `step` of those that come in; a stage of `mynah.nets.streams`.

    In the end there are as many as begin before the content does end.

    Args:
        step: Below 1 there will be more frames than before.
        even: Between two frames content moves evenly from one centre to the next; otherwise a frame is held.

    Example:

        >>> from mynah.nets.streams import over
        >>> content = [torch.tensor([[0.0, 6.0]]), torch.tensor([[12.0]])]
        >>> torch.cat(list(over(Stretched(Fraction(1, 2), even=False), content)), 1)
        tensor([[ 0.,  0.,  6.,  6., 12., 12.]])
        >>> torch.cat(list(over(Stretched(Fraction(1, 2), even=True), content)), 1)
        tensor([[ 0.0000,  1.5000,  4.5000,  7.5000, 10.5000, 12.0000]])
    """

    def __init__(self, step: Fraction, *, even: bool) -> None:
        self._step, self._even = step, even
        self._held: Tensor | None = None
        self._first = self._done = 0

    def push(self, piece: Tensor) -> Iterator[Tensor]:
        self._held = piece if self._held is None else torch.cat([self._held, piece], 1)
        # A frame is settled once the one behind it is known.
        yield from self._until(int((self._first + self._held.shape[1] - 1) / self._step))
        step, done = self._step, self._done
        kept = int((done + 0.5) * step - Fraction(1, 2)) if self._even else int(done * step)
        kept = min(max(self._first, kept), self._first + self._held.shape[1] - 1)
        self._held, self._first = self._held[:, kept - self._first :], kept

    def flush(self) -> Iterator[Tensor]:
        if self._held is not None:
            yield from self._until(math.ceil((self._first + self._held.shape[1]) / self._step))

    def _until(self, stop: int) -> Iterator[Tensor]:
        if stop > self._done:
            yield self._at(torch.arange(self._done, stop))
            self._done = stop

    def _at(self, number: Tensor) -> Tensor:
        assert self._held is not None
        known, first, step = self._held, self._first, self._step
        last = first + known.shape[1] - 1
        if not self._even:
            return known[:, (number * step.numerator // step.denominator).clamp(max=last) - first]
        place = ((number + 0.5) * float(step) - 0.5).clamp(0, last)
        below = place.floor().long()
        left, right = known[:, below - first], known[:, (below + 1).clamp(max=last) - first]
        return torch.lerp(left, right, (place - below).to(left))


def levels(rate: int, hop: int, floor_db: float, pace: Pace) -> Chunks:
    """Of sound `[time]` three rows for every frame: volume, mean square, and how far open it is; see `sounding`."""

    def told(wave: Tensor) -> Tensor:
        frames = -(-len(wave) // hop)
        return torch.stack([volume(wave, hop, frames), powers(wave, hop), sounding(wave, rate, hop, frames, floor_db)])

    # What `sounding` looks at on either side, which is more than a frame.
    around = Span(pace.stretch, SOUNDING_SECONDS, SOUNDING_SECONDS)
    return around.over(told, rate, each=hop, ratio=Fraction(1, hop))


def volume(wave: Tensor, hop: int, frames: int) -> Tensor:
    """Root mean square over a hop around the beginning of each frame, `[frame]`.

    Example:

        >>> volume(torch.cat([torch.zeros(4), torch.ones(8)]), 4, 3)
        tensor([0.0000, 0.7071, 1.0000])
    """
    ahead = F.pad(wave.square(), (hop // 2, max(0, frames * hop - len(wave))))[: frames * hop]
    return ahead.view(frames, hop).mean(1).sqrt()
