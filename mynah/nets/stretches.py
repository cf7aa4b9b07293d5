"""Singing what was heard, a stretch at a time: hours need no more memory than seconds, and no seam is to be heard.

Published converters cut a song where it is quiet and sing every piece by itself. Here the windows of what reads content
overlap and are faded into each other before anything sounds, and the decoder sees as much as it looks at, so that its
stretches join as if they had been made at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from mynah.audio.chunks import crossfade, map_chunks
from mynah.nets.numbered import numbered

WINDOW, OVERLAP = 2500, 200  # frames that are read at once, and that two windows share
STRETCH = 512  # frames that are decoded at a time

Part = Callable[[Tensor, Tensor], Tensor]


def in_windows(part: Part, frames: Iterable[Tensor]) -> Iterator[Tensor]:
    """What a net reads from a whole song, in windows that are faded into each other; each frame's number is below it.

    Args:
        part: From `[size, frame]` and the numbers of the frames `[frame]` to `[other size, frame]`.
        frames: `[size, frame]` in pieces of any length.
    """

    def given(window: Tensor) -> Tensor:
        return torch.cat([part(window[:-1], window[-1].long()).cpu(), window[-1:]])

    return crossfade(given, numbered(frames), chunk=WINDOW, overlap=OVERLAP)


def sung(latent: Part, sound: Part, frames: Iterable[Tensor], *, hop: int, around: int) -> Iterator[Tensor]:
    """Sound of a whole song in stretches `[time]`, together as many frames as came in.

    Args:
        latent: From content `[size, frame]` and the numbers of its frames to frames for the decoder.
        sound: From these and their numbers to samples `[frame * hop]`.
        frames: Content in pieces of any length.
        hop: Samples of a frame.
        around: Frames on either side that a sample depends on.
    """

    def heard(window: Tensor) -> Tensor:
        return sound(window[:-1], window[-1].long()).cpu()

    yield from map_chunks(heard, in_windows(latent, frames), chunk=STRETCH, left=around, right=around, ratio=hop)
