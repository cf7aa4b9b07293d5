"""Converters that sing while the sound still comes in, and from file to file: the same, however it was cut."""

import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mynah.audio.files import probe, read, write
from mynah.core.errors import BadAudio, BadOption
from mynah.core.types import Audio, Contour, Voice
from mynah.core.verbs import Stream, options_of
from mynah.nets.streams import LIVE, SONG, Pace, Span

RATE = 16_000
CUT_ANYHOW = 2e-5  # by how much the result may differ with the cut: convolutions of other lengths round otherwise
SYSTEMS = ("rvc", "so_vits_svc")
every_system = pytest.mark.parametrize("name", SYSTEMS)


def tiny(name: str) -> Any:
    return of(name).tiny()


def of(name: str) -> Any:
    from mynah.core.registry import find

    return find(f"convert/{name}")


def somebody(name: str) -> Voice:
    bank = torch.randn(40, 16, generator=torch.Generator().manual_seed(0))
    return Voice("somebody", (0.0, 0.0), bank=bank)


def song(seconds: float = 2.6, rate: int = RATE) -> Audio:
    """Notes with pauses between them."""
    time = torch.arange(round(seconds * rate)) / rate
    hz = 200 + 30 * (3 * time).floor()
    wave = sum(torch.sin(2 * torch.pi * k * hz * time) / k for k in range(1, 8))
    return Audio((0.2 * wave * ((3 * time) % 1 < 0.8))[None], rate)


def pushed(stream: Stream, source: Audio, seconds: float) -> torch.Tensor:
    size = max(1, round(seconds * source.rate))
    pieces = [stream.push(Audio(block, source.rate)).samples for block in source.samples.split(size, -1)]
    return torch.cat([*pieces, stream.flush().samples], -1)


@every_system
def test_it_does_not_matter_in_what_blocks_the_sound_comes(name: str) -> None:
    system, voice, source = tiny(name), somebody(name), song()
    whole = pushed(system.stream(voice, rate=RATE), source, 60.0)
    assert whole.shape == source.samples.shape
    assert whole.abs().max() > 0
    for seconds in (0.001, 0.02, 1.0):
        torch.testing.assert_close(
            pushed(system.stream(voice, rate=RATE), source, seconds), whole, atol=CUT_ANYHOW, rtol=0
        )
