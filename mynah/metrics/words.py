"""Content similarity: whether a listener of words hears the same in the result as in its source."""

from __future__ import annotations

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from mynah.core.errors import BadAudio
from mynah.core.types import Audio


class WordsEar(Protocol):
    """Whoever hears frames of content in a recording, such as `mynah.features.whisper.WhisperEncoder`."""

    def encode(self, audio: Audio) -> Tensor: ...


def similarity(source: Audio, result: Audio, ear: WordsEar) -> float:
    """Mean cosine of the frames of both, 1 at best; see `frame_similarity`."""
    return frame_similarity(ear.encode(source), ear.encode(result))


def frame_similarity(source: Tensor, result: Tensor) -> float:
    """Mean cosine of corresponding frames `[frame, size]`, after each recording's own mean frame has been taken off.

    The mean holds what stays the same: the voice, the room, the level. Without it the rest would drown. The shorter
    recording says how far is compared.

    Raises:
        BadAudio: One of them has no frames.
    """
    shorter = min(len(source), len(result))
    if not shorter:
        raise BadAudio("a recording without content frames has no words to compare")
    a, b = source[:shorter].float(), result[:shorter].float()
    return F.cosine_similarity(a - a.mean(0), b - b.mean(0), dim=-1).mean().item()
