"""Sizes of the nets; by default those that were published."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class DecoderConfig:
    """Of the decoder.

    Attributes:
        rate: Of the sound, in Hz.
        channels: Behind the first convolution; every stage halves them.
        rates: What each stage multiplies the number of samples by; together they make a hop.
        up_kernels: Of the stages' transposed convolutions.
        kernels: Of the blocks of a stage, which run side by side.
        dilations: Of the layers of a block.
    """

    rate: int = 32_000
    channels: int = 320
    rates: tuple[int, ...] = (5, 4, 4, 2, 2)
    up_kernels: tuple[int, ...] = (15, 8, 8, 4, 4)
    kernels: tuple[int, ...] = (3, 7, 11)
    dilations: tuple[int, ...] = (1, 3, 5)

    @property
    def hop(self) -> int:
        """Samples of one frame."""
        return math.prod(self.rates)


@dataclass(frozen=True)
class NetConfig:
    """Of the whole.

    Attributes:
        words: Of the first content feature, the original's Whisper.
        sounds: Of the second one, the original's soft HuBERT; 0 where there is none.
        voice: Of the vector of the voice.
        bins: Of the linear spectrum that the posterior encoder hears.
        latent: Channels of what prior and posterior speak of.
        hidden: Channels inside of both, and of the flow.
        condition: What the posterior encoder makes of the voice.
        filters: Of the prior's convolutions.
        heads: Of its attention.
        layers: Of its transformer.
        posterior_layers: Of the posterior encoder's stack.
        flow_layers: Of each coupling's stack.
        couplings: Of the flow.
        decoder: The decoder's own.
    """

    words: int = 1280
    sounds: int = 256
    voice: int = 256
    bins: int = 513
    latent: int = 192
    hidden: int = 192
    condition: int = 256
    filters: int = 640
    heads: int = 2
    layers: int = 6
    posterior_layers: int = 16
    flow_layers: int = 4
    couplings: int = 4
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
