"""When each word is said: where the decoder looks while it writes it, straightened into a path through time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.core.types import Word
from mynah.transcribe.whisper.net import Net
from mynah.transcribe.whisper.tokens import STEP_SECONDS, Tokens

_MEDIAN = 7  # frames
_OPENING = "\"'“¿([{-"
_CLOSING = "\"'.。,，!！?？:：”)]}、"


def words(
    net: Net,
    tokens: Tokens,
    heads: Sequence[tuple[int, int]],
    frames: Tensor,
    start: Sequence[int],
    numbers: Sequence[int],
    steps: int,
    language: str,
) -> list[tuple[list[int], Word]]:
    """The words of one window, each with its tokens; times are within the window.

    Args:
        net: Both nets.
        tokens: The vocabulary.
        heads: Layers and heads that look where the word is.
        frames: The encoder's, `[1, frame, size]`.
        start: Tokens that the window began with, without what came before it.
        numbers: Tokens of text, no times.
        steps: How many frames of the window are sound.
        language: Of the text.
    """
    if not numbers:
        return []
    head = [*start, tokens.timeless]
    whole = torch.tensor([[*head, *numbers, tokens.end]], device=frames.device)
    logits, drawn = net.decoder(whole, net.decoder.memory(frames), heads)
    odds = logits[0, len(start) : -2, : tokens.end].softmax(-1)
    sure = odds.gather(1, whole[0, len(head) : -1, None])[:, 0].cpu().numpy()
    path = aligned(drawn[0, :, :, : max(steps, 1)].cpu(), len(start))
    parts = tokens.words(numbers, language)
    ends = np.cumsum([len(part) for part in parts])
    found = []
    for part, end in zip(parts, ends, strict=True):
        first = end - len(part)
        begin, over = path[first] * STEP_SECONDS, path[end] * STEP_SECONDS
        found.append((part, Word(tokens.text(part), begin, over, float(sure[first:end].mean()))))
    return _with_marks(found)


def aligned(drawn: Tensor, skip: int) -> list[int]:
    """At which frame each token begins, the end of text included.

    Args:
        drawn: Scores before softmax, `[head, token, frame]`.
        skip: Tokens at the beginning that are no text; the last one is not, either.
    """
    attention = drawn.softmax(-1)
    deviation, mean = torch.std_mean(attention, dim=-2, keepdim=True, unbiased=False)
    level = median((attention - mean) / deviation.clamp(min=1e-12)).mean(0)
    rows, columns = warped(-level[skip:-1].double().numpy())
    begins = np.diff(rows, prepend=-1) > 0
    return [int(frame) for frame in columns[begins]]


def median(x: Tensor) -> Tensor:
    """Running median over the last axis, mirrored at both ends; shorter than half a window it stays as it is."""
    reach = _MEDIAN // 2
    if x.shape[-1] <= reach:
        return x
    return F.pad(x, (reach, reach), mode="reflect").unfold(-1, _MEDIAN, 1).median(-1).values


def warped(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cheapest path from one corner of `[row, column]` to the other, forward in both (dynamic time warping).

    Example:

        >>> warped(np.array([[0.0, 9, 9], [9, 0, 0]]))
        (array([0, 1, 1]), array([0, 1, 2]))
    """
    rows, columns = cost.shape
    # A diagonal depends on the two before it alone, so each is one step for numpy. It is kept by its row.
    before, last = np.full(rows + 1, np.inf), np.full(rows + 1, np.inf)
    before[0] = 0.0
    came = np.zeros((rows + columns + 1, rows + 1), np.int8)
    for diagonal in range(2, rows + columns + 1):
        at = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        both, row, column = before[at - 1], last[at - 1], last[at]
        step = np.where((both < row) & (both < column), 0, np.where((row < both) & (row < column), 1, 2))
        now = np.full(rows + 1, np.inf)
        now[at] = cost[at - 1, diagonal - at - 1] + np.choose(step, (both, row, column))
        came[diagonal, at] = step
        before, last = last, now
    path = []
    i, j = rows, columns
    while i > 0 and j > 0:
        path.append((i - 1, j - 1))
        step = came[i + j, i]
        i, j = i - (step != 2), j - (step != 1)
    found = np.array(path[::-1])
    return found[:, 0], found[:, 1]


def _with_marks(found: Sequence[tuple[list[int], Word]]) -> list[tuple[list[int], Word]]:
    """Marks belong to the word that they open or close, and have no time of their own."""
    joined: list[tuple[list[int], Word]] = []
    opening: list[tuple[list[int], Word]] = []
    for part, word in found:
        text = word.text.strip()
        if word.text.startswith(" ") and text and text in _OPENING:
            opening.append((part, word))
            continue
        for mark, said in reversed(opening):
            part, word = mark + part, replace(word, text=said.text + word.text)
        opening = []
        if joined and word.text and word.text in _CLOSING and not joined[-1][1].text.endswith(" "):
            before, said = joined.pop()
            part, word = before + part, replace(said, text=said.text + word.text)
        joined.append((part, word))
    return joined + opening
