"""Speaker similarity: how far the result came on the way from the source's voice to the target's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.core.errors import BadAudio
from mynah.core.types import Audio

_GROUP_SECONDS = 10.0
_LEAST_SECONDS = 4.0  # of the target: two groups that an ear can still tell apart from others


class SpeakerEar(Protocol):
    """Whoever hears one vector of unit length in recordings of a voice, such as `mynah.features.ge2e.GE2E`."""

    def embed(self, clips: Sequence[Audio]) -> Tensor: ...


@dataclass(frozen=True)
class Likeness:
    """Cosines to the target's voice.

    Attributes:
        value: Of the results.
        floor: Of the sources, which is what doing nothing would give.
        ceiling: Of the target's own recordings, each to the rest of them.
    """

    value: float
    floor: float
    ceiling: float

    @property
    def share(self) -> float | None:
        """Of the way from floor to ceiling; None where the ear cannot tell source and target apart.

        Example:

            >>> Likeness(value=0.8, floor=0.6, ceiling=0.9).share
            0.667
        """
        way = self.ceiling - self.floor
        return round((self.value - self.floor) / way, 3) if way > 0.01 else None


def likeness(results: Sequence[Audio], sources: Sequence[Audio], target: Sequence[Audio], ear: SpeakerEar) -> Likeness:
    """How much results sound like the target's voice.

    The target is heard in groups of about ten seconds; every result and every source is compared with the vector of all
    of them, and for the ceiling each group with the vector of the others.

    Args:
        results: What was made.
        sources: What it was made from, in any order.
        target: Recordings of the target that were not made; those that the voice was enrolled from, or better, others.
        ear: Best one that the maker of the results never listened to in training.

    Raises:
        BadAudio: The target is shorter than 4 s, or something is silent.
    """
    if not results or not sources:
        raise BadAudio("nothing to compare with the target's voice")
    vectors = torch.stack([ear.embed(group) for group in groups(target)])
    whole = F.normalize(vectors.sum(0), dim=0)
    others = F.normalize(vectors.sum(0) - vectors, dim=1)
    return Likeness(
        value=_mean([_cosine(ear.embed([result]), whole) for result in results]),
        floor=_mean([_cosine(ear.embed([source]), whole) for source in sources]),
        ceiling=_mean([_cosine(vector, other) for vector, other in zip(vectors, others, strict=True)]),
    )


def groups(clips: Sequence[Audio]) -> list[list[Audio]]:
    """Recordings of one voice in groups of about ten seconds, two at least; long ones are cut evenly.

    Raises:
        BadAudio: Less than 4 s in all.
    """
    seconds = sum(clip.seconds for clip in clips)
    if seconds < _LEAST_SECONDS:
        raise BadAudio(f"{seconds:.1f} s of the target's voice are too little to compare with: at least 4 s are needed")
    parts: list[Audio] = []
    for clip in clips:
        count = max(2 if len(clips) == 1 else 1, math.ceil(clip.seconds / _GROUP_SECONDS))
        parts += [Audio(part, clip.rate) for part in torch.tensor_split(clip.samples, count, dim=-1)]
    sorted_in: list[list[Audio]] = [[]]
    for number, part in enumerate(parts):
        # The last one must not stay without company to be compared with.
        full = sum(held.seconds for held in sorted_in[-1]) >= min(_GROUP_SECONDS, seconds / 2) - 0.5
        if sorted_in[-1] and (full or (len(sorted_in) == 1 and number == len(parts) - 1)):
            sorted_in.append([])
        sorted_in[-1].append(part)
    return sorted_in


def _cosine(a: Tensor, b: Tensor) -> float:
    return F.cosine_similarity(a, b, dim=0).item()


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
