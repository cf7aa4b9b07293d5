"""A command line with a converter that needs no weights and a library with one voice in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pytest
import torch
from pydantic import Field

from mynah.audio.files import write
from mynah.cli.main import main
from mynah.core import registry
from mynah.core.errors import UnknownVoice
from mynah.core.system import Card, System
from mynah.core.types import Audio, Contour, Voice
from mynah.core.verbs import Options
from mynah.features.pitch import pitch
from mynah.voices.ears import Ears

RATE = 8000
NAME = "convert/loud"


class LoudOptions(Options):
    """One field of every kind."""

    gain: Annotated[
        float, Field(ge=0, le=4, description="Make it louder, in 100 %.", json_schema_extra={"unit": "times"})
    ] = 1.0
    transpose: Annotated[
        Literal["auto"] | Annotated[float, Field(ge=-24, le=24)],
        Field(description="Move.", json_schema_extra={"unit": "semitones"}),
    ] = "auto"
    flip_sign: Annotated[bool, Field(description="Upside down.")] = False
    colour: Annotated[Literal["dark", "bright"], Field(description="Of the sound.")] = "dark"
    seed: Annotated[int, Field(ge=0, le=9, description="Of the noise.")] = 0


class Loud(System[None]):
    """Multiplies."""

    card = Card(verbs=("convert",), paper="", origin="ours")

    @classmethod
    def tiny(cls) -> Self:
        return cls(None)

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        return cls(None)

    def convert(
        self, source: Audio, voice: Voice, options: LoudOptions | None = None, *, melody: Contour | None = None
    ) -> Audio:
        options = options or LoudOptions()
        samples = source.samples * (-options.gain if options.flip_sign else options.gain)
        return Audio(samples if melody is None else samples * 0, source.rate)


@dataclass
class Ran:
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> Ran:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return call


@pytest.fixture
def loud(monkeypatch: pytest.MonkeyPatch) -> str:
    """A plugin of the house for as long as a test lasts, and somebody called Ann."""

    class Point:
        value = "loud:Loud"

        def load(self) -> type[Loud]:
            return Loud

    def find(spec: str, **settings: Any) -> Voice:
        if spec == "nobody":
            raise UnknownVoice("no voice 'nobody'; there is ann")
        return Voice(spec, range_hz=(200.0, 400.0))

    monkeypatch.setattr(registry, "_plugins", lambda: {NAME: Point()})
    monkeypatch.setattr("mynah.voices.library.find", find)
    return "loud"


@pytest.fixture
def loud_system(loud: str) -> type[Loud]:
    return Loud


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return _sung(tmp_path / "song.wav")


@pytest.fixture
def sung() -> Callable[..., Path]:
    return _sung


def _sung(path: Path, hz: float = 220.0, seconds: float = 0.5) -> Path:
    t = torch.arange(round(seconds * RATE)) / RATE
    wave = sum((torch.sin(2 * torch.pi * hz * k * t) / k for k in range(2, 6)), torch.sin(2 * torch.pi * hz * t))
    return write(Audio(0.1 * wave[None], RATE), path)


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener that needs no weights: it tells voices apart by their level alone."""

    def embed(clips: Sequence[Audio]) -> torch.Tensor:
        level = torch.stack([clip.samples.abs().mean() for clip in clips]).mean()
        return torch.nn.functional.normalize(torch.stack([level, 1 - level]), dim=0)

    def frames(clip: Audio) -> torch.Tensor:
        return torch.ones(round(50 * clip.seconds), 4)

    monkeypatch.setattr("mynah.voices.ears.own_ears", lambda: Ears(pitch, embed, frames, "a test's"))


@pytest.fixture
def ann(run: Run, ears: None, tmp_path: Path) -> str:
    """An enrolled voice."""
    assert run("enrol", _sung(tmp_path / "ann.wav", seconds=5.0)).code == 0
    return "ann"
