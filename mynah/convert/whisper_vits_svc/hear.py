"""What is taken from a recording: its words, fifty times a second, by whichever nets a model was trained with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.audio.chunks import Chunks
from mynah.catalog.checkpoint import load_foreign
from mynah.convert.whisper_vits_svc import earfiles
from mynah.convert.whisper_vits_svc.earfiles import SIZES, Choice
from mynah.convert.whisper_vits_svc.sizes import NetConfig
from mynah.core.errors import BadCheckpoint, BadVoice
from mynah.core.types import Voice
from mynah.features import content, hubert, mozilla_speaker, speaker, whisper
from mynah.features.content import HOP, RATE, ContentConfig, ContentStudent
from mynah.features.speaker import SpeakerConfig, VoiceEncoder
from mynah.nets.streams import SONG, Pace, Span

WINDOW = 15 * RATE  # samples that Whisper and HuBERT hear at once


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

    def listening(self, pace: Pace) -> Chunks:
        """As `frames`, of sound that is still coming in, with windows as wide as `pace` says."""
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
        return self.listening(SONG).over(wave)

    def listening(self, pace: Pace) -> Chunks:
        def heard(window: Tensor) -> Tensor:
            return self.student(_whole_frames(window)[None])[0]

        # It looks only so far, so that windows need not be faded into each other.
        past, ahead = (
            int(seconds * 50 + 2) * HOP / RATE for seconds in (self.student.past_seconds, self.student.ahead_seconds)
        )
        return Span(pace.heard.chunk, past, ahead).over(heard, RATE, each=HOP, ratio=Fraction(1, HOP))

    def vector(self, voice: Voice) -> Tensor:
        if voice.embedding is not None and voice.encoder == speaker.ENCODER and len(voice.embedding) == self.voice:
            return voice.embedding.float()
        if voice.clips:
            return self.encoder.embed(voice.clips)
        raise BadVoice(f"the voice {voice.name!r} has no clips that it could be learnt from: enrol it again")


class PublishedEars:
    """Whisper's encoder without its last quarter, soft HuBERT, and the LSTM of Mozilla's TTS: 600 M parameters.

    They are loaded when they are first listened with.

    Raises:
        BadOption: The choice names a place where nothing is.
        BadCheckpoint: What lies there is no Whisper.
    """

    sounds, voice = 256, 256

    def __init__(self, device: str = "cpu", choice: Choice | None = None) -> None:
        self.device, self.choice = device, choice or Choice()
        size = earfiles.SIZES.get(self.choice.whisper)
        self.words = size or earfiles.whisper_width(earfiles.whisper_file(self.choice.whisper))

    def ready(self) -> str:
        """Make sure that all three are here and of the right sizes, before long work begins; gives a name for them.

        Raises:
            BadOption: There is nothing at a place that was named.
            Offline: A file is not here and cannot be fetched; the message says what to bring.
            BadCheckpoint: Damaged, hostile, or of another size.
        """
        choice = self.choice
        words = earfiles.whisper_file(choice.whisper)
        self._fit(words, earfiles.whisper_width(words), self.words)
        _ = self._hubert, self._speaker
        return earfiles.named(words, earfiles.hubert_file(choice.hubert), earfiles.speaker_file(choice.speaker))

    def _fit(self, path: Path, found: int, wanted: int) -> None:
        if found != wanted:
            raise BadCheckpoint(f"{path}: hears {found} numbers a frame, where {wanted} are wanted")

    @cached_property
    def _whisper(self) -> whisper.WhisperEncoder:
        path = earfiles.whisper_file(self.choice.whisper)
        net = earfiles.trimmed(load_foreign(path), str(path))
        self._fit(path, net.config.size, self.words)
        return net.to(self.device)

    @cached_property
    def _hubert(self) -> hubert.Hubert:
        path = earfiles.hubert_file(self.choice.hubert)
        net = earfiles.soft_hubert(path)
        self._fit(path, net.config.units, self.sounds)
        return net.to(self.device)

    @cached_property
    def _speaker(self) -> mozilla_speaker.MozillaSpeaker:
        path = earfiles.speaker_file(self.choice.speaker)
        net = mozilla_speaker.load(path)
        self._fit(path, net.size, self.voice)
        return net

    def frames(self, wave: Iterable[Tensor]) -> Iterator[Tensor]:
        return self.listening(SONG).over(wave)

    def listening(self, pace: Pace) -> Chunks:
        def heard(window: Tensor) -> Tensor:
            return listened(self._whisper, self._hubert, window.to(self.device)).cpu()

        return pace.heard.over(heard, RATE, each=HOP, ratio=Fraction(1, HOP))

    def vector(self, voice: Voice) -> Tensor:
        if voice.clips:
            return self._speaker.embed(voice.clips)
        raise BadVoice(
            f"the voice {voice.name!r} has no clips, and this model knows voices by an encoder of its own: "
            "enrol it from recordings"
        )


def kind_of(net: NetConfig, where: object) -> Literal["own", "published"]:
    """What a model of these sizes hears with.

    Raises:
        BadCheckpoint: Nothing that is known here.
    """
    if (net.words, net.sounds, net.voice) == (ContentConfig().size, 0, SpeakerConfig().size):
        return "own"
    if net.words in SIZES.values() and (net.sounds, net.voice) == (PublishedEars.sounds, PublishedEars.voice):
        return "published"
    raise BadCheckpoint(
        f"{where} was trained on features of sizes {net.words} and {net.sounds} and vectors of {net.voice}, "
        "which nothing here hears with"
    )


def ears_for(net: NetConfig, where: object, device: str = "cpu") -> Ears:
    """What a model of these sizes hears with.

    Raises:
        BadCheckpoint: Nothing that is known here.
    """
    if kind_of(net, where) == "own":
        return OwnEars(content.load(), speaker.load())
    return PublishedEars(device, choice_for(net))


def choice_for(net: NetConfig) -> Choice:
    """The published ears of a model of these sizes; of two Whispers of one size the later."""
    return Choice({size: name for name, size in SIZES.items()}[net.words])


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
