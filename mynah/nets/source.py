"""Excitations: what the vocal folds give, before throat and mouth shape it."""

from __future__ import annotations

import torch
from torch import Tensor


def sine(pitch: Tensor, hop: float, rate: int, length: int | None = None) -> Tensor:
    """A sine that follows a melody, silent where nothing is voiced.

    The phase stands still while nothing is voiced and goes on from there, so that a note returns without a jump. It is
    summed over frames in float64: after an hour it is off by less than a millionth of a turn, where float32 would have
    lost the note within a minute.

    Args:
        pitch: Hz, NaN where unvoiced, shape `[batch, frame]`. Frame `i` is centred at sample `i * hop`.
        hop: Samples per frame; need not be whole.
        rate: Sample rate in Hz.
        length: Samples to make; `frame * hop` when not given. The last frame is held for as long as it takes.

    Returns:
        Shape `[batch, 1, length]`, in [-1, 1].

    Example:

        >>> a4 = torch.full((1, 100), 440.0)
        >>> sine(a4, hop=160, rate=16_000).shape
        torch.Size([1, 1, 16000])
    """
    frames = pitch.shape[-1]
    length = round(frames * hop) if length is None else length
    sample = torch.arange(length, dtype=torch.float64, device=pitch.device)
    frame = (sample / hop + 0.5).floor().long().clamp(max=frames - 1)

    turns_per_sample = pitch.nan_to_num().double() / rate
    turns = (turns_per_sample * hop).cumsum(-1)
    # A whole number of turns is no turn at all, and small numbers keep their digits.
    before = (turns - turns[:, :1] / 2).remainder(1.0).roll(1, -1)
    before[:, 0] = -turns[:, 0] / 2
    since = sample - (frame - 0.5) * hop
    phase = before[:, frame] + turns_per_sample[:, frame] * since
    wave = torch.sin(2 * torch.pi * phase.remainder(1.0)).float()
    return (wave * ~pitch.isnan()[:, frame]).unsqueeze(1)
