"""Sizes of the nets, and what they are told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import Annotated, Any, Literal

from pydantic import Field

RATE = 16_000
UNIT = 320  # samples of one content frame: what recordings are counted in
LOUDNESS_HOP = 64  # samples; the condition has this grid
PITCH_HOP = 160  # samples
EarKind = Literal["student", "wav2letter", "whisper", "hubert"]
Channels = Annotated[int, Field(ge=1, le=4096)]


@dataclass(frozen=True)
class GeneratorConfig:
    """Of the WaveNet; by default those of Parallel WaveGAN.

    Attributes:
        condition: Channels of the local condition.
        voice: Size of a row of the voice table; 0 for a generator that knows no voices, such as a published vocoder.
        layers: In all stacks together.
        stacks: In each of them dilations go up from 1, doubling.
        kernel: Odd.
        residual: Channels that go from layer to layer.
        gates: Channels before the gate, which halves them.
        skip: Channels of what comes out.
        scales: By which the condition is brought to the rate of samples.
        context: Frames of the condition on either side that its first layer looks at.
    """

    condition: Channels = 65
    voice: Annotated[int, Field(ge=0, le=4096)] = 64
    layers: Annotated[int, Field(ge=1, le=100)] = 30
    stacks: Annotated[int, Field(ge=1, le=20)] = 3
    kernel: Annotated[int, Field(ge=1, le=15)] = 3
    residual: Channels = 64
    gates: Channels = 128
    skip: Channels = 64
    scales: tuple[Annotated[int, Field(ge=1, le=64)], ...] = (4, 4, 4)
    context: Annotated[int, Field(ge=0, le=16)] = 2

    def __post_init__(self) -> None:
        if self.layers % self.stacks or self.layers // self.stacks > 14:
            raise ValueError(f"{self.layers} layers do not make {self.stacks} stacks of at most 14")

    @property
    def hop(self) -> int:
        """Samples of a frame of the condition."""
        return prod(self.scales)

    @property
    def dilations(self) -> tuple[int, ...]:
        """Of every layer."""
        return tuple(2 ** (layer % (self.layers // self.stacks)) for layer in range(self.layers))

    @property
    def receptive_field(self) -> int:
        """Samples of the excitation that one sample of the result depends on."""
        return 1 + (self.kernel - 1) * sum(self.dilations)

    @property
    def smoothing(self) -> int:
        """Samples to either side that the learned upsampling of the condition mixes."""
        samples, reach = self.hop, 0
        for scale in self.scales:
            samples //= scale
            reach += scale * samples  # each layer looks `scale` samples of its own rate to either side
        return reach


@dataclass(frozen=True)
class Config:
    """What a model is made of.

    Attributes:
        generator: Sizes of the net.
        excitation: `"sine"` as in the paper, or `"pitch"` to tell the net the bare pitch instead, for comparison.
        content: Size of a content frame.
        ear: Which acoustic model hears the content.
        loudness_window: Samples that loudness is measured over.
        breath: Standard deviation of the noise under notes, where the sine has an amplitude of 1.
    """

    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    excitation: Literal["sine", "pitch"] = "sine"
    content: Channels = 64
    ear: EarKind = "student"
    loudness_window: Annotated[int, Field(ge=64, le=8192)] = 2048
    breath: Annotated[float, Field(ge=0, le=1)] = 0.03

    def __post_init__(self) -> None:
        told = self.content + 1 + (2 if self.excitation == "pitch" else 0)
        if self.generator.condition != told or self.generator.hop != LOUDNESS_HOP:
            raise ValueError(f"the net has to be told {told} channels at every {LOUDNESS_HOP} samples")


def hearing(sizes: Config, kind: EarKind, size: int) -> Config:
    """The same for another acoustic model, whose frames have this size."""
    told = sizes.generator.condition - sizes.content + size
    return replace(sizes, generator=replace(sizes.generator, condition=told), ear=kind, content=size)


def config(
    excitation: Literal["sine", "pitch"] = "sine", window: int = 2048, content: int = 64, **sizes: Any
) -> Config:
    """A configuration whose parts fit together; `sizes` are those of the net.

    Example:

        >>> config(residual=32, gates=64, skip=32).generator.condition
        65
    """
    told = content + 1 + (2 if excitation == "pitch" else 0)
    return Config(GeneratorConfig(condition=told, **sizes), excitation, content, loudness_window=window)


FULL = config()
"""As large as the sheet of the paper has it: 1.4 M parameters."""
SMALL = config(window=512, layers=14, stacks=2, residual=32, gates=64, skip=32)
"""So small that a processor can train it: 0.17 M parameters that look 16 ms to either side."""
