"""Rendering what was heard in a voice while it still comes in: how it was cut makes no difference."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mynah.convert.ucd_svc.condition import condition, excited
from mynah.convert.ucd_svc.excitation import start_turns
from mynah.convert.ucd_svc.generator import Generator
from mynah.convert.ucd_svc.hear import Heard
from mynah.convert.ucd_svc.sizes import LOUDNESS_HOP, PITCH_HOP, RATE, UNIT, Config
from mynah.convert.ucd_svc.swift import Swift
from mynah.nets.numbered import keep_memory, white

FRAMES = 400  # content frames (8 s) that are rendered at a time
_STEPS, _PITCHES = UNIT // LOUDNESS_HOP, UNIT // PITCH_HOP


class Singing:
    """A stage (`mynah.nets.streams`) from what is known of every content frame to 16 kHz sound `[time]`, on the CPU.

    In come words, five values of loudness, and three of pitch, the last of which is the first of the next frame.

    Args:
        generator: The net, its weight norm folded or not.
        config: Of the model.
        voice: Row of the table `[voice]`, or a point between rows.
        seed: Of the noise.
    """

    def __init__(self, generator: Generator, config: Config, voice: Tensor, seed: int) -> None:
        self._config, self._seed, self._device = config, seed, voice.device
        self._net, self._frame = Swift(generator, voice), 0
        self._turns = torch.zeros(1, 1, dtype=torch.float64)  # at which the sine is
        keep_memory(voice.device)

    def push(self, piece: Tensor) -> Iterator[Tensor]:
        for rows in piece.split(FRAMES, -1):
            if count := rows.shape[-1]:
                content, loudness, pitch = rows.split([self._config.content, _STEPS, _PITCHES + 1])
                yield self._sung(content, loudness, pitch, count)

    def flush(self) -> Iterator[Tensor]:
        if self._frame:
            yield self._net.flush().cpu()

    def _sung(self, content: Tensor, loudness: Tensor, pitch: Tensor, count: int) -> Tensor:
        hz = torch.cat([pitch[:_PITCHES].T.flatten(), pitch[-1, -1:]])[None]
        turns = (start_turns(hz, PITCH_HOP, RATE) + self._turns).remainder(1.0)
        self._turns = turns[:, -1:]
        noise = white(torch.arange(self._frame, self._frame + count), UNIT, self._seed).T.reshape(1, -1)
        self._frame += count
        told = condition(self._config, content[None], loudness.T.reshape(1, -1), hz)
        excitation = excited(self._config, hz, turns[:, :-1], noise)
        return self._net.push(excitation[0, 0].to(self._device), told[0].to(self._device)).cpu()


def rows_of(pitch: Tensor) -> Tensor:
    """What `Singing` is told of a melody, Hz `[2 * frame + 1]` to `[3, frame]`."""
    return pitch.unfold(0, _PITCHES + 1, _PITCHES).T


def render(
    generator: Generator, config: Config, heard: Heard, voice: Tensor, seed: int, frames: int = FRAMES
) -> Iterator[Tensor]:
    """Sing what was heard with a row `[voice]` of the table: stretches `[time]` at 16 kHz, see `Singing`.

    Args:
        generator: The net.
        config: Of the model.
        heard: Words, loudness, and the pitch that is to be sung.
        voice: The row.
        seed: Of the noise.
        frames: To render at a time.
    """
    work = Singing(generator, config, voice, seed)
    rows = torch.cat([heard.content, heard.loudness.view(-1, _STEPS).T, rows_of(heard.pitch)])
    for piece in rows.split(frames, -1):
        yield from work.push(piece)
    yield from work.flush()
