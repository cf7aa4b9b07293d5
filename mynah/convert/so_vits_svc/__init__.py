"""So-vits-svc 4.0 and 4.1: singing voices that communities trained, at 44.1 kHz, several to a model.

What ContentVec hears is drawn toward what the target itself once said; a prior tells what is to be expected of it and
of the melody, a flow puts the voice on, and a decoder led by nine sines makes it sound.
No paper of its own; VITS (Kim, Kong, Son, arXiv 2106.06103), Soft-VC (arXiv 2111.02392), ContentVec (arXiv 2204.09224),
NSF (arXiv 1904.12088), HiFi-GAN (arXiv 2010.05646). Reference: svc-develop-team/so-vits-svc, AGPL-3.0, of which no line
was read or taken: this is written from what is known about its files. What differs: songs are not cut; gaps of the
melody are bridged in octaves; retrieval finds the nearest frames exactly; nothing is random but by a seed; the result
is as long as the source. Left out: diffusion, and nets that are rarely trained (they are refused by name).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from mynah.audio.chunks import Chunks
from mynah.audio.files import probe, stream
from mynah.audio.mixing import as_one
from mynah.catalog.checkpoint import filled
from mynah.catalog.weights import locate
from mynah.convert.so_vits_svc import adopting, published, sizes
from mynah.convert.so_vits_svc import share as models
from mynah.convert.so_vits_svc.hear import Stretched, levels
from mynah.convert.so_vits_svc.net import Singer
from mynah.convert.so_vits_svc.rendering import frames_per_second, guessing, singing
from mynah.convert.so_vits_svc.sizes import NetConfig
from mynah.core.errors import BadOption, BadVoice
from mynah.core.system import Card, System
from mynah.core.types import Audio, Contour, Voice
from mynah.core.verbs import Files, Options
from mynah.features import contentvec
from mynah.features.contentvec import PROJECTED, Ears
from mynah.features.grid import Lasting, OnGrid, contour_at, glided
from mynah.features.hubert import HOP, RATE, Hubert, HubertConfig
from mynah.features.loudness import SOUNDING_SECONDS, levelled, near
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
    Stage,
    Sung,
    flat,
    lag,
    through,
    whole,
)

Progress = Callable[[float], None]

NEIGHBOURS = 8  # frames of the target that retrieval averages, as in the original
SPREAD = 0.4  # share of the prior's variety that the original sings with


@dataclass(frozen=True)
class Config:
    """What a model is made of.

    Attributes:
        net: Sizes of the net; None where every voice brings its own.
        content: Of a HuBERT that belongs to the model; None for the published ContentVec.
        speakers: Place in the table of voices, by name.
    """

    net: NetConfig | None = None
    content: HubertConfig | None = None
    speakers: dict[str, int] = field(default_factory=dict)


class SoVitsSvcOptions(Options):
    """What a listener may change."""

    transpose: Annotated[
        Literal["auto"] | Annotated[float, Field(ge=-36, le=36)],
        Field(
            description="move the melody by this much; auto moves it by octaves into the target's own range",
            json_schema_extra={"unit": "semitones"},
        ),
    ] = "auto"
    speaker: Annotated[
        str, Field(max_length=200, description="which of the model's voices, by name or number; the first by default")
    ] = ""
    guess: Annotated[
        bool, Field(description="let the model make up the melody from what is said: for speech, not for songs")
    ] = False
    retrieval: Annotated[
        float,
        Field(ge=0, le=1, description="pull the words toward how the target said such sounds, where known"),
    ] = 0.5
    protect: Annotated[
        float, Field(ge=0, le=1, description="keep retrieval away from breaths and voiceless consonants: 1 wholly")
    ] = 0.67
    envelope: Annotated[
        float, Field(ge=0, le=1, description="follow the loudness of the source: 1 wholly, 0 as the model sings")
    ] = 0.0
    silence_db: Annotated[
        float,
        Field(
            ge=-120,
            le=-20,
            description="mute where the source is quieter than this, because models fill silence with noise",
            json_schema_extra={"unit": "dB"},
        ),
    ] = -60.0
    spread: Annotated[
        float, Field(ge=0, le=1, description="how far the sound may stray from what is most to be expected")
    ] = SPREAD
    precision: Annotated[
        Literal["float32", "bfloat16"],
        Field(description="what the decoder counts in: bfloat16 takes two thirds of the time, with noise at -45 dB"),
    ] = "float32"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="of all that is random")] = 0


class _Model(NamedTuple):
    """The model of a voice, and what its voices are called."""

    singer: Singer
    speakers: dict[str, int]


class SoVitsSvc(System[Config]):
    """Converts a recording to a voice of a model, or of whatever model a voice brings along."""

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
        self._brought = Brought(lambda path: _model(path, device))

    @classmethod
    def tiny(cls) -> Self:
        content = HubertConfig(
            channels=16, size=16, layers=1, heads=1, hidden=16, kernel=16, groups=2, units=8, labels=1
        )
        decoder = sizes.decoder(16_000, 16, (8, 5, 4), (16, 9, 8), (3,), ((1, 3),))
        net = NetConfig(
            words=16, loud=True, bins=33, latent=8, hidden=16, filters=16, layers=1, voices=2, condition=8,
            decoder=decoder,
        )  # fmt: skip
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return cls(Config(net, content, {"ann": 0, "bo": 1}))

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu", content: Path | str | None = None) -> Self:
        """Bring in a model: a `G_*.pth` with `config.json` beside it, or our own safetensors.

        Args:
            weights: Path of the file; with `"default"` every voice brings its own.
            device: Where it runs.
            content: Folder or file of ContentVec in the layout of transformers; by default it is looked for in
                `mynah.features.contentvec.place()` when the first recording is to be heard.

        Raises:
            BadOption: No such file.
            BadCheckpoint: Damaged, hostile, of another system, of a kind that is not sung with here, or without its
                description.
            Offline: ContentVec was named and is not there.
        """
        ears = None if content is None else contentvec.load(content, device=device)
        if weights == "default":
            return cls(Config(), ears, device=device)
        given = _model(locate(weights, cls.card.weights), device)
        system = cls(Config(), ears, device=device)
        system.config = Config(given.singer.config, speakers=given.speakers)
        system.nets["singer"] = given.singer
        return system

    @classmethod
    def recognises(cls, files: Files) -> bool:
        """Whether one of the files is a model of so-vits-svc."""
        return adopting.recognises(files)

    @classmethod
    def adopt(cls, files: Files, into: Path) -> Voice:
        """The model that lies in the files; which of its voices sings, the option `speaker` says.

        Raises:
            BadCheckpoint: Damaged, hostile, of an unknown layout, without its description, or several.
        """
        return adopting.adopt(files, into)

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
        """See `mynah.convert.so_vits_svc.share.export`."""
        return models.export(model, out)

    @classmethod
    def merge(cls, first: Path, second: Path, out: Path, share: float) -> Path:
        """See `mynah.convert.so_vits_svc.share.merge`."""
        return models.merge(first, second, out, share)

    @torch.inference_mode()
    def convert(
        self,
        source: Audio,
        voice: Voice,
        options: SoVitsSvcOptions | None = None,
        *,
        melody: Contour | None = None,
    ) -> Audio:
        """Sing `source` with `voice`.

        Args:
            source: Any rate; several channels are averaged.
            voice: One that brings a model, where this system was loaded without.
            options: Knobs.
            melody: Pitch of the source, where a hand has corrected it; tracked when not given.

        Returns:
            One channel, at the rate and with the number of samples of the source.

        Raises:
            BadAudio: The recording is empty or holds something that is not a number.
            BadVoice: The voice brings no model, or a bank of another version.
            BadOption: The model has no such speaker, or cannot make up a melody.
            BadCheckpoint: The voice's model is damaged, hostile, or of another system.
            Offline: ContentVec is not on this machine.
        """
        melody = melody or contour_of([as_one(source)])
        return whole(self._sung(voice, options, source.rate, SONG, melody), source)

    @torch.inference_mode()
    def convert_file(
        self,
        source: Path,
        voice: Voice,
        options: SoVitsSvcOptions | None,
        out: Path,
        *,
        rate: int | None = None,
        bits: int | None = None,
        melody: Contour | None = None,
        progress: Progress = lambda fraction: None,
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
        rate = rate or max(info.rate, self._model_of(voice).singer.config.decoder.rate)
        melody = melody or contour_of(stream(source, mono=True))
        sung = self._sung(voice, options, info.rate, SONG, melody, rate)
        through(sung, stream(source, mono=True), out, rate, seconds=info.seconds, bits=bits, progress=progress)
        return melody

    def stream(self, voice: Voice, options: SoVitsSvcOptions | None = None, *, rate: int) -> Sung:
        """Sing while the sound still comes in; see `mynah.core.verbs.Streams`.

        Octaves of the melody are judged by 0.8 s of it, a note lasts through the pause behind it, and loudness is
        followed half a second behind where `envelope` is not 0. What would clip is left as it is.

        Raises:
            BadOption: `transpose` is to be found out, for which the whole song would have to be heard first; or a
                melody is to be made up, as it is by far more than a stream keeps; else as for `convert`, as are the
                other errors.
        """
        if options is not None and options.guess:
            raise BadOption("guess: a melody is made up from a whole sentence, for which a stream cannot wait")
        return self._sung(voice, options, rate, LIVE, None)

    def _sung(
        self,
        voice: Voice,
        options: SoVitsSvcOptions | None,
        rate: int,
        pace: Pace,
        melody: Contour | None,
        out_rate: int | None = None,
    ) -> Sung:
        """All the way from the source to the result; without a melody it is heard on the way."""
        options = options or SoVitsSvcOptions()
        singer, speakers = self._model_of(voice)
        config, hop, own_rate = singer.config, singer.config.decoder.hop, singer.config.decoder.rate
        second, size = frames_per_second(config), config.words
        vector = singer.emb_g.weight[_place(options.speaker, speakers, config.voices)]
        if options.guess and not config.guesses:
            raise BadOption("this model cannot make up a melody, because it never learnt to: leave guess away")
        bank = self._bank(voice, config, options)
        if self.ears is None:
            self.ears = contentvec.load(device=self.device)
        words = self.ears.listening(pace, projected=size == PROJECTED)
        stretched = Stretched(Fraction(RATE, HOP) / second, even=config.even)
        wait = lag(rate, RATE) + pace.heard.wait + 2 * HOP / RATE
        tune: Stage
        if melody is None:
            semitones = moved_by(options.transpose, None, voice.range_hz)
            grid = OnGrid(Fraction(1, 100), 1 / second)
            tune = Chain(Resampled(rate, RATE), tracked(), grid, Lasting())
            wait = max(wait, lag(rate, RATE) + LIVE_WAIT_SECONDS + 0.02)
        else:
            hz = contour_at(melody, math.ceil(len(melody.values) * melody.hop_seconds * second), float(1 / second))
            semitones = moved_by(options.transpose, hz, voice.range_hz)
            tune = Known(torch.stack([glided(hz), hz.isfinite().float()]), rate / second)
        loud = Chain(Resampled(rate, own_rate), levels(own_rate, hop, options.silence_db, pace))
        wait = max(wait, lag(rate, own_rate) + pace.stretch + 2 * SOUNDING_SECONDS)

        def known(rows: Tensor) -> Tensor:
            """From three rows of levels, two of the melody and content to what `singing` takes."""
            level, (hz, voiced), heard = rows[:3], rows[3:5], rows[5:]
            if bank is not None:
                share = options.retrieval * (1 - options.protect * (1 - voiced[:, None]))
                heard = drawn(heard.T, bank, share, NEIGHBOURS).T
            hz = hz * 2 ** (semitones / 12)
            return torch.cat([heard, torch.stack([hz, voiced]), level if config.loud else level[1:]])

        # The sound itself comes first, because it says how many frames there are.
        rows = Beside(loud, tune, Chain(Resampled(rate, RATE), words, stretched))
        stages: list[Stage] = [rows, Each(known)]
        if options.guess:
            stages.append(guessing(singer, vector, pace))
        stages.append(singing(singer, vector, options.seed, options.spread, pace, getattr(torch, options.precision)))
        latency = wait + pace.singing(singer.dec.reach(), second)
        if options.envelope:
            around = near(float(second))

            def even(frames: Tensor) -> Tensor:
                evened = levelled(frames[:hop], frames[hop], options.envelope, around)
                return torch.cat([evened, frames[hop:]])

            stages.append(Chunks(even, round(pace.stretch * second), left=around + 1, right=around + 1))
            latency += pace.stretch + (around + 3) / float(second)
        stages.append(Each(lambda frames: flat(frames[:hop] * frames[-1])))
        return Sung(Chain(*stages), rate, own_rate, latency, out_rate)

    def _model_of(self, voice: Voice) -> _Model:
        if voice.weights is None:
            if "singer" not in self.nets:
                raise BadVoice(
                    f"the voice {voice.name!r} brings no model of so-vits-svc: choose one that was imported from one"
                )
            own = self.nets["singer"]
            assert isinstance(own, Singer)
            return _Model(own, self.config.speakers)
        return self._brought.by(voice.weights)

    @staticmethod
    def _bank(voice: Voice, config: NetConfig, options: SoVitsSvcOptions) -> Tensor | None:
        bank = voice.bank if options.retrieval else None
        if bank is not None and bank.shape[1:] != (config.words,):
            raise BadVoice(
                f"the bank of the voice {voice.name!r} holds frames of {list(bank.shape[1:])}, and its model hears "
                f"{config.words}: it belongs to another model"
            )
        return None if bank is None or not len(bank) else bank.float()


def _model(path: Path, device: str) -> _Model:
    """Of a file, folded and ready."""
    given = published.read(path)
    singer = filled(lambda: Singer(given.config), given.singer, str(path))
    return _Model(folded(singer.eval().requires_grad_(False)).to(device), given.speakers)


def _place(wanted: str, speakers: dict[str, int], voices: int) -> int:
    """Of a speaker in the table.

    Example:

        >>> _place("bo", {"ann": 0, "bo": 3}, 200), _place("", {"ann": 0, "bo": 3}, 200), _place("7", {}, 200)
        (3, 0, 7)
    """
    if wanted in speakers:
        return speakers[wanted]
    if not wanted:
        return min(speakers.values(), default=0)
    if wanted.isdecimal() and int(wanted) < voices:
        return int(wanted)
    raise BadOption(f"there is no speaker {wanted!r}: the model has {', '.join(speakers) or f'{voices}, from 0 on'}")
