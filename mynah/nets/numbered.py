"""Noise by the numbers of frames, so that a song that is sung stretch by stretch equals one that is sung at once."""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 100  # frames of noise that are drawn together
_HEAP = (1 << 23) - 4096  # floats: just below the size above which glibc never keeps memory


def white(number: Tensor, size: int, seed: int) -> Tensor:
    """White noise `[size, frame]` of variance one that depends on the numbers of the frames and the seed alone.

    Example:

        >>> torch.equal(white(torch.arange(90, 130), 2, 0), white(torch.arange(200), 2, 0)[:, 90:130])
        True
    """
    first, last = int(number[0]) // _BLOCK, int(number[-1]) // _BLOCK
    drawn = [
        torch.randn(_BLOCK, size, generator=torch.Generator().manual_seed((seed * 1_000_003 + block) % 2**63))
        for block in range(first, last + 1)
    ]
    return torch.cat(drawn)[number - first * _BLOCK].T


def keep_memory(device: torch.device) -> None:
    """Have the C library keep what is freed instead of giving it back to the system after every step of the decoder.

    Glibc adapts to the largest thing that it was ever given back. Having the system clear the same pages over and over
    takes longer than all the arithmetic.
    """
    if device.type == "cpu":
        torch.empty(_HEAP)
