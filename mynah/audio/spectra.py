"""Sound changed in its short-time spectra, piece by piece, and put together again without a seam."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.audio.chunks import regroup

_FRAMES = 200  # at once


def reshaped(pieces: Iterable[Tensor], change: Callable[[Tensor], Tensor], *, size: int) -> Iterator[Tensor]:
    """Sound whose short-time spectra were changed, as long as it was, and nothing shifted.

    Windows are roots of Hann's on both ways, so that unchanged spectra give the sound back to rounding. `change` gets
    every frame once and in order, some at a time, and may remember what it saw. Frame `i` is centred at sample
    `i * hop - size / 2`: the first ones hear silence.

    Args:
        pieces: `[channel, time]`, cut anywhere.
        change: From spectra `[channel, bin, frame]` to others `[any channels, bin, frame]`.
        size: Samples in a window, a multiple of 4; a window begins every quarter of it.

    Example:

        >>> sound = torch.randn(1, 5000, generator=torch.Generator().manual_seed(0))
        >>> half = torch.cat(list(reshaped(sound.split(700, -1), lambda spectra: spectra / 2, size=256)), -1)
        >>> half.shape == sound.shape and torch.allclose(half, sound / 2, atol=1e-6)
        True
    """
    hop = size // 4
    window = torch.hann_window(size).sqrt()
    came = gone = 0

    def padded() -> Iterator[Tensor]:
        nonlocal came
        channels = 0
        for piece in pieces:
            if not came:
                channels = piece.shape[0]
                yield torch.zeros(channels, size)
            came += piece.shape[-1]
            yield piece
        if channels:
            yield torch.zeros(channels, size + -came % hop)

    held, tail, skip = torch.zeros(0), torch.zeros(0), size
    for piece in regroup(padded(), hop * _FRAMES):
        held = torch.cat([held, piece], -1) if len(held) else piece
        count = (held.shape[-1] - size) // hop + 1
        if count < 1:
            continue
        spectra = change(torch.fft.rfft(held.unfold(-1, size, hop) * window).transpose(1, 2))
        waves = torch.fft.irfft(spectra.transpose(1, 2), size) * (window / 2)  # four windows overlap and add up to 2
        length = (count - 1) * hop + size
        added = F.fold(waves.transpose(1, 2), (1, length), (1, size), stride=(1, hop))[:, 0, 0]
        if len(tail):
            added[:, : tail.shape[-1]] += tail
        held, tail = held[:, count * hop :], added[:, count * hop :]
        done = added[:, min(skip, count * hop) : count * hop]
        skip -= min(skip, count * hop)
        done = done[:, : came - gone]
        gone += done.shape[-1]
        yield done
