"""Systems of milliseconds, as a package of somebody else would bring them: they are installed for a test's server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field

from mynah.audio.files import probe, read, write
from mynah.core.errors import BadAudio, Offline
from mynah.core.system import Card, System
from mynah.core.types import Audio, Line, Stems, Transcript, Voice
from mynah.core.verbs import Blocks, Options
from mynah.text.sentences import sentences
from mynah.transcribe.whisper import Whisper

ENTRY_POINTS = """[mynah.systems]
convert/loud = tiny_systems:Loud
separate/centre = tiny_systems:Centre
speak/beep = tiny_systems:Beep
speak/story = tiny_systems:Story
transcribe/ear = tiny_systems:Ear
transcribe/small = tiny_systems:Small
translate/mouth = tiny_systems:Mouth
"""


class Tiny(System[None]):
    """Needs no weights."""

    @classmethod
    def tiny(cls) -> Self:
        return cls(None)

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        return cls(None)


class LoudOptions(Options):
    """How loud, how slowly, and with what accident."""

    gain: Annotated[float, Field(ge=0, le=4, description="Louder.", json_schema_extra={"unit": "times"})] = 1.0
    nap_seconds: Annotated[float, Field(ge=0, le=600, description="Sleep.", json_schema_extra={"unit": "s"})] = 0.0
    accident: Annotated[Literal["none", "mistake", "bug"], Field(description="What goes wrong.")] = "none"


class Loud(Tiny):
    """Multiplies."""

    card = Card(verbs=("convert",), paper="", origin="ours")

    def convert(self, source: Audio, voice: Voice, options: LoudOptions | None = None) -> Audio:
        return Audio(source.samples * (options or LoudOptions()).gain, source.rate)

    def convert_file(
        self, source: Path, voice: Voice, options: Any, out: Path, *, progress: Callable[[float], None], **rest: Any
    ) -> None:
        if options.accident == "mistake":
            raise BadAudio(f"{source}: nobody sings in it")
        if options.accident == "bug":
            raise RuntimeError("secret-of-the-house")
        end = time.monotonic() + options.nap_seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(0.02)
            progress(1 - left / options.nap_seconds)
        write(self.convert(read(source), voice, options), out)


class CentreOptions(Options):
    """None."""


class Centre(Tiny):
    """What is in the middle is the voice."""

    card = Card(verbs=("separate",), paper="", origin="ours")
    stems = ("vocals", "accompaniment")

    def separate(self, mix: Audio, options: CentreOptions | None = None) -> Stems:
        middle = mix.samples.mean(0, keepdim=True).expand_as(mix.samples)
        return Stems(vocals=Audio(middle, mix.rate), accompaniment=Audio(mix.samples - middle, mix.rate))

    def stream(self, mix: Blocks, options: CentreOptions | None = None) -> Iterator[Stems]:
        return map(self.separate, mix())


class BeepOptions(Options):
    """How fast."""

    speed: Annotated[float, Field(ge=0.5, le=2, description="Of speech.", json_schema_extra={"unit": "times"})] = 1.0
    vocoder: Annotated[str, Field(description="A file, even.", json_schema_extra={"place": True})] = "none"


class Beep(Tiny):
    """A tenth of a second for each letter."""

    card = Card(verbs=("speak",), paper="", origin="ours")

    def speak(self, text: str, voice: Voice, options: BeepOptions | None = None) -> Audio:
        time = torch.arange(round(1600 * len(text) / (options or BeepOptions()).speed)) / 16_000
        return Audio(0.2 * torch.sin(2 * torch.pi * voice.range_hz[0] * time)[None], 16_000)


class StoryOptions(Options):
    """How it is told."""

    nap_seconds: Annotated[
        float, Field(ge=0, le=60, description="Before each sentence.", json_schema_extra={"unit": "s"})
    ] = 0.0
    accident: Annotated[bool, Field(description="In the third sentence.")] = False


class Story(Tiny):
    """A quarter of a second for each sentence, in a voice of its own."""

    card = Card(verbs=("speak",), paper="", origin="ours")
    own = Voice("teller", (200.0, 400.0))

    def gives(self, voice: Voice) -> bool:
        return voice.name == "kerstin"

    def speak(self, text: str, voice: Voice, options: StoryOptions | None = None) -> Audio:
        told = list(self.utterances(text, voice, options))
        return Audio(torch.cat([each.samples for each in told], 1), 16_000)

    def utterances(self, text: str, voice: Voice, options: StoryOptions | None = None) -> Iterator[Audio]:
        options = options or StoryOptions()
        for number in range(len(sentences(text))):
            time.sleep(options.nap_seconds)
            if options.accident and number == 2:
                raise BadAudio("the teller has lost the thread")
            at = torch.arange(4000) / 16_000
            yield Audio(0.2 * torch.sin(2 * torch.pi * 300 * (number + 1) * at)[None], 16_000)


class EarOptions(Options):
    """In which language."""

    language: Annotated[str, Field(max_length=2, description="That is sung.")] = "it"


class Ear(Tiny):
    """Hears la la."""

    card = Card(verbs=("transcribe",), paper="", origin="ours")

    def transcribe(self, source: Audio, options: EarOptions | None = None) -> Transcript:
        half = source.seconds / 2
        lines = (Line("la", 0.0, half), Line("la", half, source.seconds))
        return Transcript("la la", (options or EarOptions()).language, source.seconds, lines)


class Small(Whisper):
    """The real thing with made-up weights."""

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        if weights not in ("default", "in-a-drawer"):
            raise Offline(f"no {weights} here")
        tiny = cls.tiny()
        if weights == "in-a-drawer":
            tiny.net.decoder.ln.weight.data *= -1
        return tiny


class Mouth(Tiny):
    """Knows what la la means."""

    card = Card(verbs=("translate",), paper="", origin="ours")

    def translate(self, source: Audio, options: EarOptions | None = None) -> Transcript:
        return Transcript("the the", "en", source.seconds)


def length(file: Path) -> float:
    return probe(file).seconds
