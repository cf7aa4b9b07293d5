"""Mynah speaks: German and English text in any voice of which a few seconds are known.

A small net turns sounds into durations, content, melody and loudness, which is all that the decoder of `convert/mynah`
asks for; who is heard is decided by a voice vector. Ours; regression with durations is that of FastSpeech (Ren et al.,
arXiv 1905.09263), the durations come from an aligner (Badlani et al., arXiv 2108.10447), and that content takes the
place of a mel spectrogram lets everybody speak who can be converted to. Learnt from one German and one English reader,
whose manner of reading all voices share.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from mynah.catalog.checkpoint import load_safetensors, load_strict
from mynah.catalog.header import read_header
from mynah.catalog.weights import fetch, locate
from mynah.core.errors import BadCheckpoint, BadVoice, UnknownVoice
from mynah.core.recipe import Recipe
from mynah.core.system import Card, System, Weights
from mynah.core.types import Audio, Voice
from mynah.core.verbs import Options
from mynah.features import speaker
from mynah.features.retrieval import drawn
from mynah.nets.source_filter.decoder import WEIGHTS, Decoder, DecoderConfig
from mynah.nets.source_filter.render import Heard, breathing, render
from mynah.speak.mynah.acoustic import LEVEL_DB, Acoustic, AcousticConfig, whole
from mynah.speak.mynah.reader import Readers, said_in
from mynah.speak.mynah.tokens import Tokens
from mynah.text.language import language_of
from mynah.text.sentences import sentences

EDGE_FRAMES = 4  # of silence (20 ms each) before and after a sentence
SPEECH_SEMITONES = 9.0  # that a reader's voice moves in; who was heard over more was heard singing
FADE_SECONDS = 0.01
SHIPPED_READER = "kerstin"


@dataclass(frozen=True)
class Config:
    """Sizes of both nets, and who the readers were."""

    acoustic: AcousticConfig = field(default_factory=AcousticConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    readers: Readers = field(default_factory=Readers)


def _unit(name: str) -> dict[str, str]:
    return {"unit": name}


class MynahSpeechOptions(Options):
    """What a listener may change."""

    language: Annotated[
        Literal["auto", "de", "en"],
        Field(description="of the text; auto tells it from its words, sentence by sentence"),
    ] = "auto"
    speed: Annotated[
        float,
        Field(ge=0.4, le=2.5, description="how fast, 1 for as the reader", json_schema_extra=_unit("times")),
    ] = 1.0
    liveliness: Annotated[
        float,
        Field(
            ge=-3,
            le=3,
            description="how much the melody moves: 0 as the reader mostly does, above it more",
            json_schema_extra=_unit("standard deviations"),
        ),
    ] = 0.5
    transpose: Annotated[
        float,
        Field(
            ge=-24,
            le=24,
            description="speak higher or lower than the voice does by itself",
            json_schema_extra=_unit("semitones"),
        ),
    ] = 0.0
    pause_seconds: Annotated[
        float, Field(ge=0, le=5, description="between sentences", json_schema_extra=_unit("seconds"))
    ] = 0.35
    retrieval: Annotated[
        float, Field(ge=0, le=1, description="pull the words toward how the target itself said such sounds")
    ] = 0.0
    breath_db: Annotated[
        float,
        Field(
            ge=-40,
            le=6,
            description="breath that sounds under the voice, against what the net would give it",
            json_schema_extra=_unit("dB"),
        ),
    ] = -12.0
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="of the noise in breaths and consonants")] = 0


class Mynah(System[Config]):
    """Says German and English text as anybody."""

    card = Card(
        verbs=("speak",),
        paper="",
        origin="ours",
        extra="speak",
        weights={
            "default": Weights(
                "shipped:mynah_speech.safetensors",
                sha256="7a1e8d60f96c117f61a49cb1907c3e6919bb85db95631465b214361690c14b16",
                bytes=3218118,
                license="Apache-2.0",
            ),
            "decoder": WEIGHTS,
        },
    )

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.acoustic = Acoustic(config.acoustic)
        self.decoder = Decoder(config.decoder)
        self.nets = nn.ModuleDict({"acoustic": self.acoustic, "decoder": self.decoder})
        self.nets.eval().requires_grad_(False)

    @classmethod
    def tiny(cls) -> Self:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            acoustic = AcousticConfig(channels=8, sounds=(1,), frames=(1,))
            return cls(Config(acoustic, DecoderConfig(channels=8, dilations=(1,))))

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        """Bring in what `mynah train speak/mynah` exported.

        Raises:
            BadOption: No such file.
            BadCheckpoint: Damaged, or of another system.
        """
        path = locate(weights, cls.card.weights)
        told = read_header(path).metadata
        try:
            sizes = AcousticConfig.of(json.loads(told["config"]))
            readers = Readers.of(json.loads(told["readers"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BadCheckpoint(f"{path} is not what `mynah train speak/mynah` writes") from error
        system = cls(Config(acoustic=sizes, readers=readers))
        load_strict(system.acoustic, load_safetensors(path), "the speaking net of speak/mynah")
        load_strict(system.decoder, load_safetensors(fetch(WEIGHTS)), "the decoder of convert/mynah")
        system.nets.to(device)
        return system

    @classmethod
    def course(cls, data: Path, folder: Path, *, teacher: str = "") -> dict[str, Callable[[], Recipe]]:
        """Stages of training from nothing, see `mynah.speak.mynah.recipe.course`."""
        from mynah.speak.mynah.recipe import course

        return course(data, folder)

    @property
    def own(self) -> Voice:
        """The first reader's where the library knows it, else the one that came with Mynah."""
        from mynah.voices.library import find

        try:
            return find(self.config.readers.names[0])
        except UnknownVoice:
            return find(SHIPPED_READER)

    def gives(self, voice: Voice) -> bool:
        """Whoever the voice encoder has heard; voices that were trained need their own converter."""
        if voice.weights is not None or voice.system not in ("", "convert/mynah", "speak/mynah"):
            return False
        return (voice.embedding is not None and voice.encoder == speaker.ENCODER) or bool(voice.clips)

    def speak(self, text: str, voice: Voice, options: MynahSpeechOptions | None = None) -> Audio:
        """Say a text.

        Args:
            text: Sentences in German or English; the language may change from one to the next.
            voice: With an embedding of our voice encoder, or clips to make one from.
            options: Knobs.

        Returns:
            One channel at 32 kHz.

        Raises:
            BadText: There is nothing to say, or it is in a script that no reader knows.
            BadVoice: The voice has neither an embedding of our encoder nor clips, or needs a converter of its own.
            MissingExtra: eSpeak NG is not installed.
        """
        spoken = [each.samples for each in self.utterances(text, voice, options)]
        return Audio(torch.cat(spoken, dim=1), self.config.decoder.rate)

    def utterances(self, text: str, voice: Voice, options: MynahSpeechOptions | None = None) -> Iterator[Audio]:
        """As `speak`, sentence by sentence, each with the pause after it."""
        options = options or MynahSpeechOptions()
        if not self.gives(voice):
            raise BadVoice(f"speak/mynah cannot give the voice {voice.name!r} by itself: `mynah speak` converts to it")
        vector = self._vector(voice)
        said, language = [], "de"
        for sentence in sentences(text):
            language = language_of(sentence, language) if options.language == "auto" else options.language
            said.append(said_in(sentence, language))
        return self._uttered([tokens for tokens in said if tokens is not None], voice, vector, options)

    def _uttered(
        self, said: list[Tokens], voice: Voice, vector: Tensor, options: MynahSpeechOptions
    ) -> Iterator[Audio]:
        rate = self.config.decoder.rate
        for number, tokens in enumerate(said):
            with torch.inference_mode():
                wave = self._said(tokens, voice, vector, options)
            pause = round(options.pause_seconds * rate) if number < len(said) - 1 else 0
            yield Audio(nn.functional.pad(wave, (0, pause))[None], rate)

    def _said(self, said: Tokens, voice: Voice, vector: Tensor, options: MynahSpeechOptions) -> Tensor:
        """One sentence, `[time]` at the decoder's rate."""
        device = vector.device
        readers = self.config.readers
        reader = readers.number(int(said.language[0]))
        symbol, stress, manner, tongue = (
            part[None].to(device) for part in (said.symbol, said.stress, said.manner, said.language)
        )
        style = torch.tensor([[options.liveliness, 0.0]], device=device)
        x, condition, lasting = self.acoustic.sounded(
            symbol, stress, manner, tongue, torch.tensor([reader], device=device), style
        )
        frames = lasting[0].exp() * readers.pace[reader] / options.speed
        durations = whole(frames[1:-1])
        edge = durations.new_tensor([EDGE_FRAMES])
        spoken = self.acoustic.spoken(x, condition, torch.cat([edge, durations, edge])[None])
        content = spoken.content[0]
        if options.retrieval and voice.bank is not None:
            content = drawn(content.T, voice.bank.float().to(device), options.retrieval).T
            content = nn.functional.layer_norm(content.T, (len(content),)).T
        pitch = 2 ** (spoken.pitch[0] + options.transpose / 12) * middle_hz(voice)
        pitch = torch.where(spoken.voiced[0] > 0, pitch.clamp(30.0, 2000.0), torch.nan)
        level = spoken.level[0] * LEVEL_DB + readers.level_db[reader]
        heard = Heard(content, pitch.cpu(), level, len(pitch) / 100)

        def shape(out: Tensor, melody: Tensor) -> Tensor:
            return breathing(out, melody, options.breath_db)

        wave = torch.cat(list(render(self.decoder, heard, vector, options.seed, shape)))
        fade = torch.linspace(0, 1, round(FADE_SECONDS * self.config.decoder.rate))
        wave[: len(fade)] *= fade
        wave[-len(fade) :] *= fade.flip(0)
        return wave

    def _vector(self, voice: Voice) -> Tensor:
        device = next(self.decoder.parameters()).device
        if voice.embedding is not None and voice.encoder == speaker.ENCODER:
            return voice.embedding.float().to(device)
        return speaker.load().embed(voice.clips).to(device)


def middle_hz(voice: Voice) -> float:
    """The pitch that a voice speaks around: the middle of its range, lower in that of somebody who sang.

    Example:

        >>> round(middle_hz(Voice("ann", range_hz=(100.0, 144.0))))
        120
        >>> round(middle_hz(Voice("bea", range_hz=(100.0, 400.0))))
        130
    """
    low, high = voice.range_hz
    if low <= 0:
        return 150.0
    span = min(12 * math.log2(high / low), SPEECH_SEMITONES)
    return float(low * 2 ** (span / 24))
