"""What a voice is heard with: a pitch tracker, a voice encoder, a content student."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from mynah.core.types import Audio, Contour

CONTENT_HZ = 50  # content frames per second


@dataclass(frozen=True)
class Ears:
    """The listeners that make a voice out of recordings.

    Attributes:
        pitch: Melody of a recording in Hz, NaN where unvoiced.
        embed: One vector of unit length, shape `[feature]`, from any number of clips.
        frames: Content of a clip, shape `[frame, feature]`, `CONTENT_HZ` a second.
        encoder: Which version of the two nets this is; what different ones made cannot be compared.
    """

    pitch: Callable[[Audio], Contour]
    embed: Callable[[Sequence[Audio]], Tensor]
    frames: Callable[[Audio], Tensor]
    encoder: str


def own_ears() -> Ears:
    """Those of the house. The nets are loaded when they are first listened with, not before."""
    from mynah.features import content, pitch, speaker

    return Ears(
        pitch=lambda audio: pitch.pitch(audio),
        embed=lambda clips: speaker.load().embed(clips),
        frames=lambda audio: content.load().frames(audio),
        encoder=speaker.ENCODER,
    )
