"""SV2TTS: English text in the voice of anybody who was recorded for a few seconds (Real-Time Voice Cloning).

An encoder hears who speaks and makes a vector of it; Tacotron reads the text with the vector beside every letter and
says a mel spectrogram, some frames at a time; a vocoder makes sound of that.
Paper: Jia et al., "Transfer Learning from Speaker Verification to Multispeaker Text-To-Speech Synthesis", arXiv
1806.04558; encoder after Wan et al., arXiv 1710.10467; Tacotron arXiv 1703.10135. Reference: CorentinJ's
Real-Time-Voice-Cloning, MIT. What differs: pauses are told by level instead of webrtcvad; a text is said sentence by
sentence; dropout has a seed; the level of what was said is left as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from mynah.core.errors import BadOption, BadText, BadVoice
from mynah.core.recipe import Recipe
from mynah.core.system import Card, System
from mynah.core.types import Audio, Voice
from mynah.core.verbs import Options
from mynah.features import ge2e
from mynah.features.ge2e import GE2E, shorten_pauses
from mynah.speak.sv2tts import published
from mynah.speak.sv2tts.net import FORMAT, MOST_AT_ONCE, SILENCE, Config, Synthesizer, trimmed
from mynah.speak.sv2tts.text import numbers_of
from mynah.text.sentences import sentences
from mynah.vocode import vocoder

NAME = "speak/sv2tts"
LONGEST = 200  # characters of what is said in one go; attention loses its way in more


class RanOn(UserWarning):
    """A sentence did not come to an end by itself and was cut off."""


class Sv2ttsOptions(Options):
    """What a listener may change."""

    vocoder: Annotated[
        str,
        Field(
            description="what makes sound of the spectrogram: auto is the vocoder in the folder of the weights, "
            "griffin_lim where there is none; or the weights of another",
            json_schema_extra={"place": True},
        ),
    ] = "auto"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="of the dropout, and of the vocoder")] = 0
    frames_per_step: Annotated[
        Literal["trained"] | Annotated[int, Field(ge=1, le=MOST_AT_ONCE)],
        Field(description="that are said at a time; other than trained is seldom of use"),
    ] = "trained"
    stop: Annotated[
        float, Field(ge=0, le=1, description="how sure it must be that a sentence has ended; less where it runs on")
    ] = 0.5
    silence: Annotated[
        float,
        Field(
            ge=-4,
            le=4,
            description="frames at the end of a sentence of which no band is stronger are cut",
            json_schema_extra={"unit": "mel, -4 to 4"},
        ),
    ] = SILENCE
    longest: Annotated[
        float, Field(ge=0.5, le=120, description="of a sentence", json_schema_extra={"unit": "seconds"})
    ] = 25.0
    pause_seconds: Annotated[
        float, Field(ge=0, le=5, description="between sentences", json_schema_extra={"unit": "seconds"})
    ] = 0.15
    trim_voice: Annotated[
        bool, Field(description="shorten long pauses in the recordings before the voice is heard in them")
    ] = True
    trim: Annotated[
        bool, Field(description="shorten long pauses in what was said, which this synthesizer is given to")
    ] = True


class Sv2tts(System[Config]):
    """Says English text in the voice of recordings.

    Whoever is enrolled has some; a voice that came without, such as a shipped one, cannot be heard by this encoder.
    """

    card = Card(verbs=("speak",), paper="https://arxiv.org/abs/1806.04558", origin="upstream weights", extra="speak")

    def __init__(
        self, synthesizer: Synthesizer, encoder: GE2E, *, vocoder: Path | None = None, device: str = "cpu"
    ) -> None:
        super().__init__(synthesizer.config)
        self.synthesizer = synthesizer.to(device).eval().requires_grad_(False)
        self.encoder = encoder.to(device).eval().requires_grad_(False)
        self.device, self.beside = device, vocoder
        self._heard: tuple[tuple[Audio, ...], bool, Tensor] | None = None

    @classmethod
    def tiny(cls) -> Self:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            synthesizer = Synthesizer(Config(8, 8, 8, 8, 8, kernels=2, highways=1, voice=8))
            encoder = GE2E(size=8, layers=1, epsilon=published.EPSILON)
        torch.nn.init.constant_(synthesizer.decoder.stop_proj.bias, 9.0)  # so that it has said enough soon
        return cls(synthesizer, encoder)

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        """Bring in a folder with `encoder.pt`, `synthesizer.pt` and `vocoder.pt`, or what `mynah train` made.

        Args:
            weights: The folder, or a synthesizer alone. Without an encoder beside it, the published one is taken, which
                `resemblyzer` brings as well.
            device: Where it runs.

        Raises:
            BadOption: There is no such place, or none was named: nobody publishes the checksums of these weights.
            BadCheckpoint: Damaged, hostile, of TensorFlow, of a fork with other sizes, or something else.
            Offline: There is no encoder, and the published one cannot be fetched.
        """
        place = Path(weights).expanduser()
        if not place.exists():
            raise BadOption(
                f"no weights {weights!r}: name a folder with encoder.pt, synthesizer.pt and vocoder.pt, such as those "
                "of huggingface.co/CorentinJ/SV2TTS"
            )
        parts = published.parts_of(place)
        synthesizer = published.synthesizer_of(parts.synthesizer)
        encoder = published.encoder_of(parts.encoder) if parts.encoder else _published_encoder()
        return cls(synthesizer, encoder, vocoder=parts.vocoder, device=device)

    def speak(self, text: str, voice: Voice, options: Sv2ttsOptions | None = None) -> Audio:
        """Say a text in the voice of somebody's recordings.

        Args:
            text: English, of any length.
            voice: With recordings; a few seconds do, and thirty are better.
            options: Knobs.

        Returns:
            One channel at 16 kHz.

        Raises:
            BadText: There is nothing to say, or nothing in letters that it knows.
            BadVoice: The voice has no recordings.
            BadAudio: There is no voice in them.
            BadOption: No such vocoder, or one for other spectrograms.
            MissingExtra: A library is not installed.
        """
        return Audio(torch.cat([said.samples for said in self.utterances(text, voice, options)], -1), FORMAT.rate)

    def utterances(self, text: str, voice: Voice, options: Sv2ttsOptions | None = None) -> Iterator[Audio]:
        """As `speak`, sentence by sentence, each with the pause after it."""
        options = options or Sv2ttsOptions()
        place = self.beside or "griffin_lim" if options.vocoder == "auto" else options.vocoder
        sounding = vocoder(place, FORMAT, device=self.device)
        said = [(sentence, numbers) for sentence in sentences(text, LONGEST) if (numbers := numbers_of(sentence))]
        if not said:
            raise BadText(
                f"there is nothing to say in this text: {text.strip()[:20]!r} is in letters unknown to {NAME}"
            )
        return self._uttered(said, self.hear(voice, trim=options.trim_voice), sounding, options)

    def hear(self, voice: Voice, *, trim: bool = True) -> Tensor:
        """The vector `[size]` of unit length that the encoder knows a voice by: the mean over its recordings.

        Raises:
            BadVoice: There are none.
            BadAudio: There is no voice in them.
        """
        if not voice.clips:
            raise BadVoice(
                f"the voice {voice.name!r} has no recordings, and {NAME} knows voices by these: enrol one with "
                "`mynah enrol RECORDING`"
            )
        if self._heard is None or self._heard[0] is not voice.clips or self._heard[1] is not trim:
            self._heard = (voice.clips, trim, self.encoder.embed(voice.clips, step=published.STEP, trim=trim))
        return self._heard[2]

    @torch.inference_mode()
    def mel(
        self, numbers: Sequence[int], heard: Tensor, options: Sv2ttsOptions, dice: Generator
    ) -> tuple[Tensor, bool]:
        """The mel spectrogram `[band, frame]` of a sentence, and whether it came to an end by itself."""
        most = max(1, round(options.longest * FORMAT.rate / FORMAT.hop))
        many = None if options.frames_per_step == "trained" else options.frames_per_step
        letters = torch.tensor([numbers], device=self.device)
        said = self.synthesizer.speak(
            letters, heard[None].to(self.device), dice=dice, many=many, sure=options.stop, longest=most
        )
        return trimmed(said.mel[0], options.silence), bool(said.ended[0, -1] > options.stop)

    @torch.inference_mode()
    def _uttered(
        self, said: list[tuple[str, list[int]]], heard: Tensor, sounding: Any, options: Sv2ttsOptions
    ) -> Iterator[Audio]:
        for place, (sentence, numbers) in enumerate(said):
            dice = Generator().manual_seed(options.seed * 1_000_003 + place)
            mel, ended = self.mel(numbers, heard, options, dice)
            if not ended:
                warnings.warn(
                    f"{sentence[:40]!r} did not end by itself and was cut off after {options.longest:g} seconds: say "
                    "it in shorter sentences, or lower `stop`",
                    RanOn,
                    stacklevel=3,
                )
            wave = sounding.wave(mel[None], seed=options.seed)[0].cpu()
            if options.trim:
                wave = shorten_pauses(wave)
            pause = round(options.pause_seconds * FORMAT.rate) if place < len(said) - 1 else 0
            yield Audio(F.pad(wave, (0, pause))[None], FORMAT.rate)

    @classmethod
    def course(
        cls, data: Path, folder: Path, *, teacher: str = "", start: str = "", hold_out: Sequence[str] = ()
    ) -> dict[str, Callable[[], Recipe]]:
        """Training of the encoder and of the synthesizer; the vocoder is `vocode/wave_rnn`.

        Args:
            data: Folder of recordings: of many speakers for the encoder; with texts in a manifest for the synthesizer.
            folder: Where stages are trained. A synthesizer hears with the encoder that was exported there, else with
                that of `start`, else with the published one.
            teacher: There is none.
            start: A folder of weights to go on from, or a synthesizer or an encoder alone.
            hold_out: Patterns of recordings to measure on.

        Raises:
            BadCheckpoint: `start` is damaged, or something else.
        """
        from mynah.speak.sv2tts.recipe import course

        return course(data, folder, start=start, hold_out=hold_out)


def _published_encoder() -> GE2E:
    net = ge2e.load()
    net.epsilon = published.EPSILON
    return net
