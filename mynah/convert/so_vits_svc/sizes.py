"""Sizes of the nets, by default those of version 4.1."""

from __future__ import annotations

from dataclasses import dataclass, field

from mynah.features.contentvec import PROJECTED, WHOLE
from mynah.nets.nsf import DecoderConfig

SINES = 9  # of the source: the fundamental and eight more
HEARD = {"vec256l9": PROJECTED, "vec768l12": WHOLE}  # by what a description calls it: size of the content


def decoder(
    rate: int = 44_100,
    channels: int = 512,
    rates: tuple[int, ...] = (8, 8, 2, 2, 2),
    up_kernels: tuple[int, ...] = (16, 16, 4, 4, 4),
    kernels: tuple[int, ...] = (3, 7, 11),
    dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5)),
) -> DecoderConfig:
    """Of the kind that this system has: nine sines, weight norm at both ends."""
    return DecoderConfig(rate, channels, rates, up_kernels, kernels, dilations, sines=SINES, normed=True)


@dataclass(frozen=True)
class NetConfig:
    """Of all of it.

    Attributes:
        words: Size of the content that it hears.
        even: Whether content moves evenly from one frame to the next when it is stretched, instead of in steps.
        loud: Whether it is told how loud the source is.
        guesses: Whether it can make up a melody of its own.
        bins: Of the spectrum that training listens to.
        latent: Channels between the flow and the decoder.
        hidden: Channels of the prior, the posterior and the flow.
        filters: Of the convolutions between attentions.
        heads: Of the attentions.
        layers: Of the prior.
        voices: How many it knows.
        condition: Size of the vector of a voice.
        decoder: Its own sizes.
    """

    words: int = WHOLE
    even: bool = False
    loud: bool = False
    guesses: bool = True
    bins: int = 1025
    latent: int = 192
    hidden: int = 192
    filters: int = 768
    heads: int = 2
    layers: int = 6
    voices: int = 200
    condition: int = 768
    decoder: DecoderConfig = field(default_factory=decoder)
