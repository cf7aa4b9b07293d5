"""A song that can be taken apart by ear, a separator that does so, and a scene that needs no weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
import torch
from torch import Tensor

from mynah.audio.files import write
from mynah.core import registry
from mynah.core.system import Card
from mynah.core.types import Audio, Voice
from mynah.core.verbs import Options
from mynah.nets.separator import Pieces, Separator
from mynah.scenes.cover import Cover, cover

RATE = 16_000
CENTRE = "separate/centre"


class CentreOptions(Options):
    """None."""


class Centre(Separator[None]):
    """What is in the middle is the voice, and what is at the sides is the band."""

    card = Card(verbs=("separate",), paper="", origin="ours")
    rate, channels = RATE, 2
    remainder = "accompaniment"

    @property
    def stems(self) -> tuple[str, ...]:
        return ("vocals", "accompaniment")

    @classmethod
    def tiny(cls) -> Self:
        return cls(None)

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        return cls(None)

    def apart(self, mix: Pieces, options: Options | None) -> Iterator[Tensor]:
        for piece in mix():
            middle = piece.mean(0, keepdim=True).expand(2, -1)
            yield torch.stack([middle, piece - middle])

    def separate(self, mix: Audio, options: CentreOptions | None = None) -> Any:
        return super().separate(mix, options)


@dataclass
class Point:
    """An entry point as the registry sees it."""

    value: str
    system: type

    def load(self) -> type:
        return self.system


@pytest.fixture(autouse=True)
def centre(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin of the house for as long as a test lasts."""
    monkeypatch.setattr(registry, "_plugins", lambda: {CENTRE: Point("centre:Centre", Centre)})


def _sung(seconds: float, rate: int, hz: float = 220.0) -> Tensor:
    t = torch.arange(round(seconds * rate)) / rate
    return 0.2 * sum((torch.sin(2 * torch.pi * hz * k * t) / k for k in range(2, 8)), torch.sin(2 * torch.pi * hz * t))


def _strummed(seconds: float, rate: int) -> Tensor:
    t = torch.arange(round(seconds * rate)) / rate
    return 0.1 * torch.sin(2 * torch.pi * 1000 * t)


def _song_of(seconds: float = 1.0, rate: int = RATE, *, voice: float = 1.0, band: float = 1.0) -> Audio:
    middle, side = voice * _sung(seconds, rate), band * _strummed(seconds, rate)
    return Audio(torch.stack([middle + side, middle - side]), rate)


@pytest.fixture
def song_of() -> Callable[..., Audio]:
    """Makes a song: a vowel-like note of 220 Hz in the middle, a tone of 1000 Hz at the sides."""
    return _song_of


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write(_song_of(), tmp_path / "song.wav", bits=32)


# What the effects do is not what is asked here.
BARE = {"high_pass_hz": 0, "de_ess_db": 0, "compress_ratio": 1, "presence_db": 0, "air_db": 0, "reverb": 0}


@pytest.fixture
def covered(tmp_path: Path) -> Callable[..., Cover]:
    """`mynah.cover` by those who need no weights, without effects, to a wave file."""

    def call(song: Any, voice: Any = None, out: str | None = "out.wav", **settings: Any) -> Cover:
        settings = {"separator": "centre", "converter": "hum"} | BARE | settings
        ann = Voice("ann", range_hz=(150.0, 330.0))
        return cover(song, voice or ann, None if out is None else tmp_path / out, **settings)

    return call
