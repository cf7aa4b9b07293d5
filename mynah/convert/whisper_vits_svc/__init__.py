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

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mynah.audio.resample import resample
from mynah.catalog.checkpoint import load_strict
from mynah.catalog.weights import locate
from mynah.convert.whisper_vits_svc import published
from mynah.convert.whisper_vits_svc import share as models
from mynah.convert.whisper_vits_svc.hear import Ears, OwnEars, PublishedEars
from mynah.convert.whisper_vits_svc.net import Singer
from mynah.convert.whisper_vits_svc.rendering import melody_of, render
from mynah.convert.whisper_vits_svc.sizes import DecoderConfig, NetConfig
from mynah.core.errors import BadAudio, BadCheckpoint, BadOption
from mynah.core.recipe import Recipe
from mynah.core.system import Card, System
from mynah.core.types import Audio, Contour, Voice
from mynah.core.verbs import Options
from mynah.features import content, speaker
from mynah.features.content import HOP, RATE, ContentConfig, ContentStudent
from mynah.features.grid import contour_at, glided
from mynah.features.loudness import sounding
from mynah.features.melody import semitones_to_fit
from mynah.features.pitch import pitch as track
from mynah.features.retrieval import drawn
from mynah.features.speaker import SpeakerConfig, VoiceEncoder
from mynah.nets.normed import folded

LOW_HZ, HIGH_HZ = 30.0, 2000.0  # neither a throat nor the comb of harmonics has anything to say beyond


