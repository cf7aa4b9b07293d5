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
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple, Self

import torch
from pydantic import Field
from torch import Tensor

from mynah.audio.chunks import Chunks
from mynah.catalog.checkpoint import filled
from mynah.catalog.weights import locate
from mynah.convert.so_vits_svc import adopting, published, share, sizes
from mynah.convert.so_vits_svc.hear import Stretched, levels
from mynah.convert.so_vits_svc.net import Singer
from mynah.convert.so_vits_svc.rendering import frames_per_second, guessing, singing
from mynah.convert.so_vits_svc.sizes import NetConfig
from mynah.core.errors import BadOption
from mynah.core.system import Card
from mynah.core.types import Contour, Voice
from mynah.core.verbs import Options
from mynah.features import contentvec
from mynah.features.contentvec import PROJECTED, Ears
from mynah.features.grid import Lasting, OnGrid, contour_at, glided
from mynah.features.hubert import HOP, RATE, HubertConfig
from mynah.features.loudness import SOUNDING_SECONDS, levelled, near
from mynah.features.melody import moved_by
from mynah.features.pitch import LIVE_WAIT_SECONDS, tracked
from mynah.features.retrieval import drawn
from mynah.features.singing import (
    NEIGHBOURS,
    ContentSinger,
    Envelope,
    Giving,
    Precision,
    Protect,
    Seed,
    Silence,
    Spread,
    Taking,
    Transpose,
    bank_of,
    counted,
)
from mynah.nets.brought import Brought
from mynah.nets.normed import folded
from mynah.nets.streams import (
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
)

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

    transpose: Transpose = "auto"
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
    protect: Protect = 0.67
    envelope: Envelope = 0.0
    silence_db: Silence = -60.0
    spread: Spread = SPREAD
    precision: Precision = "auto"
    seed: Seed = 0


class _Model(NamedTuple):
    """The model of a voice, and what its voices are called."""

    singer: Singer
    speakers: dict[str, int]


class SoVitsSvc(ContentSinger[Config, SoVitsSvcOptions]):
    """Converts a recording to a voice of a model, or of whatever model a voice brings along; which of its voices sings,
    the option `speaker` says."""

    card = Card(verbs=("convert",), paper="https://arxiv.org/abs/2106.06103", origin="upstream weights")
    taking: ClassVar[Taking] = adopting
    giving: ClassVar[Giving] = share

    def __init__(
        self, config: Config, ears: Ears | None = None, singer: Singer | None = None, *, device: str = "cpu"
    ) -> None:
        if singer is None and config.net is not None:
            singer = Singer(config.net)
        super().__init__(config, config.content, singer, ears, device)
        own = None if singer is None else _Model(singer, config.speakers)
        self._models = Brought(lambda path: _model(path, device), own, "so-vits-svc")

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
        return cls(Config(given.singer.config, speakers=given.speakers), ears, given.singer, device=device)

    @classmethod
    def cast(cls, weights: Path) -> list[str]:
        """See `mynah.core.verbs.Casts`."""
        return adopting.cast(weights)

    @classmethod
    def alone(cls, weights: Path, speaker: str, into: Path) -> Voice:
        """See `mynah.core.verbs.Casts`."""
        return adopting.alone(weights, speaker, into)

    def stream(self, voice: Voice, options: SoVitsSvcOptions | None = None, *, rate: int) -> Sung:
        """Sing while the sound still comes in; see `mynah.core.verbs.Streams`.

        As with any singer; but a note lasts through the pause behind it.

        Raises:
            BadOption: A melody is to be made up, as it is by far more than a stream keeps.
        """
        if options is not None and options.guess:
            raise BadOption("guess: a melody is made up from a whole sentence, for which a stream cannot wait")
        return super().stream(voice, options, rate=rate)

    def _rate(self, voice: Voice) -> int:
        return self._models.of(voice).singer.config.decoder.rate

    def _sung(
        self,
        voice: Voice,
        options: SoVitsSvcOptions | None,
        rate: int,
        pace: Pace,
        melody: Contour | None,
        out_rate: int | None = None,
    ) -> Sung:
        options = options or SoVitsSvcOptions()
        singer, speakers = self._models.of(voice)
        config, hop, own_rate = singer.config, singer.config.decoder.hop, singer.config.decoder.rate
        second, size = frames_per_second(config), config.words
        vector = singer.emb_g.weight[_place(options.speaker, speakers, config.voices)]
        if options.guess and not config.guesses:
            raise BadOption("this model cannot make up a melody, because it never learnt to: leave guess away")
        bank = bank_of(voice, size) if options.retrieval else None
        precision = counted(options.precision, self.device)
        words = self.hearing().listening(pace, projected=size == PROJECTED, precision=precision)
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
                drawing = options.retrieval * (1 - options.protect * (1 - voiced[:, None]))
                heard = drawn(heard.T, bank, drawing, NEIGHBOURS).T
            hz = hz * 2 ** (semitones / 12)
            return torch.cat([heard, torch.stack([hz, voiced]), level if config.loud else level[1:]])

        # The sound itself comes first, because it says how many frames there are.
        rows = Beside(loud, tune, Chain(Resampled(rate, RATE), words, stretched))
        stages: list[Stage] = [rows, Each(known)]
        if options.guess:
            stages.append(guessing(singer, vector, pace))
        stages.append(singing(singer, vector, options.seed, options.spread, pace, precision))
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
