"""What a recording is worth to somebody who learns from it, found once and kept beside what was prepared."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from mynah.audio.decay import reverb_in
from mynah.audio.files import CutShort, read
from mynah.core.atomic import replacing
from mynah.core.errors import BadAudio
from mynah.core.types import Audio
from mynah.train.data import FRAME_RATE, RATES, Take
from mynah.train.slicing import levels, slices
from mynah.train.workers import spread

FACTS = "survey-1.json"
OUTLINE = 64  # points of a level contour, by which the same recording in another format is found
LOWEST, HIGHEST = 24, 96  # MIDI notes that are counted
_FEW = 8  # recordings that one process has done before a second one has started
_REVERB_SECONDS = 180  # that are listened to for reverb
_A4_HZ, _A4 = 440.0, 69


@dataclass(frozen=True)
class Facts:
    """Of one recording.

    Attributes:
        rate: Of the file, in Hz.
        seconds: Length.
        sung: Seconds in slices, that is without pauses.
        slices: How many.
        clipped: Share of samples on flat tops.
        floor_db: Level of the pauses against full scale; NaN where there is none.
        distance_db: How much louder the voice is than the pauses; infinite where there is none.
        decay_seconds: Of the reverb, 0 where none is heard.
        wet_db: Level of the reverb against the voice.
        notes: Frames (100/s) on each MIDI note from 24 to 96.
        outline: Level contour as 64 points of mean 0 and length 1.
    """

    rate: int
    seconds: float
    sung: float
    slices: int
    clipped: float
    floor_db: float
    distance_db: float
    decay_seconds: float
    wet_db: float
    notes: tuple[int, ...]
    outline: tuple[float, ...]


def survey(takes: Sequence[Take], *, workers: int = 2) -> Iterator[Facts | BadAudio]:
    """Facts of every take, in their order; what was found earlier is not looked for again.

    Args:
        takes: From `mynah.train.data.prepare`.
        workers: Processes to do it in.

    Yields:
        Facts; or the error, of a recording that vanished since it was prepared.

    Raises:
        NoSpace: The disk is full.
    """
    new = sum(not (take.folder / FACTS).exists() for take in takes)
    return spread(facts_of, takes, workers if new > _FEW else 1, _FEW)


def facts_of(take: Take) -> Facts | BadAudio:
    """Of one take."""
    path = take.folder / FACTS
    if path.exists():
        kept = json.loads(path.read_text("utf-8"))
        return Facts(**kept | {name: tuple(kept[name]) for name in ("notes", "outline")})
    try:
        facts = _look(take)
    except BadAudio as error:
        return error
    with replacing(path) as half:
        half.write_text(json.dumps(asdict(facts)), "utf-8")
    return facts


def _look(take: Take) -> Facts:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CutShort)  # what is there of it can be learnt from
        whole = read(take.clip.path)
    wave = take.wave(RATES[1])
    level, parts = levels(wave, RATES[1]), slices(wave, RATES[1])
    floor, distance = pauses(level, take.pitch())
    beginning = whole.samples[:, : _REVERB_SECONDS * whole.rate]
    reverb = reverb_in(Audio(block, whole.rate) for block in beginning.split(10 * whole.rate, -1))
    return Facts(
        rate=whole.rate,
        seconds=whole.seconds,
        sung=sum(frames for _, frames in parts) / FRAME_RATE,
        slices=len(parts),
        clipped=clipped(whole),
        floor_db=floor,
        distance_db=distance,
        decay_seconds=reverb.decay_seconds if reverb else 0.0,
        wet_db=reverb.wet_db if reverb else float("-inf"),
        notes=tuple(notes(take.pitch()).tolist()),
        outline=tuple(round(value, 4) for value in outline(level).tolist()),
    )


def pauses(level: Tensor, pitch: Tensor) -> tuple[float, float]:
    """Level in dB where nobody sings, and how much louder the voice is; NaN and infinite where somebody always does.

    Not told by the level, because noise may be as loud as the voice.

    Args:
        level: In dB, `[frame]`.
        pitch: Hz, NaN where unvoiced, `[2 * frame]`.
    """
    voiced = (pitch[: 2 * len(level)] > 0).view(-1, 2).any(1)
    rest = level[~voiced].sort().values
    # A few frames at the edges of held notes are no pause.
    if not voiced.any() or len(rest) < max(FRAME_RATE // 2, 0.03 * len(level)):
        return float("nan"), float("inf")
    # The rest holds consonants and breaths as well.
    floor = rest[len(rest) // 10].item()
    return floor, level[voiced].median().item() - floor


def clipped(audio: Audio) -> float:
    """Share of samples on a flat top: four equal ones in a row or more, at the very peak.

    Has to be asked before resampling, which rounds the corners.

    Example:

        >>> wave = torch.sin(torch.arange(1000) / 20)
        >>> clipped(Audio(wave[None], 8000)), clipped(Audio(wave[None].clamp(-0.7, 0.7), 8000)) > 0.4
        (0.0, True)
    """
    peak = audio.samples.abs().max() if audio.samples.numel() else torch.zeros(())
    if peak < 0.1:  # nothing that was recorded so quietly can have clipped
        return 0.0
    step = audio.samples.diff(dim=-1).abs()
    flat = (step < 1e-4 * peak) & (audio.samples[:, 1:].abs() > 0.98 * peak)
    runs = flat[:, 2:] & flat[:, 1:-1] & flat[:, :-2]
    if not runs.any():
        return 0.0
    marked = torch.zeros_like(audio.samples, dtype=torch.bool)
    for shift in range(4):
        marked[:, shift : shift + runs.shape[-1]] |= runs
    return marked.float().mean().item()


def notes(pitch: Tensor) -> Tensor:
    """Frames on each MIDI note from 24 to 96, of a contour in Hz, `[frame]` to `[73]`.

    Example:

        >>> notes(torch.tensor([440.0, 442.0, float("nan")]))[69 - 24]
        tensor(2)
    """
    voiced = pitch[pitch > 0]
    number = (12 * (voiced / _A4_HZ).log2() + _A4).round().long().clamp(LOWEST, HIGHEST) - LOWEST
    return torch.bincount(number, minlength=HIGHEST - LOWEST + 1)


def outline(level: Tensor) -> Tensor:
    """A level contour of any length as 64 points of mean 0 and length 1."""
    if not len(level):
        return torch.zeros(OUTLINE)
    points = torch.nn.functional.adaptive_avg_pool1d(level.clamp(min=-80.0)[None], OUTLINE)[0]
    return torch.nn.functional.normalize(points - points.mean(), dim=0)
