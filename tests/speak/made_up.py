"""A speaker and a listener of milliseconds that understand each other: every letter is a tone of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Self

import pytest
import torch
from pydantic import Field

from mynah.core import registry
from mynah.core.errors import BadVoice, Offline
from mynah.core.system import Card, System
from mynah.core.types import Audio, Transcript, Voice
from mynah.core.verbs import Options
from mynah.text.sentences import sentences

RATE = 16_000
LETTER = 320  # samples: one bin of its spectrum is 50 Hz
LETTERS = " abcdefghijklmnopqrstuvwxyz.!?,'"
OWN = Voice("morse", (400.0, 2000.0))


class Tiny(System[None]):
    """Needs no weights."""

    @classmethod
    def tiny(cls) -> Self:
        return cls(None)

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        if weights == "far-away":
            raise Offline("cannot fetch far-away: no network")
        return cls(None)


class MorseOptions(Options):
    """How it says it."""

    seed: Annotated[int, Field(ge=0, le=9, description="Of its mistakes.")] = 0
    stumbles: Annotated[int, Field(ge=0, le=9, description="Seeds that lose the longest word.")] = 0


class Morse(Tiny):
    """Tones, sentence by sentence, in a voice of its own."""

    card = Card(verbs=("speak",), paper="", origin="ours")
    own = OWN

    def gives(self, voice: Voice) -> bool:
        return voice.name == OWN.name

    def speak(self, text: str, voice: Voice, options: MorseOptions | None = None) -> Audio:
        return Audio(torch.cat([each.samples for each in self.utterances(text, voice, options)], 1), RATE)

    def utterances(self, text: str, voice: Voice, options: MorseOptions | None = None) -> Iterator[Audio]:
        if not self.gives(voice):
            raise BadVoice(f"{voice.name} is no voice of Morse")
        return (tones(each, options or MorseOptions()) for each in sentences(text))


class Patient(Tiny):
    """The same, for whoever waits until all is said; anybody's voice."""

    card = Card(verbs=("speak",), paper="", origin="ours")

    def speak(self, text: str, voice: Voice, options: MorseOptions | None = None) -> Audio:
        return tones(text, options or MorseOptions())


class EarOptions(Options):
    """None."""


class Ear(Tiny):
    """Hears tones."""

    card = Card(verbs=("transcribe",), paper="", origin="ours")

    def transcribe(self, source: Audio, options: EarOptions | None = None) -> Transcript:
        return Transcript(understood(source), "en", source.seconds)


def tones(text: str, options: MorseOptions) -> Audio:
    words = text.lower().split()
    if options.seed < options.stumbles:
        words.remove(max(words, key=len))
    at = torch.tensor([LETTERS.index(letter) for letter in " ".join(words) + " "])
    time = torch.arange(LETTER) / RATE
    hz = 500 + 50 * at[:, None]
    return Audio((0.3 * torch.sin(2 * torch.pi * hz * time)).reshape(1, -1), RATE)


def understood(sound: Audio) -> str:
    letters = sound.samples[0, : sound.samples.shape[1] // LETTER * LETTER].reshape(-1, LETTER)
    spectrum = torch.fft.rfft(letters).abs()
    at = spectrum.argmax(1).sub(10).clamp(0, len(LETTERS) - 1).where(spectrum.amax(1) > 1, torch.tensor(0))
    return " ".join("".join(LETTERS[place] for place in at.tolist()).split())


class LoudOptions(Options):
    """How loud."""

    gain: Annotated[float, Field(ge=0, le=4, description="Louder.", json_schema_extra={"unit": "times"})] = 0.5
    transpose: Annotated[
        float, Field(ge=-36, le=36, description="Noted alone.", json_schema_extra={"unit": "semitones"})
    ] = 0.0


class Loud(Tiny):
    """Converts by multiplying, and notes how it was told to transpose."""

    card = Card(verbs=("convert",), paper="", origin="ours")
    told: list[float]

    def __init__(self, config: None) -> None:
        super().__init__(config)
        Loud.told = []

    def convert(self, source: Audio, voice: Voice, options: LoudOptions | None = None) -> Audio:
        options = options or LoudOptions()
        Loud.told.append(options.transpose)
        return Audio(source.samples * options.gain, source.rate)


class _Point:
    def __init__(self, system: Any) -> None:
        self.value, self.load = system.__name__, lambda: system


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """As plugins of the house, for as long as a test lasts."""
    systems = {"speak/morse": Morse, "speak/patient": Patient, "transcribe/ear": Ear, "convert/loud": Loud}
    monkeypatch.setattr(registry, "_plugins", lambda: {name: _Point(system) for name, system in systems.items()})
    for verb in ("speak", "transcribe", "convert"):
        __import__(f"mynah.{verb}")
    from mynah import convert, speak, transcribe

    for folder in (convert, speak, transcribe):
        folder.loaded.cache_clear()  # of tests before
