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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, ClassVar, Self

import torch
from pydantic import Field
from scipy.signal import butter, sosfiltfilt
from torch import Tensor

from mynah.audio.chunks import Chunks
from mynah.catalog.checkpoint import filled
from mynah.catalog.weights import locate
from mynah.convert.rvc import adopting, published, share
from mynah.convert.rvc.net import SPREAD, Singer
from mynah.convert.rvc.rendering import protected, singing, waits
from mynah.convert.rvc.sizes import FRAMES_PER_SECOND, DecoderConfig, NetConfig
from mynah.core.errors import BadOption
from mynah.core.recipe import Recipe
from mynah.core.system import Card
from mynah.core.types import Audio, Contour, Voice
from mynah.core.verbs import Options
from mynah.features import contentvec
from mynah.features.contentvec import Ears
from mynah.features.grid import contour_at
from mynah.features.hubert import HOP, RATE, HubertConfig
from mynah.features.loudness import levelled, near, powers
from mynah.features.melody import moved_by
from mynah.features.pitch import LIVE_WAIT_SECONDS, contour_of, tracked
from mynah.features.retrieval import drawn
from mynah.features.singing import (
    NEIGHBOURS,
    ContentSinger,
    Envelope,
    Giving,
    Precision,
    Protect,
    Seed,
    Spread,
    Taking,
    Transpose,
    bank_of,
    counted,
)
from mynah.nets.brought import Brought
from mynah.nets.normed import folded
from mynah.nets.streams import (
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
)  # fmt: skip

NAME = "convert/rvc"
LOWEST_HZ = 48  # what is below is rumble, and the original takes it off


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

    transpose: Transpose = "auto"
    retrieval: Annotated[
        float,
        Field(
            ge=0, le=1, description="pull the words toward how the target said such sounds, where its index came along"
        ),
    ] = 0.75
    protect: Protect = 0.67
    envelope: Envelope = 0.75
    speaker: Annotated[int, Field(ge=0, le=9999, description="which of the model's voices; nearly all have only 0")] = 0
    spread: Spread = SPREAD
    precision: Precision = "auto"
    seed: Seed = 0


class Rvc(ContentSinger[Config, RvcOptions]):
    """Converts a recording to the voice of a model, or of whatever model a voice brings along; with a bank, where there
    is an index. A melody is not heard at all by a model that is told none."""

    card = Card(verbs=("convert",), paper="https://arxiv.org/abs/2106.06103", origin="upstream weights")
    taking: ClassVar[Taking] = adopting
    giving: ClassVar[Giving] = share

    def __init__(
        self, config: Config, ears: Ears | None = None, singer: Singer | None = None, *, device: str = "cpu"
    ) -> None:
        if singer is None and config.net is not None:
            singer = Singer(config.net)
        super().__init__(config, config.content, singer, ears, device)
        self._models = Brought(lambda path: _singer(path).to(device), singer, "RVC")

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
        singer = _singer(locate(weights, cls.card.weights))
        return cls(Config(singer.config), ears, singer, device=device)

    @classmethod
    def remap(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weight norm under its old names, and without what only training needs."""
        return published.parted(state, "the state").singer

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

    def _rate(self, voice: Voice) -> int:
        return self._models.of(voice).config.decoder.rate

    def _melody(self, voice: Voice, blocks: Iterable[Audio], rate: int) -> Contour | None:
        if not self._models.of(voice).config.pitched:
            return None
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
        options = options or RvcOptions()
        singer = self._models.of(voice)
        config, bank = singer.config, bank_of(voice, singer.config.words) if options.retrieval else None
        if options.speaker >= config.voices:
            raise BadOption(f"there is no speaker {options.speaker}: the model has {config.voices}, from 0 on")
        # Two frames of 10 ms lie side by side in each of content.
        precision = counted(options.precision, self.device)
        rows: list[Stage] = [self.hearing().listening(pace, projected=config.version == "v1", precision=precision)]
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
                drawing = protected(options.retrieval, flat(rest[:2]) if config.pitched else None, options.protect)
                words = drawn(words.T, bank, drawing, NEIGHBOURS).T
            parts = [words.repeat_interleave(2, -1), *(flat(pair)[None] for pair in rest.split(2))]
            if config.pitched:
                parts[1] = parts[1] * 2 ** (semitones / 12)
            return torch.cat(parts)

        vector = singer.emb_g.weight[options.speaker]
        stages: list[Stage] = [Resampled(rate, RATE), without_rumble(pace), Beside(*rows), Each(known)]
        stages.append(singing(singer, vector, options.seed, options.spread, pace, precision))
        latency = lag(rate, RATE) + pace.stretch + pace.margin + wait
        latency += waits(singer, pace)
        if options.envelope:
            around, hop, second = near(FRAMES_PER_SECOND), config.decoder.hop, FRAMES_PER_SECOND

            def even(frames: Tensor) -> Tensor:
                return levelled(frames[:hop], frames[hop], options.envelope, around)

            stages.append(Chunks(even, round(pace.stretch * second), left=around + 1, right=around + 1))
            latency += pace.stretch + (around + 2) / second
        return Sung(Chain(*stages, Each(flat)), rate, config.decoder.rate, latency, out_rate)


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
