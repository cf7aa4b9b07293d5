"""Mynah: any voice from a few seconds of it, small and fast enough for a laptop.

A content student hears the words (50 times a second, without the singer), a pitch tracker the melody, an A-weighted
meter
the loudness; a voice encoder hears the target. A small ConvNeXt net turns these into two filters, one for a comb of
harmonics at the melody's pitch and one for noise, so that pitch and timing cannot go astray: the net decides on timbre
alone. Ours; the source-filter idea is that of DDSP (Engel et al., arXiv 2001.04643) and of the neural source-filter
model
(Wang et al., arXiv 1904.12088), the linear-time filters of short-time transforms that of Vocos (arXiv 2306.00814).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from mynah.audio.files import Writer, probe, stream
from mynah.audio.resample import Resampler, resample
from mynah.catalog.checkpoint import load_safetensors, load_strict
from mynah.catalog.weights import fetch, locate
from mynah.convert.mynah.blend import Consonants
from mynah.convert.mynah.colour import equalised, equaliser
from mynah.convert.mynah.hear import hear
from mynah.core.errors import BadAudio, BadCheckpoint, BadVoice
from mynah.core.recipe import Recipe
from mynah.core.system import Card, System
from mynah.core.types import Audio, Contour, Voice
from mynah.core.verbs import Options
from mynah.features import content, speaker
from mynah.features.content import ContentConfig, ContentStudent
from mynah.features.loudness import FLOOR_DB, Loudness
from mynah.features.melody import notes_of, semitones_to_fit, tuned
from mynah.features.pitch import contour_of
from mynah.features.pitch import pitch as track
from mynah.features.speaker import SpeakerConfig, VoiceEncoder
from mynah.nets.source_filter.decoder import WEIGHTS, Decoder, DecoderConfig
from mynah.nets.source_filter.render import Heard, breathing, render, shifted

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Config:
    """Sizes of the three nets."""

    content: ContentConfig = field(default_factory=ContentConfig)
    voice: SpeakerConfig = field(default_factory=SpeakerConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)


def _unit(name: str) -> dict[str, str]:
    return {"unit": name}


class MynahOptions(Options):
    """What a listener may change."""

    transpose: Annotated[
        Literal["auto"] | Annotated[float, Field(ge=-36, le=36)],
        Field(
            description="move the melody by this much; auto moves it into the target's own range",
            json_schema_extra=_unit("semitones"),
        ),
    ] = "auto"
    auto_step: Annotated[
        Literal["octave", "semitone"],
        Field(description="what auto moves by: octaves keep the key of the song, semitones fit the voice better"),
    ] = "octave"
    formants: Annotated[
        float,
        Field(
            ge=-12,
            le=12,
            description="make the throat shorter (up) or longer (down) than the target's",
            json_schema_extra=_unit("semitones"),
        ),
    ] = 0.0
    envelope: Annotated[
        float, Field(ge=0, le=1, description="follow the loudness of the source: 1 wholly, 0 sings evenly")
    ] = 1.0
    protect: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="keep the source's own breaths and voiceless consonants: 0 none of them, 1 unchanged",
        ),
    ] = 0.0
    colour: Annotated[
        float,
        Field(ge=0, le=1, description="match the tone colour of the target's own clips, where the voice has some"),
    ] = 1.0
    breath_db: Annotated[
        float,
        Field(
            ge=-40,
            le=6,
            description="breath that sounds under the notes, against what the net would give them",
            json_schema_extra=_unit("dB"),
        ),
    ] = -12.0
    retrieval: Annotated[
        float, Field(ge=0, le=1, description="pull the words toward how the target itself said such sounds")
    ] = 0.3
    tune: Annotated[
        float, Field(ge=0, le=1, description="pitch correction: 0 none, 1 puts the centre of every note on pitch")
    ] = 0.0
    scale: Annotated[
        str, Field(max_length=20, description="notes that pitch correction knows: chromatic, C major, F# minor, ...")
    ] = "chromatic"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="of the noise in breaths and consonants")] = 0


class Mynah(System[Config]):
    """Converts a recording to any voice of which a few seconds are known."""

    card = Card(
        verbs=("convert",),
        paper="",
        origin="ours",
        weights={
            "default": WEIGHTS,
            "content": content.WEIGHTS,
            "voice": speaker.WEIGHTS,
        },
    )

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.student = ContentStudent(config.content)
        self.encoder = VoiceEncoder(config.voice)
        self.decoder = Decoder(config.decoder)
        self.loudness = Loudness()
        self.nets = nn.ModuleDict({"student": self.student, "encoder": self.encoder, "decoder": self.decoder})
        self.nets.eval().requires_grad_(False)
        # Of the voice that sang last: what was adapted to it, and its equaliser.
        self._last: tuple[Voice, Decoder, Tensor] | None = None
        self._coloured: tuple[Voice, float, Tensor] | None = None

    @classmethod
    def tiny(cls) -> Self:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return cls(
                Config(
                    ContentConfig(channels=8, dilations=(1,), ahead=(1,)),
                    SpeakerConfig(channels=8, dilations=(1,)),
                    DecoderConfig(channels=8, dilations=(1,)),
                )
            )

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        system = cls(Config())
        load_strict(system.decoder, load_safetensors(locate(weights, cls.card.weights)), "the decoder of convert/mynah")
        load_strict(system.student, load_safetensors(fetch(content.WEIGHTS)), "the content student")
        load_strict(system.encoder, load_safetensors(fetch(speaker.WEIGHTS)), "the voice encoder")
        system.decoder.to(device)
        return system

    @torch.inference_mode()
    def convert(
        self, source: Audio, voice: Voice, options: MynahOptions | None = None, *, melody: Contour | None = None
    ) -> Audio:
        """Sing `source` with `voice`.

        Args:
            source: Any rate; several channels are averaged.
            voice: With an embedding of our voice encoder, or clips to make one from.
            options: Knobs.
            melody: Pitch of the source, where a hand has corrected it; tracked when not given.

        Returns:
            One channel, at the rate and with the number of samples of the source.

        Raises:
            BadAudio: The recording is empty or holds something that is not a number.
            BadVoice: The voice has neither an embedding of this system's encoder nor clips.
        """
        options = options or MynahOptions()
        length = source.samples.shape[-1]
        if length == 0:
            raise BadAudio("the recording is empty: there is nothing to convert")
        if not source.samples.isfinite().all():
            raise BadAudio("the recording holds samples that are not numbers (NaN or infinite)")
        mono = Audio(source.samples.mean(0, keepdim=True), source.rate)
        heard = hear([resample(mono, content.RATE)], melody or track(mono), self.student, self.loudness)
        rate = self.config.decoder.rate
        own = [resample(mono, rate)] if options.protect else None
        sung = torch.cat(list(self._sing(heard, voice, options, own)))
        result = resample(Audio(sung[None], rate), source.rate).samples[:, :length]
        return Audio(torch.nn.functional.pad(result, (0, length - result.shape[-1])), source.rate)

    @torch.inference_mode()
    def convert_file(
        self,
        source: Path,
        voice: Voice,
        options: MynahOptions,
        out: Path,
        *,
        rate: int | None = None,
        bits: int | None = None,
        melody: Contour | None = None,
        progress: Progress = lambda fraction: None,
    ) -> Contour:
        """As `convert`, from file to file with flat memory: hours are no harder than seconds.

        Args:
            rate: Of the result in Hz; by default that of the source, but at least the decoder's.
            bits: Of the result, where its format leaves a choice.
            progress: Told the fraction that is done.

        Returns:
            The melody that was sung from, before it was transposed or tuned.
        """
        info = probe(source)
        total = max(info.seconds, 0.01)

        def blocks(rate: int) -> Iterator[Audio]:
            return stream(source, rate=rate, mono=True)

        def told(begin: float) -> Callable[[float], None]:
            return lambda seconds: progress(begin + 0.25 * min(1.0, seconds / total))

        melody = melody or contour_of(blocks(content.RATE), told=told(0.0))
        heard = hear(blocks(content.RATE), melody, self.student, self.loudness, told(0.25))
        # What a damaged file promises and what it holds are not the same.
        seconds = info.seconds if abs(info.seconds - heard.seconds) < 0.02 else heard.seconds
        ours = self.config.decoder.rate
        rate = rate or max(info.rate, ours)
        own = blocks(ours) if options.protect else None
        to_rate = Resampler(ours, rate)
        left, done = round(seconds * rate), 0
        with Writer(out, rate, channels=1, bits=bits) as writer:
            for piece in self._sing(heard, voice, options, own):
                done += len(piece)
                sound = to_rate.push(Audio(piece[None], ours)).samples[:, :left]
                left -= sound.shape[-1]
                writer.push(Audio(sound, rate))
                progress(0.5 + 0.5 * min(1.0, done / ours / total))
            sound = to_rate.flush().samples[:, :left]
            writer.push(Audio(torch.nn.functional.pad(sound, (0, left - sound.shape[-1])), rate))
        return melody

    def _sing(self, heard: Heard, voice: Voice, options: MynahOptions, own: Iterable[Audio] | None) -> Iterator[Tensor]:
        """Stretches of the result at the decoder's rate; `own` is the source at that rate, for its consonants."""
        notes_of(options.scale)  # a scale that does not exist is told before the work, not after it
        melody = heard.pitch
        if options.transpose == "auto":
            step = 12 if options.auto_step == "octave" else 1
            semitones: float = semitones_to_fit(melody, voice.range_hz, step)
        else:
            semitones = options.transpose
        melody = tuned(melody * 2 ** (semitones / 12), options.tune, options.scale)
        # Outside this range neither a throat nor the comb of harmonics has anything to say.
        melody = melody.clamp(min=30.0, max=2000.0)

        words = heard.content
        if options.retrieval:
            words = torch.lerp(words, self._like_the_target(words, voice), options.retrieval)
        level = heard.loudness
        if options.envelope < 1:
            sounding = level > FLOOR_DB + 20
            even = level[sounding].mean() if sounding.any() else level.mean()
            level = torch.where(sounding, torch.lerp(even.expand_as(level), level, options.envelope), level)

        device = next(self.decoder.parameters()).device
        decoder = self.decoder if voice.weights is None else self._adapted(voice)[0]
        blend = Consonants(own, heard.pitch, decoder, options.protect) if own is not None else None
        heard = replace(heard, content=words, pitch=melody, loudness=level)
        vector = self.vector(voice).to(device)
        curve = None
        if options.colour and voice.clips:
            curve = options.colour * self._colour(voice, decoder, vector, options.breath_db)

        def shape(out: Tensor, pitch: Tensor) -> Tensor:
            out = breathing(out, pitch, options.breath_db)
            out = out if curve is None else equalised(out, curve)
            return shifted(out, options.formants) if options.formants else out

        yield from render(decoder, heard, vector, options.seed, shape, blend)

    def _colour(self, voice: Voice, decoder: Decoder, vector: Tensor, breath_db: float) -> Tensor:
        """The voice's equaliser, worked out once for each voice."""
        if self._coloured is None or self._coloured[0] is not voice or self._coloured[1] != breath_db:

            def shape(out: Tensor, pitch: Tensor) -> Tensor:
                return breathing(out, pitch, breath_db)

            curve = equaliser(voice.clips, vector, decoder, self.student, self.loudness, shape)
            self._coloured = (voice, breath_db, curve)
        return self._coloured[2]

    @classmethod
    def course(
        cls, data: Path, folder: Path, *, teacher: str = "", hold_out: Sequence[str] = (), skip: Sequence[str] = ()
    ) -> dict[str, Callable[[], Recipe]]:
        """Stages of training from nothing, see `mynah.convert.mynah.recipe.course`."""
        from mynah.convert.mynah.recipe import course

        weights = cls.card.weights["default"]
        return course(data, folder, weights, teacher=teacher, hold_out=hold_out, skip=skip)

    def adapt(self, voice: Voice) -> Recipe:
        """Fine-tuning on the voice's own clips."""
        from mynah.convert.mynah.recipe.adapt import AdaptRecipe

        decoder = Decoder(self.config.decoder)
        decoder.load_state_dict(self.decoder.state_dict())
        return AdaptRecipe(voice, self.vector(voice), decoder, self.student)

    def vector(self, voice: Voice) -> Tensor:
        """The voice as this system knows it, `[size]`."""
        if voice.weights is not None:
            return self._adapted(voice)[1]
        if voice.embedding is not None and voice.encoder == speaker.ENCODER:
            return voice.embedding.float()
        if voice.clips:
            return self.encoder.embed(voice.clips)
        raise BadVoice(f"the voice {voice.name!r} has no clips that convert/mynah could learn it from: enrol it again")

    def _like_the_target(self, words: Tensor, voice: Voice, neighbours: int = 4) -> Tensor:
        """For every content frame `[size, frame]` the mean of the target's own frames that are nearest to it."""
        bank = voice.bank
        if bank is None:
            if not voice.clips:
                return words
            bank = torch.cat([self.student.frames(clip) for clip in voice.clips])
        bank = bank.float()
        directions = nn.functional.normalize(bank, dim=1).T
        pieces = []
        for piece in words.T.split(4096):
            nearest = (piece @ directions).topk(min(neighbours, len(bank)), dim=1).indices
            pieces.append(bank[nearest].mean(1))
        return nn.functional.layer_norm(torch.cat(pieces), (len(words),)).T

    def _adapted(self, voice: Voice) -> tuple[Decoder, Tensor]:
        """The decoder with what was trained for this voice alone in its place, and the voice's own vector."""
        assert voice.weights is not None
        if self._last is None or self._last[0] is not voice:
            own = load_safetensors(voice.weights)
            if "embedding" not in own:
                raise BadCheckpoint(f"{voice.weights} is not what `mynah train convert/mynah --voice` writes")
            vector = own.pop("embedding").float()
            decoder = Decoder(self.config.decoder).eval().requires_grad_(False)
            load_strict(decoder, self.decoder.state_dict() | own, f"the voice {voice.name!r}")
            self._last = (voice, decoder.to(next(self.decoder.parameters()).device), vector)
        return self._last[1:]
