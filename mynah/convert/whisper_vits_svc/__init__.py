"""VoiceCraft SVC (so-vits-svc 5.0): any voice sings, by a flow between content and sound and a BigVGAN decoder.

A prior tells from content and melody what is to be expected of a song, whoever sings it; a flow puts the voice on; a
decoder with harmonics at the melody's pitch makes it sound. The system that this house was founded on.
No paper of its own; VITS (Kim, Kong, Son, arXiv 2106.06103), SNAC (arXiv 2211.16866), NSF (arXiv 1904.12088), BigVGAN
(arXiv 2206.04658), Whisper (arXiv 2212.04356), soft HuBERT (arXiv 2111.02392). Reference: PlayVoice/whisper-vits-svc,
MIT. What differs: songs are not cut every 25 s; the result is as long as the source; retrieval finds the nearest frames
exactly; nothing is random but by a seed; and a model may be trained on the content student and the voice encoder of
this house instead of 600 M parameters of Whisper and HuBERT.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from mynah.audio.files import probe, stream
from mynah.audio.mixing import as_one
from mynah.catalog.weights import locate
from mynah.convert.whisper_vits_svc import adopting
from mynah.convert.whisper_vits_svc import share as models
from mynah.convert.whisper_vits_svc.casting import Casting, model_in
from mynah.convert.whisper_vits_svc.hear import Ears, OwnEars, PublishedEars
from mynah.convert.whisper_vits_svc.net import Singer
from mynah.convert.whisper_vits_svc.rendering import FRAMES_PER_SECOND, singing
from mynah.convert.whisper_vits_svc.sizes import DecoderConfig, NetConfig
from mynah.core.errors import BadOption
from mynah.core.recipe import Recipe
from mynah.core.system import Card, System
from mynah.core.types import Audio, Contour, Voice
from mynah.core.verbs import Files, Options
from mynah.features.content import HOP, RATE, ContentConfig, ContentStudent
from mynah.features.grid import contour_at, glided
from mynah.features.loudness import SOUNDING_SECONDS, sounding
from mynah.features.melody import moved_by
from mynah.features.pitch import LIVE_WAIT_SECONDS, contour_of, tracked
from mynah.features.retrieval import drawn
from mynah.features.speaker import SpeakerConfig, VoiceEncoder
from mynah.nets.normed import folded
from mynah.nets.streams import (
    LIVE,
    SONG,
    Beside,
    Chain,
    Each,
    Known,
    Pace,
    Resampled,
    Span,
    Stage,
    Sung,
    flat,
    lag,
    paired,
    through,
    whole,
)

LOW_HZ, HIGH_HZ = 30.0, 2000.0  # neither a throat nor the comb of harmonics has anything to say beyond


@dataclass(frozen=True)
class Config:
    """What a model is made of.

    Attributes:
        net: Sizes of the net; by default those of the content student and the voice encoder. None where every voice
            brings its own model.
        ears: What it hears with: `"own"` is the student and the encoder of this house, `"published"` the three nets of
            the original.
        content: Of the student, where it is that.
        voice: Of the encoder, where it is that.
    """

    net: NetConfig | None = field(default_factory=lambda: NetConfig(words=64, sounds=0, voice=192))
    ears: Literal["own", "published"] = "own"
    content: ContentConfig = field(default_factory=ContentConfig)
    voice: SpeakerConfig = field(default_factory=SpeakerConfig)


def _unit(name: str) -> dict[str, str]:
    return {"unit": name}


class WhisperVitsSvcOptions(Options):
    """What a listener may change."""

    transpose: Annotated[
        Literal["auto"] | Annotated[float, Field(ge=-36, le=36)],
        Field(
            description="move the melody by this much; auto moves it by octaves into the target's own range",
            json_schema_extra=_unit("semitones"),
        ),
    ] = "auto"
    retrieval: Annotated[
        float, Field(ge=0, le=1, description="pull the words toward how the target's own clips said such sounds")
    ] = 0.0
    retrieval_sounds: Annotated[
        Literal["same"] | Annotated[float, Field(ge=0, le=1)],
        Field(description="the same for the second feature, where a model hears two (Whisper and HuBERT)"),
    ] = "same"
    neighbours: Annotated[int, Field(ge=1, le=16, description="frames of the target that retrieval averages")] = 3
    voicing: Annotated[
        Literal["heard", "everywhere"],
        Field(description="where there is no pitch: heard leaves it so, everywhere glides to the next note"),
    ] = "heard"
    spread: Annotated[
        float, Field(ge=0, le=1, description="how far the sound may stray from what is most to be expected")
    ] = 1.0
    silence_db: Annotated[
        float,
        Field(
            ge=-120,
            le=-20,
            description="mute where the source is quieter than this, because models fill silence with noise",
            json_schema_extra=_unit("dB"),
        ),
    ] = -60.0
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="of all that is random")] = 0


class WhisperVitsSvc(System[Config]):
    """Converts a recording to any voice of which a few seconds are known."""

    card = Card(verbs=("convert",), paper="https://arxiv.org/abs/2106.06103", origin="upstream weights")

    def __init__(self, config: Config, ears: Ears | None = None, *, device: str = "cpu") -> None:
        super().__init__(config)
        self.nets = nn.ModuleDict()
        if (wanted := config.net) is not None:
            self.nets["singer"] = Singer(wanted)
            if ears is None and config.ears == "own":
                student, encoder = ContentStudent(config.content), VoiceEncoder(config.voice)
                self.nets.update({"student": student, "encoder": encoder})
                ears = OwnEars(student, encoder)
            ears = ears or PublishedEars(device)
            heard = (ears.words, ears.sounds, ears.voice)
            if heard != (wanted.words, wanted.sounds, wanted.voice):
                raise ValueError(f"a net for {wanted.words}, {wanted.sounds} and {wanted.voice} cannot do with {heard}")
        self.nets.eval().requires_grad_(False)
        folded(self.nets)
        self.casting = Casting(self.singer if wanted else None, ears, device)

    @property
    def singer(self) -> Singer:
        """Of the model that this system was loaded with.

        Raises:
            BadOption: It was loaded without.
        """
        if "singer" not in self.nets:
            raise BadOption("convert/whisper_vits_svc has no model of its own: say which with --weights FILE")
        singer = self.nets["singer"]
        assert isinstance(singer, Singer)
        return singer

    @classmethod
    def tiny(cls) -> Self:
        decoder = DecoderConfig(channels=32, rates=(10, 8, 4), up_kernels=(20, 16, 8), kernels=(3,), dilations=(1, 3))
        net = NetConfig(
            words=64, sounds=0, voice=192, bins=33, latent=8, hidden=16, condition=8, filters=16, layers=1,
            posterior_layers=1, flow_layers=1, couplings=2, decoder=decoder,
        )  # fmt: skip
        with torch.random.fork_rng():
            torch.manual_seed(0)
            small = ContentConfig(channels=8, dilations=(1,), ahead=(1,)), SpeakerConfig(channels=8, dilations=(1,))
            return cls(Config(net, "own", *small))

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        """Bring in a model: a file that the original wrote (pretrained, training or exported), or one of ours.

        What it hears with is told by its sizes. With `"default"` every voice brings its own model.

        Raises:
            BadOption: No such file.
            BadCheckpoint: Damaged, hostile, or of another system.
        """
        if weights == "default":
            return cls(Config(net=None), device=device)
        singer, ears = model_in(locate(weights, cls.card.weights), device)
        kind: Literal["own", "published"] = "own" if isinstance(ears, OwnEars) else "published"
        system = cls(Config(singer.config, kind), ears, device=device)
        system.singer.load_state_dict(singer.state_dict())
        system.singer.to(device)
        return system

    @classmethod
    def recognises(cls, files: Files) -> bool:
        """Whether one of the files is a model of so-vits-svc 5.0, or there is a vector of a voice and no model."""
        return adopting.recognises(files)

    @classmethod
    def adopt(cls, files: Files, into: Path) -> Voice:
        """The voice that lies in the files: its vector, with its model and its indexes where they came along.

        Raises:
            BadCheckpoint: Damaged, hostile, of an unknown layout, or several.
        """
        return adopting.adopt(files, into)

    @torch.inference_mode()
    def convert(
        self,
        source: Audio,
        voice: Voice,
        options: WhisperVitsSvcOptions | None = None,
        *,
        melody: Contour | None = None,
    ) -> Audio:
        """Sing `source` with `voice`.

        Args:
            source: Any rate; several channels are averaged.
            voice: With clips, or with a vector of the encoder that the model knows voices by; or one that was imported.
            options: Knobs.
            melody: Pitch of the source, where a hand has corrected it; tracked when not given.

        Returns:
            One channel, at the rate and with the number of samples of the source.

        Raises:
            BadAudio: The recording is empty or holds something that is not a number.
            BadVoice: The voice has nothing that it could be known by.
            BadOption: It brings no model, and the system was loaded without one.
        """
        melody = melody or contour_of([as_one(source)])
        return whole(self._sung(voice, options, source.rate, SONG, melody), source)

    @torch.inference_mode()
    def convert_file(
        self,
        source: Path,
        voice: Voice,
        options: WhisperVitsSvcOptions | None,
        out: Path,
        *,
        rate: int | None = None,
        bits: int | None = None,
        melody: Contour | None = None,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> Contour:
        """As `convert`, from file to file with flat memory: hours are no harder than seconds.

        Args:
            rate: Of the result in Hz; by default that of the source, but at least the model's.
            bits: Of the result, where its format leaves a choice.
            progress: Told the fraction that is done.

        Returns:
            The melody that was sung from, before it was transposed.
        """
        info = probe(source)
        rate = rate or max(info.rate, self.casting.of(voice).singer.config.decoder.rate)
        melody = melody or contour_of(stream(source, mono=True))
        sung = self._sung(voice, options, info.rate, SONG, melody, rate)
        through(sung, stream(source, mono=True), out, rate, seconds=info.seconds, bits=bits, progress=progress)
        return melody

    def stream(self, voice: Voice, options: WhisperVitsSvcOptions | None = None, *, rate: int) -> Sung:
        """Sing while the sound still comes in; see `mynah.core.verbs.Streams`.

        Octaves of the melody are judged by 0.8 s of it. What would clip is left as it is.

        Raises:
            BadOption: `transpose` is to be found out, for which the whole song would have to be heard first, or
                `voicing` needs the next note; else as for `convert`, as are the other errors.
        """
        if options is not None and options.voicing == "everywhere":
            raise BadOption("voicing: everywhere glides to the next note, for which a stream cannot wait: take heard")
        return self._sung(voice, options, rate, LIVE, None)

    def _sung(
        self,
        voice: Voice,
        options: WhisperVitsSvcOptions | None,
        rate: int,
        pace: Pace,
        melody: Contour | None,
        out_rate: int | None = None,
    ) -> Sung:
        """All the way from the source to the result; without a melody it is heard on the way."""
        options = options or WhisperVitsSvcOptions()
        cast = self.casting.of(voice)
        singer, ears = cast.singer, cast.ears
        config, hop, size = singer.config, singer.config.decoder.hop, ears.words + ears.sounds
        draw, wait = self._drawing(voice, options), pace.heard.wait + 0.1
        # Two frames of 10 ms lie side by side in each of content.
        tune: Stage
        if melody is None:
            semitones = moved_by(options.transpose, None, voice.range_hz)
            tune, wait = Chain(tracked(), Each(paired)), max(wait, LIVE_WAIT_SECONDS)
        else:
            count = 2 * -(-math.ceil(len(melody.values) * melody.hop_seconds * FRAMES_PER_SECOND) // 2)
            hz = contour_at(melody, count, 1 / FRAMES_PER_SECOND)
            semitones = moved_by(options.transpose, hz, voice.range_hz)
            tune = Known(paired(glided(hz) if options.voicing == "everywhere" else hz.nan_to_num(0.0)), HOP)

        def gate(wave: Tensor) -> Tensor:
            frames = 2 * -(-len(wave) // HOP)
            return paired(sounding(wave, RATE, HOP // 2, frames, options.silence_db))

        gates = Span(pace.stretch, SOUNDING_SECONDS + 0.01, SOUNDING_SECONDS + 0.01)
        loud = gates.over(gate, RATE, each=HOP, ratio=Fraction(1, HOP))
        wait = max(wait, gates.wait)

        def known(rows: Tensor) -> Tensor:
            """What `singing` takes."""
            hz = flat(rows[size : size + 2])
            hz = torch.where(hz > 0, (hz * 2 ** (semitones / 12)).clamp(LOW_HZ, HIGH_HZ), 0.0)
            return torch.cat([draw(rows[:size]).repeat_interleave(2, -1), hz[None], flat(rows[size + 2 :])[None]])

        vector = cast.vector.to(next(singer.parameters()).device)
        way = Chain(
            Resampled(rate, RATE),
            Beside(ears.listening(pace), tune, loud),
            Each(known),
            singing(singer, vector, options.seed, options.spread, pace),
            Each(lambda frames: flat(frames[:hop] * frames[hop])),
        )
        latency = lag(rate, RATE) + wait + pace.singing(singer.dec.reach(), FRAMES_PER_SECOND)
        return Sung(way, rate, config.decoder.rate, latency, out_rate)

    @classmethod
    def course(
        cls,
        data: Path,
        folder: Path,
        *,
        teacher: str = "",
        hold_out: Sequence[str] = (),
        start: str = "",
        ears: Sequence[str] = (),
    ) -> dict[str, Callable[[], Recipe]]:
        """The one stage of training, from nothing or on from `start`, see `mynah.convert.whisper_vits_svc.recipe`.

        Raises:
            BadOption: A teacher, of whom there is none here; or ears that are not to be understood.
            Offline: Ears were named that are not here, and cannot be fetched.
            BadCheckpoint: Ears are damaged, or of other sizes than those of `start`.
        """
        from mynah.convert.whisper_vits_svc.recipe import course, ears_by

        if teacher:
            raise BadOption("convert/whisper_vits_svc learns from no teacher: a model to go on from is --start")
        if not ears:
            return course(data, folder, hold_out=hold_out, start=start)
        listening = ears_by(ears, start)  # at once, because what is missing is to be told before long work begins
        return course(data, folder, lambda: listening, hold_out=hold_out, start=start)

    @classmethod
    def prepare(
        cls,
        data: Path,
        folder: Path,
        *,
        ears: Sequence[str] = (),
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> None:
        """Hear a folder of recordings once, with the ears of this house or those of `ears`.

        Raises:
            BadOption: As for `course`, and so are Offline and BadCheckpoint.
        """
        from mynah.convert.whisper_vits_svc.recipe import ears_by, heard

        heard(data, folder, ears_by(ears), progress=progress)

    def adapt(self, voice: Voice, *, lora: int = 0) -> Recipe:
        """Tuning to one voice: its vector, and the layers that listen to it, or changes of rank `lora` to many."""
        from mynah.convert.whisper_vits_svc.recipe import ears_of
        from mynah.convert.whisper_vits_svc.recipe.adapt import AdaptRecipe

        cast = self.casting.of(replace(voice, weights=None, parts=()))
        return AdaptRecipe(voice, cast.vector, deepcopy(self.singer), ears_of(cast.ears, "own"), lora=lora)

    @classmethod
    def layouts(cls) -> Mapping[str, str]:
        """The suffixes of a model, by layout."""
        return models.LAYOUTS

    @classmethod
    def owns(cls, model: Path) -> bool:
        """Whether a file is a model of this system, in any layout that it can be loaded from."""
        return models.owns(model)

    @classmethod
    def export(cls, model: Path, out: Path) -> Path:
        """See `mynah.convert.whisper_vits_svc.share.export`."""
        return models.export(model, out)

    @classmethod
    def merge(cls, first: Path, second: Path, out: Path, share: float) -> Path:
        """See `mynah.convert.whisper_vits_svc.share.merge`."""
        return models.merge(first, second, out, share)

    def _drawing(self, voice: Voice, options: WhisperVitsSvcOptions) -> Callable[[Tensor], Tensor]:
        """What draws each of both features `[size, frame]` toward the target's own."""
        ears = self.casting.of(voice).ears
        sounds = options.retrieval if options.retrieval_sounds == "same" else options.retrieval_sounds
        shares = (options.retrieval, sounds)
        banks = self.casting.frames_of(voice) if any(shares) else [None, None]

        def draw(heard: Tensor) -> Tensor:
            parts = [
                part if bank is None or not share else drawn(part.T, bank, share, options.neighbours).T
                for part, bank, share in zip(heard.split([ears.words, ears.sounds]), banks, shares, strict=True)
            ]
            return torch.cat(parts)

        return draw
