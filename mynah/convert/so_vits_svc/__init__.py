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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mynah.audio.mixing import as_one
from mynah.audio.resample import resample
from mynah.catalog.checkpoint import load_strict
from mynah.catalog.weights import locate
from mynah.convert.so_vits_svc import adopting, published, sizes
from mynah.convert.so_vits_svc import share as models
from mynah.convert.so_vits_svc.hear import stretched, volume
from mynah.convert.so_vits_svc.net import Singer
from mynah.convert.so_vits_svc.rendering import Score, guessed, render
from mynah.convert.so_vits_svc.sizes import NetConfig
from mynah.core.errors import BadOption, BadVoice
from mynah.core.system import Card, System
from mynah.core.types import Audio, Contour, Voice
from mynah.core.verbs import Files, Options
from mynah.features import contentvec
from mynah.features.contentvec import PROJECTED, Ears
from mynah.features.grid import contour_at, glided
from mynah.features.hubert import HOP, RATE, Hubert, HubertConfig
from mynah.features.loudness import levelled, sounding
from mynah.features.melody import semitones_to_fit
from mynah.features.pitch import pitch as track
from mynah.features.retrieval import drawn
from mynah.nets.brought import Brought
from mynah.nets.normed import folded

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
        options = options or SoVitsSvcOptions()
        mono, length = as_one(source), source.samples.shape[-1]
        singer, speakers = self._model_of(voice)
        vector = singer.emb_g.weight[_place(options.speaker, speakers, singer.config.voices)]
        if options.guess and not singer.config.guesses:
            raise BadOption("this model cannot make up a melody, because it never learnt to: leave guess away")
        rate, hop = singer.config.decoder.rate, singer.config.decoder.hop
        heard, own = (resample(mono, hz).samples[0] for hz in (RATE, rate))
        frames = max(1, -(-len(own) // hop))

        hz = contour_at(melody or track(mono), frames, hop / rate)
        voiced = hz.isfinite().float()
        semitones = semitones_to_fit(hz, voice.range_hz) if options.transpose == "auto" else options.transpose
        loud = volume(own, hop, frames) if singer.config.loud else None
        score = Score(glided(hz * 2 ** (semitones / 12)), voiced, loud)
        words = self._words(heard, voiced, singer, voice, options)
        if options.guess:
            held = list(words)  # because it is read twice
            score, words = guessed(singer, held, score, vector), iter(held)
        sung = torch.cat(list(render(singer, words, score, vector, options.seed, options.spread)))
        own = F.pad(own, (0, frames * hop - len(own)))
        sung = levelled(sung, rate, own, rate, options.envelope)
        sung = sung * sounding(own, rate, hop, frames, options.silence_db).repeat_interleave(hop)
        result = resample(Audio(sung[None], rate), source.rate).samples[:, :length]
        result = F.pad(result, (0, length - result.shape[-1]))
        return Audio(result / result.abs().max().clamp(min=1.0), source.rate)

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

    def _words(
        self, wave: Tensor, voiced: Tensor, singer: Singer, voice: Voice, options: SoVitsSvcOptions
    ) -> Iterator[Tensor]:
        """Content at the decoder's frames, drawn toward the target's own."""
        if self.ears is None:
            self.ears = contentvec.load(device=self.device)
        config = singer.config
        bank = voice.bank if options.retrieval else None
        if bank is not None and bank.shape[1:] != (config.words,):
            raise BadVoice(
                f"the bank of the voice {voice.name!r} holds frames of {list(bank.shape[1:])}, and its model hears "
                f"{config.words}: it belongs to another model"
            )
        share = options.retrieval * (1 - options.protect * (1 - voiced[:, None]))
        step = Fraction(config.decoder.hop * RATE, config.decoder.rate * HOP)
        pieces = self.ears.frames([wave], projected=config.words == PROJECTED)
        done = 0
        for piece in stretched(pieces, step, len(voiced), even=config.even):
            count = piece.shape[-1]
            if bank is not None and len(bank):
                piece = drawn(piece.T, bank.float(), share[done : done + count], NEIGHBOURS).T
            done += count
            yield piece


def _model(path: Path, device: str) -> _Model:
    """Of a file, folded and ready."""
    given = published.read(path)
    singer = Singer(given.config)
    load_strict(singer, given.singer, str(path))
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
