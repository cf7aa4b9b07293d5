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
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from mynah.catalog.weights import locate
from mynah.convert.whisper_vits_svc import adopting, share
from mynah.convert.whisper_vits_svc.casting import Casting, model_in
from mynah.convert.whisper_vits_svc.earfiles import choice_of
from mynah.convert.whisper_vits_svc.hear import Ears, OwnEars, PublishedEars
from mynah.convert.whisper_vits_svc.net import Singer
from mynah.convert.whisper_vits_svc.rendering import FRAMES_PER_SECOND, singing
from mynah.convert.whisper_vits_svc.sizes import DecoderConfig, NetConfig
from mynah.core.errors import BadOption
from mynah.core.recipe import Recipe
from mynah.core.system import Card
from mynah.core.types import Contour, Voice
from mynah.core.verbs import Options
from mynah.features.content import HOP, RATE, ContentConfig, ContentStudent
from mynah.features.grid import contour_at, glided
from mynah.features.loudness import SOUNDING_SECONDS, sounding
from mynah.features.melody import moved_by
from mynah.features.pitch import LIVE_WAIT_SECONDS, tracked
from mynah.features.retrieval import drawn
from mynah.features.singing import Giving, Seed, SharedSinger, Silence, Spread, Taking, Transpose
from mynah.features.speaker import SpeakerConfig, VoiceEncoder
from mynah.nets.normed import folded
from mynah.nets.streams import (
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


class WhisperVitsSvcOptions(Options):
    """What a listener may change."""

    transpose: Transpose = "auto"
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
    spread: Spread = 1.0
    silence_db: Silence = -60.0
    seed: Seed = 0


class WhisperVitsSvc(SharedSinger[Config, WhisperVitsSvcOptions]):
    """Converts a recording to any voice of which a few seconds are known."""

    card = Card(verbs=("convert",), paper="https://arxiv.org/abs/2106.06103", origin="upstream weights")
    taking: ClassVar[Taking] = adopting
    giving: ClassVar[Giving] = share

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

    def stream(self, voice: Voice, options: WhisperVitsSvcOptions | None = None, *, rate: int) -> Sung:
        """Sing while the sound still comes in; see `mynah.core.verbs.Streams`.

        Raises:
            BadOption: `voicing` needs the next note; else as for any singer.
        """
        if options is not None and options.voicing == "everywhere":
            raise BadOption("voicing: everywhere glides to the next note, for which a stream cannot wait: take heard")
        return super().stream(voice, options, rate=rate)

    def _rate(self, voice: Voice) -> int:
        return self.casting.of(voice).singer.config.decoder.rate

    def _sung(
        self,
        voice: Voice,
        options: WhisperVitsSvcOptions | None,
        rate: int,
        pace: Pace,
        melody: Contour | None,
        out_rate: int | None = None,
    ) -> Sung:
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

    @classmethod
    def keeps(cls, *, ears: Sequence[str] = ()) -> int:
        """Bytes that `prepare` keeps of what was heard in a second."""
        choice = choice_of(ears)
        heard = PublishedEars(choice=choice) if choice else None
        return (heard.words + heard.sounds if heard else ContentConfig().size) * 2 * 50

    def adapt(self, voice: Voice, *, lora: int = 0) -> Recipe:
        """Tuning to one voice: its vector, and the layers that listen to it, or changes of rank `lora` to many."""
        from mynah.convert.whisper_vits_svc.recipe import ears_of
        from mynah.convert.whisper_vits_svc.recipe.adapt import AdaptRecipe

        cast = self.casting.of(replace(voice, weights=None, parts=()))
        return AdaptRecipe(voice, cast.vector, deepcopy(self.singer), ears_of(cast.ears, "own"), lora=lora)

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
