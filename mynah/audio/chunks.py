"""Long sounds in bounded memory: context-windowed chunks and cross-faded ones, the only overlap-add in the house.

Everything is an iterator of tensors whose last dimension is time (samples or frames); the leading dimensions are the
function's own affair. Nothing is held but one window.
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
    taken, context = _whole(chunk * ratio), _whole(left * ratio)
    for window, before, last in _windows(pieces, chunk, left, right):
        start = context if before == left else _whole(before * ratio)
        result = function(window)[..., start:]
        yield result if last else result[..., :taken]


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
    fade, step = _whole(overlap * ratio), _whole((chunk - overlap) * ratio)
    rise = (torch.arange(fade) + 0.5) / max(fade, 1)
    tail: Tensor | None = None
    for window, _, last in _windows(pieces, chunk - overlap, 0, overlap):
        result = function(window)
        if tail is not None:
            met = torch.lerp(tail, result[..., :fade], rise.to(result))
            result = torch.cat([met, result[..., fade:]], -1)
        yield result if last else result[..., :step]
        tail = result[..., step:]


def _windows(pieces: Iterable[Tensor], chunk: int, left: int, right: int) -> Iterator[tuple[Tensor, int, bool]]:
    """Windows that advance by `chunk`, each with its steps of left context and whether it reaches the end."""
    if chunk < 1 or left < 0 or right < 0:
        raise ValueError(f"chunk must be at least 1 and contexts at least 0, not {chunk}, {left} and {right}")
    held: Tensor | None = None
    before = 0
    for piece in regroup(pieces, chunk):
        held = piece if held is None else torch.cat([held, piece], -1)
        # One step more than the window needs, because the last window must know that it is the last.
        while held.shape[-1] > before + chunk + right:
            yield held[..., : before + chunk + right], before, False
            kept = min(left, before + chunk)
            held, before = held[..., before + chunk - kept :], kept
    if held is not None:
        yield held, before, True


def _whole(steps: Fraction | int) -> int:
    if Fraction(steps).denominator != 1:
        raise ValueError(f"{steps} steps is not a whole number: chunk and contexts must be multiples of 1 / ratio")
    return int(steps)