@dataclass(frozen=True)
class Config:
    """What a model is made of.

    Attributes:
        net: Sizes of the net; by default those of the content student and the voice encoder.
        ears: What it hears with: `"own"` is the student and the encoder of this house, `"published"` the three nets of
            the original.
        content: Of the student, where it is that.
        voice: Of the encoder, where it is that.
    """

    net: NetConfig = field(default_factory=lambda: NetConfig(words=64, sounds=0, voice=192))
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

    def __init__(self, config: Config, ears: Ears | None = None) -> None:
        super().__init__(config)
        self.singer = Singer(config.net)
        self.nets = nn.ModuleDict({"singer": self.singer})
        if ears is None and config.ears == "own":
            student, encoder = ContentStudent(config.content), VoiceEncoder(config.voice)
            self.nets.update({"student": student, "encoder": encoder})
            ears = OwnEars(student, encoder)
        self.ears = ears or PublishedEars()
        heard, wanted = (self.ears.words, self.ears.sounds, self.ears.voice), config.net
        if heard != (wanted.words, wanted.sounds, wanted.voice):
            raise ValueError(f"a net for {wanted.words}, {wanted.sounds} and {wanted.voice} cannot do with {heard}")
        self.nets.eval().requires_grad_(False)
        folded(self.nets)
        # Of the voice that sang last: its vector, and its own frames.
        self._last: tuple[Voice, Tensor] | None = None
        self._bank: tuple[Voice, Tensor] | None = None
        self._tuned: tuple[Voice, Singer, Tensor] | None = None

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

        What it hears with is told by its sizes.

        Raises:
            BadOption: No such file.
            BadCheckpoint: Damaged, hostile, or of another system.
        """
        path = locate(weights, cls.card.weights)
        state = published.singer_of(published.read(path).net)
        net = published.config_of(state, path)
        own = ContentConfig().size, 0, SpeakerConfig().size
        known = {own: "own", (PublishedEars.words, PublishedEars.sounds, PublishedEars.voice): "published"}
        kind = known.get((net.words, net.sounds, net.voice))
        if kind is None:
            raise BadCheckpoint(
                f"{path} was trained on features of sizes {net.words} and {net.sounds} and vectors of {net.voice}, "
                "which nothing here hears with"
            )
        singer = Singer(net)
        load_strict(singer, state, str(path))
        published.refuse_other_filters(state, path)
        ears: Ears = OwnEars(content.load(), speaker.load()) if kind == "own" else PublishedEars(device)
        system = cls(Config(net, "own" if kind == "own" else "published"), ears)
        system.singer.load_state_dict(folded(singer).state_dict())
        system.singer.to(device)
        return system

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
            voice: With clips, or with a vector of the encoder that the model knows voices by.
            options: Knobs.
            melody: Pitch of the source, where a hand has corrected it; tracked when not given.

        Returns:
            One channel, at the rate and with the number of samples of the source.

        Raises:
            BadAudio: The recording is empty or holds something that is not a number.
            BadVoice: The voice has nothing that it could be known by.
        """
        options = options or WhisperVitsSvcOptions()
        length = source.samples.shape[-1]
        if length == 0:
            raise BadAudio("the recording is empty: there is nothing to convert")
        if not source.samples.isfinite().all():
            raise BadAudio("the recording holds samples that are not numbers (NaN or infinite)")
        mono = Audio(source.samples.mean(0, keepdim=True), source.rate)
        heard = resample(mono, RATE).samples[0]
        frames = 2 * -(-len(heard) // HOP)
        hz = self._melody(melody or track(mono), frames, voice, options)

        device = next(self.singer.parameters()).device
        vector, singer = self._vector(voice).to(device), self._singer(voice)
        words = self._words(heard, voice, options)
        sung = torch.cat(
            list(render(singer, words, melody_of(hz, singer, options.seed), vector, options.seed, options.spread))
        )
        gain = sounding(heard, RATE, HOP // 2, frames, options.silence_db)
        sung = sung * gain.repeat_interleave(self.config.net.decoder.hop)
        result = resample(Audio(sung[None], self.config.net.decoder.rate), source.rate).samples[:, :length]
        return Audio(F.pad(result, (0, length - result.shape[-1])), source.rate)

    def _melody(self, contour: Contour, frames: int, voice: Voice, options: WhisperVitsSvcOptions) -> Tensor:
        """Hz as it is to be sung, 0 where unvoiced, `[frame]`."""
        hz = contour_at(contour, frames, 0.01)
        semitones = semitones_to_fit(hz, voice.range_hz) if options.transpose == "auto" else options.transpose
        hz = (hz * 2 ** (semitones / 12)).clamp(LOW_HZ, HIGH_HZ)
        return glided(hz) if options.voicing == "everywhere" else hz.nan_to_num(0.0)

    @classmethod
    def course(
        cls, data: Path, folder: Path, *, teacher: str = "", hold_out: Sequence[str] = (), start: str = ""
    ) -> dict[str, Callable[[], Recipe]]:
        """The one stage of training, from nothing or on from `start`, see `mynah.convert.whisper_vits_svc.recipe`.

        Raises:
            BadOption: A teacher, of whom there is none here.
        """
        from mynah.convert.whisper_vits_svc.recipe import course

        if teacher:
            raise BadOption("convert/whisper_vits_svc learns from no teacher: a model to go on from is --start")
        return course(data, folder, hold_out=hold_out, start=start)

    @classmethod
    def prepare(cls, data: Path, folder: Path, *, progress: Callable[[float], None] = lambda fraction: None) -> None:
        """Hear a folder of recordings once, with the ears of this house."""
        from mynah.convert.whisper_vits_svc.recipe import heard, house_ears

        heard(data, folder, house_ears(), progress=progress)

    def adapt(self, voice: Voice, *, lora: int = 0) -> Recipe:
        """Tuning to one voice: its vector, and the layers that listen to it, or changes of rank `lora` to many."""
        from mynah.convert.whisper_vits_svc.recipe import ears_of
        from mynah.convert.whisper_vits_svc.recipe.adapt import AdaptRecipe

        ears = ears_of(self.ears, "own")
        return AdaptRecipe(voice, self.ears.vector(voice), deepcopy(self.singer), ears, lora=lora)

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

    def _singer(self, voice: Voice) -> Singer:
        """With what was tuned to this voice alone in its place."""
        if voice.weights is None:
            return self.singer
        if self._tuned is None or self._tuned[0] is not voice:
            self._tuned = (voice, *models.tuned(self.singer, voice.weights))
        return self._tuned[1]

    def _vector(self, voice: Voice) -> Tensor:
        if voice.weights is not None:
            self._singer(voice)
            assert self._tuned is not None
            return self._tuned[2]
        if self._last is None or self._last[0] is not voice:
            self._last = (voice, self.ears.vector(voice))
        return self._last[1]

    def _words(self, wave: Tensor, voice: Voice, options: WhisperVitsSvcOptions) -> Iterator[Tensor]:
        """Both features at 100 frames a second, drawn toward the target's own."""
        bank = self._frames_of(voice) if options.retrieval and voice.clips else None
        for piece in self.ears.frames([wave]):
            if bank is not None:
                # Each feature by itself, as they are of different sizes.
                parts = zip(*(x.split(self._sizes, 0) for x in (piece, bank)), strict=True)
                piece = torch.cat(
                    [drawn(ours.T, own.T, options.retrieval, options.neighbours).T for ours, own in parts]
                )
            yield piece.repeat_interleave(2, -1)

    @property
    def _sizes(self) -> list[int]:
        return [size for size in (self.ears.words, self.ears.sounds) if size]

    def _frames_of(self, voice: Voice) -> Tensor:
        """What the target's own clips sound like, `[size, frame]`; heard once for each voice."""
        if self._bank is None or self._bank[0] is not voice:
            waves = [resample(clip, RATE).samples.mean(0) for clip in voice.clips]
            self._bank = (voice, torch.cat([piece for wave in waves for piece in self.ears.frames([wave])], -1))
        return self._bank[1]
