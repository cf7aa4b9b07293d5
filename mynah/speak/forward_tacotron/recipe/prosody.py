"""What was said when, how high and how strong: of every sound of every reading."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from mynah.core.atomic import replacing
from mynah.core.errors import BadData
from mynah.speak.forward_tacotron.aligner import Aligner
from mynah.speak.forward_tacotron.durations import Quality, durations
from mynah.speak.forward_tacotron.net import SILENCE
from mynah.speak.forward_tacotron.recipe.plan import Plan
from mynah.speak.forward_tacotron.symbols import PAUSES, Front
from mynah.train.transcripts import Reading, Readings

LOW_HZ, HIGH_HZ = 30.0, 600.0  # what is beyond was tracked wrongly


@dataclass(frozen=True)
class Sounded:
    """A reading, sound by sound; all but `reading` is `[symbol]`.

    Attributes:
        reading: That it is.
        durations: Frames.
        pitch: In standard deviations from the mean of the voice; 0 where unvoiced.
        energy: Length of the vector of mel magnitudes, told likewise.
    """

    reading: Reading
    durations: Tensor
    pitch: Tensor
    energy: Tensor


def sounded(
    readings: Readings, aligner: Aligner, front: Front, plan: Plan, *, known: Path | None = None
) -> tuple[list[Sounded], list[Sounded]]:
    """Readings to learn from and held-out ones, without those whose durations cannot be trusted.

    Args:
        readings: All of them.
        aligner: That was trained on them.
        front: How they were read.
        plan: What can be trusted.
        known: File of the aligner, by which durations that were found before are known; they lie beside the takes.

    Raises:
        BadData: None is left.
    """
    name = "" if known is None else f"durations-{_digest(known, front)}.json"
    parts = [
        [(reading, timed(readings, reading, aligner, front, name)) for reading in part]
        for part in (readings.training, readings.held_out)
    ]
    kept = [[(reading, counts) for reading, (counts, quality) in part if _trusted(quality, plan)] for part in parts]
    if not kept[0]:
        raise BadData(
            f"of {len(readings.training)} readings the aligner is sure of none: train the stage align longer, or look "
            "for texts that are not what is said"
        )
    every = [*kept[0], *kept[1]]
    pitches = centred([_pitches(readings.pitch(reading), counts) for reading, counts in every])
    energies = centred([_energies(readings.mel(reading), counts) for reading, counts in every])
    done = [
        Sounded(reading, counts.float(), pitch, energy)
        for (reading, counts), pitch, energy in zip(every, pitches, energies, strict=True)
    ]
    return done[: len(kept[0])], done[len(kept[0]) :]


@torch.inference_mode()
def timed(
    readings: Readings, reading: Reading, aligner: Aligner, front: Front, name: str = ""
) -> tuple[Tensor, Quality]:
    """Frames of every sound of a reading, and how far they can be trusted; kept beside its take under a name."""
    path = reading.take.folder / name
    if name and path.exists():
        told = json.loads(path.read_text("utf-8"))
        return torch.tensor(told.pop("durations")), Quality(**told)
    mel, device = readings.mel(reading), aligner.encoder_proj.weight.device
    ended = torch.nn.functional.pad(mel, (0, 1), value=SILENCE)
    attention = aligner(reading.symbols[None].to(device), ended[None].to(device)).attention[0, : reading.frames].cpu()
    pauses = torch.tensor([front.alphabet[number] in PAUSES for number in reading.symbols.tolist()])
    counts, quality = durations(attention, mel, pauses)
    if name:
        with replacing(path) as half:
            half.write_text(json.dumps({"durations": counts.tolist(), **asdict(quality)}), "utf-8")
    return counts, quality


def centred(values: Sequence[Tensor]) -> list[Tensor]:
    """Values other than 0 in standard deviations from their mean over all; 0 stays.

    Example:

        >>> [each.tolist() for each in centred([torch.tensor([1.0, 0.0]), torch.tensor([3.0])])]
        [[-1.0, 0.0], [1.0]]
    """
    told = torch.cat([each[each != 0] for each in values])
    if not len(told):
        return list(values)
    spread = told.std(correction=0)
    return [torch.where(each != 0, (each - told.mean()) / spread.clamp(min=1e-9), 0.0) for each in values]


def means(values: Tensor, counts: Tensor) -> Tensor:
    """Of each sound's frames `[frame]`, without those that are 0; 0 where there are none.

    Example:

        >>> means(torch.tensor([1.0, 3.0, 0.0, 0.0, 5.0, 0.0]), torch.tensor([2, 0, 2, 2])).tolist()
        [2.0, 0.0, 0.0, 5.0]
    """
    which = torch.repeat_interleave(torch.arange(len(counts)), counts)
    sums = torch.zeros(len(counts)).index_add(0, which, values)
    return sums / torch.zeros(len(counts)).index_add(0, which, (values != 0).float()).clamp(min=1)


def _pitches(hz: Tensor, counts: Tensor) -> Tensor:
    return means(torch.where((hz >= LOW_HZ) & (hz <= HIGH_HZ), hz, 0.0), counts)


def _energies(mel: Tensor, counts: Tensor) -> Tensor:
    return means(mel.exp().norm(dim=0), counts)


def _trusted(quality: Quality, plan: Plan) -> bool:
    steady = quality.monotone >= plan.monotone and quality.sharp >= plan.sharp
    return steady and quality.ones <= plan.ones and quality.longest <= plan.longest


def _digest(known: Path, front: Front) -> str:
    with known.open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(f"{weights} {front}".encode()).hexdigest()[:12]
