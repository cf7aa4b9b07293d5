"""What the net is told about every moment besides the excitation: loudness and words, every 4 ms."""

from __future__ import annotations

import torch
from torch import Tensor

from mynah.convert.ucd_svc.excitation import excitation, sine
from mynah.convert.ucd_svc.sizes import LOUDNESS_HOP, PITCH_HOP, RATE, UNIT, Config

_CENTRE_HZ = 220.0


def condition(config: Config, content: Tensor, loudness: Tensor, pitch: Tensor) -> Tensor:
    """The local condition, `[batch, condition, 5 * frame]`.

    Args:
        config: Whether the bare pitch is a part of it.
        content: `[batch, size, frame]`, 50 frames a second.
        loudness: dB, `[batch, 5 * frame]`.
        pitch: Hz, 0 where unvoiced, `[batch, 2 * frame + 1]`.
    """
    rows = [content.repeat_interleave(UNIT // LOUDNESS_HOP, -1), (loudness / 20 + 2)[:, None]]
    if config.excitation == "pitch":
        at = torch.arange(loudness.shape[-1], device=pitch.device) * LOUDNESS_HOP // PITCH_HOP
        hz = pitch[:, at]
        octave = (hz.clamp(min=30.0) / _CENTRE_HZ).log2() * (hz > 0)
        rows += [octave[:, None], (hz > 0).float()[:, None]]
    return torch.cat(rows, 1)


def excited(config: Config, pitch: Tensor, turns: Tensor, noise: Tensor) -> Tensor:
    """What the net shapes, `[batch, 1, time]`.

    Args:
        config: Whether it is a sine, or noise alone.
        pitch: Hz, 0 where unvoiced, `[batch, frame + 1]`, 100 frames a second.
        turns: Phase at the beginning of every frame, `[batch, frame]`.
        noise: White, of variance one, `[batch, time]`.
    """
    if config.excitation == "pitch":
        return noise[:, None]
    wave, voiced = sine(pitch, turns, PITCH_HOP, RATE)
    return excitation(wave, voiced, noise, config.breath)[:, None]
