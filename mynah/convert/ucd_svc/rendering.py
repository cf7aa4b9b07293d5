"""Rendering what was heard in a voice, a stretch at a time: stretches join without a seam."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mynah.convert.ucd_svc.condition import condition, excited
from mynah.convert.ucd_svc.excitation import start_turns
from mynah.convert.ucd_svc.generator import Generator
from mynah.convert.ucd_svc.hear import Heard
from mynah.convert.ucd_svc.sizes import LOUDNESS_HOP, PITCH_HOP, RATE, UNIT, Config
from mynah.nets.numbered import white

FRAMES = 400  # content frames (8 s) that are rendered at a time
_STEPS, _PITCHES = UNIT // LOUDNESS_HOP, UNIT // PITCH_HOP


def render(
    generator: Generator, config: Config, heard: Heard, voice: Tensor, seed: int, frames: int = FRAMES
) -> Iterator[Tensor]:
    """Sing what was heard with a row `[voice]` of the table.

    Args:
        generator: The net, its weight norm folded or not.
        config: Of the model.
        heard: Words, loudness, and the pitch that is to be sung.
        voice: Row of the table, or a point between rows.
        seed: Of the noise.
        frames: To render at a time.

    Returns:
        Stretches `[time]` at 16 kHz, on the CPU.
    """
    device = voice.device
    around, total = -(-generator.around // _STEPS), heard.content.shape[-1]
    turns = start_turns(heard.pitch[None], PITCH_HOP, RATE)
    for start in range(0, total, frames):
        first, last = max(0, start - around), min(total, start + frames + around)
        pitch = heard.pitch[None, _PITCHES * first : _PITCHES * last + 1].to(device)
        noise = white(torch.arange(first, last), UNIT, seed).T.reshape(1, -1).to(device)
        told = condition(
            config,
            heard.content[None, :, first:last].to(device),
            heard.loudness[None, _STEPS * first : _STEPS * last].to(device),
            pitch,
        )
        phase = turns[:, _PITCHES * first : _PITCHES * last].to(device)
        sound = generator(excited(config, pitch, phase, noise), told, voice[None])[0, 0]
        skip = (start - first) * UNIT
        yield sound[skip : skip + min(frames, total - start) * UNIT].cpu()
