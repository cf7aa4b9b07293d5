"""The excitation: one sine at the melody's pitch, and noise where there is none.

A net that is told the bare pitch wavers; one that is given the sine has only to shape it. Between frames the pitch
moves along straight lines, whose sum is known in closed form: the phase at any sample follows from the phase at the
beginning of its frame, which is summed in float64 and modulo one turn. So any stretch of a song, however late in it,
can be made by itself, and while nothing is voiced the phase stands still.
"""

from __future__ import annotations

import torch
from torch import Tensor

HISS = 0.3  # standard deviation of the noise where nothing is voiced


def start_turns(pitch: Tensor, hop: int, rate: int) -> Tensor:
    """Phase in turns at the beginning of every frame, float64, from 0 to 1.

    Args:
        pitch: Hz, 0 where unvoiced, shape `[batch, frame]`.
        hop: Samples of a frame.
        rate: In Hz.
    """
    begin, end = _slopes(torch.cat([pitch, pitch[..., -1:]], -1))
    # Whole turns are no turns, and small sums keep their digits.
    advance = ((begin + end) / 2 * hop / rate).remainder(1.0)
    return (advance.cumsum(-1) - advance).remainder(1.0)


def sine(pitch: Tensor, turns: Tensor, hop: int, rate: int) -> tuple[Tensor, Tensor]:
    """The sine, zero where unvoiced, and where it is voiced, both `[batch, frame * hop]`.

    Args:
        pitch: Hz, 0 where unvoiced, `[batch, frame + 1]`: the last one says where the one before it moves to.
        turns: Phase at the beginning of every frame, `[batch, frame]`.
        hop: Samples of a frame, which is centred at its first sample.
        rate: In Hz.
    """
    begin, end = _slopes(pitch)
    time = torch.arange(hop, dtype=torch.float64, device=pitch.device)
    passed = begin[..., None] * time + (end - begin)[..., None] * time.square() / (2 * hop)
    phase = (turns[..., None] + passed / rate).remainder(1.0).float()
    voiced = torch.where(time < hop / 2, pitch[..., :-1, None] > 0, pitch[..., 1:, None] > 0)
    return (torch.sin(2 * torch.pi * phase) * voiced).flatten(-2), voiced.flatten(-2)


def excitation(wave: Tensor, voiced: Tensor, noise: Tensor, breath: float) -> Tensor:
    """Sine and noise, `[batch, time]`.

    Args:
        wave: The sine.
        voiced: Where it is one.
        noise: White, of variance one.
        breath: Standard deviation of the noise under notes.
    """
    return wave + noise * torch.where(voiced, breath, HISS)


def _slopes(pitch: Tensor) -> tuple[Tensor, Tensor]:
    """Where the pitch of every frame but the last begins and where it gets to, float64; held toward unvoiced ones."""
    pitch = pitch.double()
    here, following = pitch[..., :-1], pitch[..., 1:]
    return torch.where(here > 0, here, following), torch.where(following > 0, following, here)
