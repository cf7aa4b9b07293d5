"""Effects that seat a converted vocal in the song: cleaned, evened out, and in the room that the first singer had."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from mynah.audio.decay import reverb_in, wet_level
from mynah.audio.deesser import DeEsser
from mynah.audio.files import probe, stream
from mynah.audio.mixing import match_channels
from mynah.audio.reverb import Convolver, ReverbMatch, response
from mynah.core.errors import MissingExtra
from mynah.core.types import Audio
from mynah.core.verbs import Options

__all__ = ["ReverbMatch", "VocalEffects", "polish", "reverb_of"]

_PLATE_SECONDS = 1.5  # of a reverb that is asked for by its amount
_PRESENCE_HZ, _AIR_HZ = 3500.0, 10_000.0
_BLOCK = 8192  # samples that pedalboard works on at once
_CUT = 2  # first-order filters in a row
_ATTACK_MS, _RELEASE_MS = 8.0, 120.0  # slow enough to let consonants through, fast enough to be done by the next word


def _unit(name: str) -> dict[str, str]:
    return {"unit": name}


class VocalEffects(Options):
    """The chain, in this order: high-pass, de-esser, compressor, equaliser, reverb."""

    high_pass_hz: Annotated[
        float,
        Field(
            ge=0,
            le=400,
            description="take away what lies below this from the vocal; 0 leaves all",
            json_schema_extra=_unit("Hz"),
        ),
    ] = 80.0
    de_ess_db: Annotated[
        float,
        Field(
            ge=0,
            le=24,
            description="soften the hiss of s and sh by at most this much",
            json_schema_extra=_unit("dB"),
        ),
    ] = 6.0
    compress_ratio: Annotated[
        float,
        Field(
            ge=1,
            le=20,
            description="above the threshold, so many decibels become one; 1 leaves loud and soft as they are",
            json_schema_extra=_unit("dB per dB"),
        ),
    ] = 2.5
    compress_above_db: Annotated[
        float,
        Field(ge=-60, le=0, description="threshold of the compressor, below full scale", json_schema_extra=_unit("dB")),
    ] = -20.0
    presence_db: Annotated[
        float,
        Field(
            ge=-12,
            le=12,
            description="raise what makes words clear, around 3.5 kHz",
            json_schema_extra=_unit("dB"),
        ),
    ] = 1.0
    air_db: Annotated[
        float,
        Field(ge=-12, le=12, description="raise what lies above 10 kHz", json_schema_extra=_unit("dB")),
    ] = 1.0
    reverb: Annotated[
        Literal["match"] | Annotated[float, Field(ge=0, le=1)],
        Field(
            description="match the reverb of the original vocal; or so much of a plate of 1.5 s: 0 is none, 0.2 usual, "
            "1 as loud as the voice"
        ),
    ] = "match"


def installed() -> Any:
    """The pedalboard library, asked for before the work and not in the middle of it.

    Raises:
        MissingExtra: pedalboard (GPL-3.0), which filters and compresses, is not installed.
    """
    try:
        import pedalboard
    except ImportError as error:
        raise MissingExtra("pedalboard", "cover") from error
    return pedalboard


def polish(vocal: Iterator[Audio], effects: VocalEffects, match: ReverbMatch | None) -> Iterator[Audio]:
    """A vocal with its effects, block by block: as long as it was, and the same however it is cut.

    Args:
        vocal: Blocks of one rate, of one or two channels.
        effects: Which, and how much.
        match: The reverb that `effects.reverb` may ask to be matched; `None` for none.

    Returns:
        Blocks of as many channels as the vocal, or of two where the reverb is wider than a mono vocal. What would sound
        after the last sample is cut.

    Raises:
        MissingExtra: pedalboard (GPL-3.0), which filters and compresses, is not installed.
    """
    board: Callable[[Tensor], Tensor] | None = None
    room: Convolver | None = None
    reverb = _reverb(effects, match)
    channels = 0
    for block in vocal:
        if board is None:
            answer = response(reverb, block.rate) if reverb else None
            room = Convolver(answer) if answer is not None else None
            channels = max(block.samples.shape[0], 1 if answer is None else answer.shape[0])
            board = _board(effects, block.rate, block.samples.shape[0])
        dry = board(block.samples)
        placed = match_channels(Audio(dry, block.rate), channels).samples
        yield Audio(placed + room.push(dry) if room else placed, block.rate)


def reverb_of(lead: Path, dry: Path | None = None) -> ReverbMatch:
    """The reverb that a vocal was recorded or mixed with; one that is not `audible` where it is dry, or cannot be told.

    Args:
        lead: The vocal.
        dry: The same without its reverb, where it is known: it tells how loud the reverb is. How long and how wide it
            is comes from `lead` alone; see `mynah.audio.decay.reverb_in`.

    Raises:
        BadAudio: A file cannot be read.
    """
    heard = reverb_in(stream(lead)) or ReverbMatch(0.0, -math.inf, 0.0)
    if dry is None or not heard.audible:
        return heard
    level = wet_level(stream(lead), stream(dry, rate=probe(lead).rate))
    return replace(heard, wet_db=level)


def _reverb(effects: VocalEffects, match: ReverbMatch | None) -> ReverbMatch | None:
    if effects.reverb == "match":
        return match if match and match.audible else None
    return ReverbMatch(_PLATE_SECONDS, 20 * math.log10(effects.reverb)) if effects.reverb else None


def _board(effects: VocalEffects, rate: int, channels: int) -> Callable[[Tensor], Tensor]:
    """What cleans and evens out, for pieces that follow each other."""
    deesser = DeEsser(rate, effects.de_ess_db)
    nyquist = 0.45 * rate
    before: list[Any] = []
    after: list[Any] = []
    pedalboard = installed()
    if effects.high_pass_hz:
        # Each takes 6 dB per octave, so that together they take 12.
        before += [pedalboard.HighpassFilter(effects.high_pass_hz) for _ in range(_CUT)]
    if effects.compress_ratio > 1:
        after.append(pedalboard.Compressor(effects.compress_above_db, effects.compress_ratio, _ATTACK_MS, _RELEASE_MS))
    if effects.presence_db and nyquist > _PRESENCE_HZ:
        after.append(pedalboard.PeakFilter(_PRESENCE_HZ, effects.presence_db, 0.7))
    if effects.air_db and nyquist > _AIR_HZ:
        after.append(pedalboard.HighShelfFilter(_AIR_HZ, effects.air_db, 0.7))
    first, second = (pedalboard.Pedalboard(chain) for chain in (before, after))

    for board in (first, second):
        # A board forgets what it heard when a block longer than all before comes, so the longest comes first: silence.
        if len(board):
            board.process(np.zeros((channels, _BLOCK), np.float32), rate, _BLOCK, reset=False)

    def through(board: Any, samples: Tensor) -> Tensor:
        if not len(board) or not samples.shape[-1]:
            return samples
        wave = np.ascontiguousarray(samples.numpy(), np.float32)
        return torch.from_numpy(board.process(wave, rate, _BLOCK, reset=False))

    return lambda samples: through(second, deesser.push(through(first, samples)))
