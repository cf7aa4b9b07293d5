"""Hum: a bare sine hums the melody at the loudness of the source.

No weights and no words. It is the converter that every other part of the house is tested with: if `cover`, the studio,
a stream or the server works with Hum, it works with any system, and a failure is not a matter of training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Self

import torch.nn.functional as F
from pydantic import Field

from mynah.core.system import Card, System
from mynah.core.types import Audio, Contour, Voice
from mynah.core.verbs import Options
from mynah.features.pitch import pitch
from mynah.nets.source import sine


@dataclass(frozen=True)
class Config:
    """Nothing to configure but the stretch of time over which loudness is averaged."""

    frame_seconds: float = 0.05


class HumOptions(Options):
    """What a listener may change."""

    transpose: Annotated[
        float,
        Field(ge=-24, le=24, description="shift the melody", json_schema_extra={"unit": "semitones"}),
    ] = 0.0


class Hum(System[Config]):
    """Converts anybody into a sine."""

    card = Card(verbs=("convert",), paper="", origin="ours")

    @classmethod
    def tiny(cls) -> Self:
        return cls(Config())

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        return cls(Config())

    def convert(
        self, source: Audio, voice: Voice, options: HumOptions | None = None, *, melody: Contour | None = None
    ) -> Audio:
        """The melody of `source`, or another, as a sine: one channel, same rate and length. The voice is not heard."""
        options = options or HumOptions()
        melody = melody or pitch(source)
        length = source.samples.shape[-1]

        hz = melody.values[None] * 2 ** (options.transpose / 12)
        hummed = sine(hz, melody.hop_seconds * source.rate, source.rate, length)

        window = 2 * round(self.config.frame_seconds * source.rate / 2) + 1
        power = source.samples.mean(0).square()[None, None]
        power = F.avg_pool1d(power, window, stride=1, padding=window // 2, count_include_pad=False)
        # A sine is 3 dB softer than its peak.
        return Audio((hummed * power.sqrt() * math.sqrt(2)).clamp(-1, 1).squeeze(0), source.rate)
