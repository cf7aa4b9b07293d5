"""What is taken from a recording: its words, fifty times a second, by whichever nets a model was trained with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.audio.chunks import crossfade, map_chunks
from mynah.catalog.checkpoint import load_foreign
from mynah.catalog.weights import fetch
from mynah.core.errors import BadVoice
from mynah.core.system import Weights
from mynah.core.types import Voice
from mynah.features import hubert, mozilla_speaker, speaker, whisper
from mynah.features.content import HOP, RATE, ContentStudent
from mynah.features.speaker import VoiceEncoder

WINDOW = 15 * RATE  # samples that Whisper and HuBERT hear at once
OVERLAP = 2 * RATE
_STUDENT_WINDOW = 40 * RATE
LARGE = Weights(
    source="https://openaipublic.azureedge.net/main/whisper/models/"
    "81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524/large-v2.pt",
    sha256="81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524",
    bytes=3_100_000_000,  # a bound: nobody published the size
    license="MIT",
)


class Ears(Protocol):
    """What a model was trained to hear with.

    Attributes:
        words: Size of the first feature.
        sounds: Size of the second one, 0 where there is none.
        voice: Size of the vector of a voice.
    """

    words: int
    sounds: int
    voice: int

    def frames(self, wave: Iterable[Tensor]) -> Iterator[Tensor]:
        """Both features, one below the other, `[words + sounds, frame]` in pieces, of 16 kHz sound in pieces `[time]`.

        There is a frame for every 20 ms that the recording has begun.
        """
        ...

    def vector(self, voice: Voice) -> Tensor:
        """The voice as the model knows it, `[size]`.

        Raises:
            BadVoice: The voice has nothing that it could be known by.
        """
        ...


class OwnEars:
    """The content student and the voice encoder of the house: small enough for a laptop."""

    sounds = 0

    def __init__(self, student: ContentStudent, encoder: VoiceEncoder) -> None:
        self.student, self.encoder = student, encoder
        self.words, self.voice = student.config.size, encoder.config.size

    def frames(self, wave: Iterable[Tensor]) -> Iterator[Tensor]:
        def heard(window: Tensor) -> Tensor:
            return self.student(_whole_frames(window)[None])[0]

        past, ahead = (
            int(seconds * 50 + 2) * HOP for seconds in (self.student.past_seconds, self.student.ahead_seconds)
        )
        return map_chunks(heard, wave, chunk=_STUDENT_WINDOW, left=past, right=ahead, ratio=Fraction(1, HOP))

    def vector(self, voice: Voice) -> Tensor:
        if voice.embedding is not None and voice.encoder == speaker.ENCODER and len(voice.embedding) == self.voice:
            return voice.embedding.float()
        if voice.clips:
            return self.encoder.embed(voice.clips)
        raise BadVoice(f"the voice {voice.name!r} has no clips that it could be learnt from: enrol it again")


class PublishedEars:
    """Whisper's large encoder without its last quarter, soft HuBERT, and the LSTM of Mozilla's TTS: 600 M parameters.

    They are loaded when they are first listened with.
    """

    words, sounds, voice = 1280, 256, 256

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    @cached_property
    def _whisper(self) -> whisper.WhisperEncoder:
        return trimmed(load_foreign(fetch(LARGE)), LARGE.source).to(self.device)

    @cached_property
    def _hubert(self) -> hubert.Hubert:
        return hubert.load(device=self.device)

    @cached_property
    def _speaker(self) -> mozilla_speaker.MozillaSpeaker:
        return mozilla_speaker.load()

    def frames(self, wave: Iterable[Tensor]) -> Iterator[Tensor]:
        def heard(window: Tensor) -> Tensor:
            return listened(self._whisper, self._hubert, window.to(self.device)).cpu()

        return crossfade(heard, wave, chunk=WINDOW, overlap=OVERLAP, ratio=Fraction(1, HOP))

    def vector(self, voice: Voice) -> Tensor:
        if voice.clips:
            return self._speaker.embed(voice.clips)
        raise BadVoice(
            f"the voice {voice.name!r} has no clips, and this model knows voices by an encoder of its own: "
            "enrol it from recordings"
        )


def trimmed(checkpoint: Mapping[str, Any], what: str) -> whisper.WhisperEncoder:
    """An encoder of any size without the last quarter of its blocks, where words are already more than sounds.

    Raises:
        BadCheckpoint: It is not a Whisper encoder; `what` is named in the message.
    """
    nested = checkpoint.get("model_state_dict", checkpoint)
    state = whisper.remap({name: value for name, value in nested.items() if isinstance(value, Tensor)})
    number = {name: int(found[1]) for name in state if (found := re.match(r"blocks\.(\d+)\.", name))}
    count = len(set(number.values()))
    kept = {f"encoder.{name}": value for name, value in state.items() if number.get(name, 0) < count - count // 4}
    return whisper.from_state(kept, what)


def listened(words: whisper.WhisperEncoder, sounds: hubert.Hubert, wave: Tensor) -> Tensor:
    """Both features of 16 kHz sound `[time]` of at most 30 s, `[words + sounds, frame]`.

    Whisper hears 15 s at least, filled up with silence, as when models were trained. The original adds noise to its
    spectra when it converts, which it does not when it trains: that is left out.
    """
    wave = _whole_frames(wave)
    frames = len(wave) // HOP
    filled = F.pad(wave, (0, max(0, WINDOW - len(wave))))
    around = F.pad(filled[None, None], (200, 200), mode="reflect")[0]
    heard = words(words.log_mel(around))[0, :frames]
    return torch.cat([heard, sounds(wave[None])[0]], 1).T


def _whole_frames(wave: Tensor) -> Tensor:
    """The last frame is filled up with silence."""
    return F.pad(wave, (0, -wave.shape[-1] % HOP))
