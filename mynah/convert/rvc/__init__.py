"""RVC: the voices that communities share, v1 and v2, at 32, 40 or 48 kHz, with a melody or without.

What ContentVec hears is drawn toward what the target itself once said; a prior tells what is to be expected of it and
of the melody, a flow puts the voice on, and a decoder led by a sine makes it sound.
No paper of its own; VITS (Kim, Kong, Son, arXiv 2106.06103), ContentVec (arXiv 2204.09224), NSF (arXiv 1904.12088),
HiFi-GAN (arXiv 2010.05646). Reference: RVC-Project/Retrieval-based-Voice-Conversion-WebUI, MIT. What differs: songs are
not cut; retrieval finds the nearest frames exactly; what is voiceless is protected by the melody as it was heard;
nothing is random but by a seed; the result is as long as the source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from scipy.signal import butter, sosfiltfilt
from torch import Tensor, nn

from mynah.audio.chunks import Chunks
from mynah.audio.files import probe, stream
from mynah.audio.mixing import as_one
from mynah.catalog.checkpoint import filled
from mynah.catalog.weights import locate
from mynah.convert.rvc import adopting, published
from mynah.convert.rvc import share as models
from mynah.convert.rvc.net import SPREAD, Singer
from mynah.convert.rvc.rendering import protected, singing
from mynah.convert.rvc.sizes import FRAMES_PER_SECOND, DecoderConfig, NetConfig
from mynah.core.errors import BadOption, BadVoice
from mynah.core.recipe import Recipe
from mynah.core.system import Card, System
from mynah.core.types import Audio, Contour, Voice
from mynah.core.verbs import Files, Options
from mynah.features import contentvec
from mynah.features.contentvec import Ears
from mynah.features.grid import contour_at
from mynah.features.hubert import HOP, RATE, Hubert, HubertConfig
from mynah.features.loudness import levelled, near, powers
from mynah.features.melody import moved_by
from mynah.features.pitch import LIVE_WAIT_SECONDS, contour_of, tracked
from mynah.features.retrieval import drawn
from mynah.nets.brought import Brought
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
    over,
    paired,
    through,
    whole,
)  # fmt: skip

Progress = Callable[[float], None]

NAME = "convert/rvc"
LOWEST_HZ = 48  # what is below is rumble, and the original takes it off
NEIGHBOURS = 8  # frames of the target that retrieval averages, as in the original


@dataclass(frozen=True)
class Config:
    """What a model is made of.

    Attributes:
        net: Sizes of the net; None where every voice brings its own.
        content: Of a HuBERT that belongs to the model; None for the published ContentVec.
    """

    net: NetConfig | None = None
    content: HubertConfig | None = None


class RvcOptions(Options):
    """What a listener may change."""

    transpose: Annotated[
        Literal["auto"] | Annotated[float, Field(ge=-36, le=36)],
        Field(
            description="move the melody by this much; auto moves it by octaves into the target's own range",
            json_schema_extra={"unit": "semitones"},
        ),
    ] = "auto"
    retrieval: Annotated[
        float,
        Field(
            ge=0, le=1, description="pull the words toward how the target said such sounds, where its index came along"
        ),
    ] = 0.75
    protect: Annotated[
        float, Field(ge=0, le=1, description="keep retrieval away from breaths and voiceless consonants: 1 wholly")
    ] = 0.67
    envelope: Annotated[
        float, Field(ge=0, le=1, description="follow the loudness of the source: 1 wholly, 0 as the model sings")
    ] = 0.75
    speaker: Annotated[int, Field(ge=0, le=9999, description="which of the model's voices; nearly all have only 0")] = 0
    spread: Annotated[
        float, Field(ge=0, le=1, description="how far the sound may stray from what is most to be expected")
    ] = SPREAD
    precision: Annotated[
        Literal["float32", "bfloat16"],
        Field(description="what the decoder counts in: bfloat16 takes two thirds of the time, with noise at -45 dB"),
    ] = "float32"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="of all that is random")] = 0


class Rvc(System[Config]):
    """Converts a recording to the voice of a model, or of whatever model a voice brings along."""

    card = Card(verbs=("convert",), paper="https://arxiv.org/abs/2106.06103", origin="upstream weights")

    def __init__(self, config: Config, ears: Ears | None = None, *, device: str = "cpu") -> None:
        super().__init__(config)
        self.device = device
        self.nets = nn.ModuleDict()
        if config.content is not None:
            self.nets["content"] = content = Hubert(config.content)
            ears = Ears(content)
        if config.net is not None:
            self.nets["singer"] = Singer(config.net)
        self.ears = ears
        self.nets.eval().requires_grad_(False)
        folded(self.nets)
        self.nets.to(device)
        self._brought = Brought(lambda path: _singer(path).to(device))

    @classmethod
    def tiny(cls) -> Self:
        content = HubertConfig(
            channels=16, size=16, layers=1, heads=1, hidden=16, kernel=16, groups=2, units=8, labels=1
        )
        decoder = DecoderConfig(16_000, 16, (10, 4, 4), (20, 8, 8), (3,), ((1, 3),))
        net = NetConfig(
            words=16, bins=33, latent=8, hidden=16, filters=16, layers=1, voices=2, condition=8, decoder=decoder
        )
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return cls(Config(net, content))

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu", content: Path | str | None = None) -> Self:
        """Bring in a model: a shared voice, a training run's `G_*.pth`, a state alone, or our own safetensors.

        Args:
            weights: Path of the file; with `"default"` every voice brings its own.
            device: Where it runs.
            content: Folder or file of ContentVec in the layout of transformers; by default it is looked for in
                `mynah.features.contentvec.place()` when the first recording is to be heard.

        Raises:
            BadOption: No such file.
            BadCheckpoint: Damaged, hostile, or of another system.
            Offline: ContentVec was named and is not there.
        """
        ears = None if content is None else contentvec.load(content, device=device)
        if weights == "default":
            return cls(Config(), ears, device=device)
        path = locate(weights, cls.card.weights)
        singer = _singer(path)
        system = cls(Config(), ears, device=device)
        system.config = Config(singer.config)
        system.nets["singer"] = singer.to(device)
        return system

    @classmethod
    def remap(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weight norm under its old names, and without what only training needs."""
        return published.parted(state, "the state").singer

    @classmethod
    def recognises(cls, files: Files) -> bool:
        """Whether one of the files is a model of RVC."""
        return adopting.recognises(files)

    @classmethod
    def adopt(cls, files: Files, into: Path) -> Voice:
        """The voice that lies in the files, with its index for a bank.

        Raises:
            BadCheckpoint: Damaged, hostile, of an unknown layout, or several.
        """
        return adopting.adopt(files, into)

    @classmethod
    def course(
        cls, data: Path, folder: Path, *, teacher: str = "", hold_out: Sequence[str] = (), start: str = ""
    ) -> dict[str, Callable[[], Recipe]]:
        """The one stage of training, on from `start` or from nothing, see `mynah.convert.rvc.recipe`.

        Raises:
            BadOption: A teacher, of whom there is none here, or more than two files to go on from.
            BadCheckpoint: What to go on from is missing, damaged, hostile, or cannot learn on.
        """
        from mynah.convert.rvc.recipe import course

        if teacher:
            raise BadOption("convert/rvc learns from no teacher: a pretrained pair to go on from is --start G,D")
        return course(data, folder, hold_out=hold_out, start=start)

    @classmethod
    def layouts(cls) -> Mapping[str, str]:
        """As what a model can be handed on."""
        return models.LAYOUTS

    @classmethod
    def owns(cls, model: Path) -> bool:
        """Whether a file is a model of this system, in any layout that it can be loaded from."""
        return models.owns(model)

    @classmethod
    def export(cls, model: Path, out: Path) -> Path:
        """See `mynah.convert.rvc.share.export`."""
        return models.export(model, out)

    @classmethod
    def merge(cls, first: Path, second: Path, out: Path, share: float) -> Path:
        """See `mynah.convert.rvc.share.merge`."""
        return models.merge(first, second, out, share)

    @torch.inference_mode()
    def convert(
        self, source: Audio, voice: Voice, options: RvcOptions | None = None, *, melody: Contour | None = None
    ) -> Audio:
        """Sing `source` with `voice`.

        Args:
            source: Any rate; several channels are averaged.
            voice: One that brings a model, where this system was loaded without; with a bank, where there is an index.
            options: Knobs.
            melody: Pitch of the source, where a hand has corrected it; tracked when not given, and not heard at all by
                a model that is told none.

        Returns:
            One channel, at the rate and with the number of samples of the source.

        Raises:
            BadAudio: The recording is empty or holds something that is not a number.
            BadVoice: The voice brings no model, or a bank of another version.
            BadOption: The model has no voice of that number.
            BadCheckpoint: The voice's model is damaged, hostile, or of another system.
            Offline: ContentVec is not on this machine.
        """
        melody = self._melody(voice, melody, [as_one(source)], source.rate)
        return whole(self._sung(voice, options, source.rate, SONG, melody), source)

    @torch.inference_mode()
    def convert_file(
        self,
        source: Path,
        voice: Voice,
        options: RvcOptions | None,
        out: Path,
        *,
        rate: int | None = None,
        bits: int | None = None,
        melody: Contour | None = None,
        progress: Progress = lambda fraction: None,
    ) -> Contour | None:
        """As `convert`, from file to file with flat memory: hours are no harder than seconds.

        Args:
            rate: Of the result in Hz; by default that of the source, but at least the model's.
            bits: Of the result, where its format leaves a choice.
            progress: Told the fraction that is done.

        Returns:
            The melody that was sung from, before it was transposed; None for a model that is told none.
        """
        info = probe(source)
        rate = rate or max(info.rate, self._singer_of(voice).config.decoder.rate)
        melody = self._melody(voice, melody, stream(source, mono=True), info.rate)
        sung = self._sung(voice, options, info.rate, SONG, melody, rate)
        through(sung, stream(source, mono=True), out, rate, seconds=info.seconds, bits=bits, progress=progress)
        return melody

    def stream(self, voice: Voice, options: RvcOptions | None = None, *, rate: int) -> Sung:
        """Sing while the sound still comes in; see `mynah.core.verbs.Streams`.

        Octaves of the melody are judged by 0.8 s of it, and loudness is followed half a second behind where `envelope`
        is not 0. What would clip is left as it is.

        Raises:
            BadOption: `transpose` is to be found out, for which the whole song would have to be heard first; else as
                for `convert`, as are the other errors.
        """
        return self._sung(voice, options, rate, LIVE, None)

    def _melody(self, voice: Voice, melody: Contour | None, blocks: Iterable[Audio], rate: int) -> Contour | None:
        """Of the whole recording, for a model that is told one."""
        if melody is not None or not self._singer_of(voice).config.pitched:
            return melody
        way = Chain(Resampled(rate, RATE), without_rumble(SONG))
        heard = over(way, (block.samples[0] for block in blocks))
        return contour_of(Audio(piece[None], RATE) for piece in heard)

    def _sung(
        self,
        voice: Voice,
        options: RvcOptions | None,
        rate: int,
        pace: Pace,
        melody: Contour | None,
        out_rate: int | None = None,
    ) -> Sung:
        """All the way from the source to the result; without a melody it is heard on the way."""
        options = options or RvcOptions()
        singer = self._singer_of(voice)
        config, bank = singer.config, self._bank(voice, singer, options)
        if options.speaker >= config.voices:
            raise BadOption(f"there is no speaker {options.speaker}: the model has {config.voices}, from 0 on")
        if self.ears is None:
            self.ears = contentvec.load(device=self.device)
        # Two frames of 10 ms lie side by side in each of content.
        rows: list[Stage] = [self.ears.listening(pace, projected=config.version == "v1")]
        semitones, wait = 0.0, pace.heard.wait
        if config.pitched and melody is not None:
            count = 2 * -(-math.ceil(len(melody.values) * melody.hop_seconds * FRAMES_PER_SECOND) // 2)
            heard = contour_at(melody, count, 1 / FRAMES_PER_SECOND)
            semitones = moved_by(options.transpose, heard, voice.range_hz)
            rows.append(Known(paired(heard.nan_to_num(0.0)), HOP))
        elif config.pitched:
            semitones = moved_by(options.transpose, None, voice.range_hz)
            rows.append(Chain(tracked(), Each(paired)))
            wait = max(wait, LIVE_WAIT_SECONDS)
        if options.envelope:
            loud = Span(pace.stretch)
            rows.append(loud.over(lambda wave: paired(powers(wave, HOP // 2)), RATE, each=HOP, ratio=Fraction(1, HOP)))

        def known(frames: Tensor) -> Tensor:
            words, rest = frames[: config.words], frames[config.words :]
            if bank is not None:
                share = protected(options.retrieval, flat(rest[:2]) if config.pitched else None, options.protect)
                words = drawn(words.T, bank, share, NEIGHBOURS).T
            parts = [words.repeat_interleave(2, -1), *(flat(pair)[None] for pair in rest.split(2))]
            if config.pitched:
                parts[1] = parts[1] * 2 ** (semitones / 12)
            return torch.cat(parts)

        vector = singer.emb_g.weight[options.speaker]
        stages: list[Stage] = [Resampled(rate, RATE), without_rumble(pace), Beside(*rows), Each(known)]
        stages.append(singing(singer, vector, options.seed, options.spread, pace, getattr(torch, options.precision)))
        latency = lag(rate, RATE) + pace.stretch + pace.margin + wait
        latency += pace.singing(singer.dec.reach(), FRAMES_PER_SECOND)
        if options.envelope:
            around, hop, second = near(FRAMES_PER_SECOND), config.decoder.hop, FRAMES_PER_SECOND

            def even(frames: Tensor) -> Tensor:
                return levelled(frames[:hop], frames[hop], options.envelope, around)

            stages.append(Chunks(even, round(pace.stretch * second), left=around + 1, right=around + 1))
            latency += pace.stretch + (around + 2) / second
        return Sung(Chain(*stages, Each(flat)), rate, config.decoder.rate, latency, out_rate)

    def _bank(self, voice: Voice, singer: Singer, options: RvcOptions) -> Tensor | None:
        bank = voice.bank if options.retrieval else None
        if bank is not None and bank.shape[1:] != (singer.config.words,):
            raise BadVoice(
                f"the bank of the voice {voice.name!r} holds frames of {list(bank.shape[1:])}, and its model hears "
                f"{singer.config.words}: the index belongs to another version of the model"
            )
        return None if bank is None or not len(bank) else bank.float()

    def _singer_of(self, voice: Voice) -> Singer:
        if voice.weights is None:
            if "singer" not in self.nets:
                raise BadVoice(
                    f"the voice {voice.name!r} brings no model of RVC: choose one that was imported from one"
                )
            own = self.nets["singer"]
            assert isinstance(own, Singer)
            return own
        return self._brought.by(voice.weights)


def _singer(path: Path) -> Singer:
    """Of a file, folded and ready."""
    given = published.read(path)
    singer = filled(lambda: Singer(given.config), given.singer, str(path))
    return folded(singer.eval().requires_grad_(False))


def without_rumble(pace: Pace) -> Chunks:
    """16 kHz sound `[time]` as the original hears it; what rings on at 48 Hz is gone after half a second."""
    sections = butter(5, LOWEST_HZ, "highpass", fs=RATE, output="sos")

    def clean(wave: Tensor) -> Tensor:
        around = min(len(wave) - 1, RATE // 4)
        return torch.from_numpy(sosfiltfilt(sections, wave.double().numpy(), padlen=around).copy()).float()

    return Span(pace.stretch, pace.margin, pace.margin).over(clean, RATE, each=HOP)
