"""Long sounds in bounded memory: context-windowed chunks and cross-faded ones, the only overlap-add in the house.

Tensors have time (samples or frames) as their last dimension; the leading dimensions are the function's own affair.
Nothing is held but one window. `Chunks` takes a sequence as it comes in; the functions take one that can be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]


def regroup(pieces: Iterable[Tensor], size: int) -> Iterator[Tensor]:
    """The same sequence cut anew: every piece is `size` steps long but the last, which is what is left.

    Example:

        >>> [piece.tolist() for piece in regroup([torch.arange(5), torch.arange(5, 7)], 3)]
        [[0, 1, 2], [3, 4, 5], [6]]
    """
    held: list[Tensor] = []
    length = 0
    for piece in pieces:
        held.append(piece)
        length += piece.shape[-1]
        if length >= size:
            joined = torch.cat(held, -1) if len(held) > 1 else held[0]
            whole = length - length % size
            yield from torch.split(joined[..., :whole], size, -1)
            held, length = [joined[..., whole:]], length - whole
    if length:
        yield torch.cat(held, -1)


def map_chunks(
    function: Function,
    pieces: Iterable[Tensor],
    *,
    chunk: int,
    left: int = 0,
    right: int = 0,
    ratio: Fraction | int = 1,
) -> Iterator[Tensor]:
    """A function of bounded context, applied to a sequence of any length in windows of `left + chunk + right` steps.

    Where `left` and `right` cover how far the function looks back and ahead, the joined result equals the function of
    the whole: at both ends of the sequence the window ends there too, so that the function pads as it always does.

    Args:
        function: From `[..., n]` to `[..., n * ratio]`, where the result at a step depends on `left` steps before it
            and `right` after it. Only the last window may be of a length that does not divide.
        pieces: The sequence, cut anywhere.
        chunk: Steps taken from each window; the last one gives up to `chunk + right`.
        left: Steps of context before the chunk.
        right: Steps of context after it.
        ratio: Steps out for each step in: a decoder's hop, or one over an analysis's hop.

    Raises:
        ValueError: `chunk * ratio` or `left * ratio` is not whole, so that chunks would not meet.

    Example:

        >>> def smooth(x):  # looks one step back and one ahead
        ...     return torch.nn.functional.avg_pool1d(x, 3, stride=1, padding=1)
        >>> x = torch.arange(100.0).square()[None]
        >>> chunked = torch.cat(list(map_chunks(smooth, x.split(13, -1), chunk=20, left=1, right=1)), -1)
        >>> torch.equal(chunked, smooth(x))
        True
    """
    yield from Chunks(function, chunk, left=left, right=right, ratio=ratio).over(pieces)


def crossfade(
    function: Function, pieces: Iterable[Tensor], *, chunk: int, overlap: int, ratio: Fraction | int = 1
) -> Iterator[Tensor]:
    """A function of unbounded context, applied to overlapping chunks whose results are faded into each other.

    The gains of the two sides add up to one, so that where both agree nothing changes.

    Args:
        function: From `[..., n]` to `[..., n * ratio]`. It meets windows of `chunk` steps, and a last one that is
            shorter but longer than `overlap` (unless that is all there is).
        pieces: The sequence, cut anywhere.
        chunk: Steps the function sees at once.
        overlap: Steps that neighbouring chunks share; at most half a chunk.
        ratio: Steps out for each step in.

    Raises:
        ValueError: `chunk * ratio` or `overlap * ratio` is not whole, or the overlap is too long.

    Example:

        >>> x = torch.randn(2, 100, generator=torch.Generator().manual_seed(0))
        >>> faded = crossfade(lambda window: 2 * window, x.split(30, -1), chunk=24, overlap=8)
        >>> torch.equal(torch.cat(list(faded), -1), 2 * x)
        True
    """
    if not 0 <= 2 * overlap <= chunk:
        raise ValueError(f"an overlap of {overlap} is not between 0 and half the chunk of {chunk}")
    yield from Chunks(function, chunk - overlap, overlap=overlap, ratio=ratio).over(pieces)


class Chunks:
    """A function applied in windows to a sequence that is still coming in; see `map_chunks` and `crossfade`.

    A window is `left + chunk + overlap + right` steps long and they advance by `chunk`. What they give for the steps
    that they share is faded from one into the next. The result does not depend on how the sequence was cut.

    Args:
        function: From `[..., n]` to `[..., n * ratio]`.
        chunk: Steps by which windows advance.
        left: Steps of context before the chunk, less where the sequence begins.
        right: Steps of context behind what is taken.
        overlap: Steps that are faded; at most a chunk.
        ratio: Steps out for each step in.

    Raises:
        ValueError: The counts are out of bounds, or those that come out would not be whole.

    Example:

        >>> doubled = Chunks(lambda window: 2 * window, 3, left=1, right=1)
        >>> [piece.tolist() for piece in doubled.push(torch.arange(6))], [piece.tolist() for piece in doubled.flush()]
        ([[0, 2, 4]], [[6, 8, 10]])
    """

    def __init__(
        self,
        function: Function,
        chunk: int,
        *,
        left: int = 0,
        right: int = 0,
        overlap: int = 0,
        ratio: Fraction | int = 1,
    ) -> None:
        if chunk < 1 or min(left, right, overlap) < 0 or overlap > chunk:
            raise ValueError(
                f"chunk must be at least 1, contexts at least 0 and an overlap at most a chunk, not {chunk}, {left}, "
                f"{right} and {overlap}"
            )
        self._function, self._ratio = function, ratio
        self._chunk, self._left, self._after = chunk, left, overlap + right
        self._taken, self._fade, _ = (_whole(steps * ratio) for steps in (chunk, overlap, left))
        self._rise = (torch.arange(self._fade) + 0.5) / max(self._fade, 1)
        self._held: list[Tensor] = []
        self._length = self._before = 0
        self._tail: Tensor | None = None

    @property
    def wait(self) -> int:
        """Steps that have to come behind one at most before its result is settled."""
        return self._chunk + self._after + 1

    def push(self, piece: Tensor) -> Iterator[Tensor]:
        """What is settled by now. The iterator has to be gone through."""
        self._held.append(piece)
        self._length += piece.shape[-1]
        # One step more than the window needs, because the last window must know that it is the last.
        while self._length > (size := self._before + self._chunk + self._after):
            held = torch.cat(self._held, -1) if len(self._held) > 1 else self._held[0]
            yield self._result(held[..., :size])[..., : self._taken]
            kept = min(self._left, self._before + self._chunk)
            self._held = [held[..., self._before + self._chunk - kept :]]
            self._length, self._before = self._held[0].shape[-1], kept

    def flush(self) -> Iterator[Tensor]:
        """The rest, after which all is as new."""
        if self._length:
            yield self._result(torch.cat(self._held, -1))
        self._held, self._length, self._before, self._tail = [], 0, 0, None

    def over(self, pieces: Iterable[Tensor]) -> Iterator[Tensor]:
        """All of it for a sequence that can be asked for."""
        for piece in pieces:
            yield from self.push(piece)
        yield from self.flush()

    def _result(self, window: Tensor) -> Tensor:
        """Of a window from its chunk on, faded out of the one before."""
        result = self._function(window)[..., _whole(self._before * self._ratio) :]
        if self._fade and self._tail is not None:
            met = torch.lerp(self._tail, result[..., : self._fade], self._rise.to(result))
            result = torch.cat([met, result[..., self._fade :]], -1)
        self._tail = result[..., self._taken : self._taken + self._fade]
        return result


def _whole(steps: Fraction | int) -> int:
    if Fraction(steps).denominator != 1:
        raise ValueError(f"{steps} steps is not a whole number: chunk and contexts must be multiples of 1 / ratio")
    return int(steps)
