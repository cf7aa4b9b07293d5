"""Sizes of the nets: what the published configurations say, and what a file may say of itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from mynah.features.contentvec import PROJECTED, WHOLE
from mynah.nets.nsf import DecoderConfig
from mynah.nets.vits import STEPS

__all__ = ["FRAMES_PER_SECOND", "PUBLISHED", "STEPS", "WORDS", "DecoderConfig", "NetConfig", "published"]

FRAMES_PER_SECOND = 100
WORDS = {"v1": PROJECTED, "v2": WHOLE}  # size of the content that each version hears


@dataclass(frozen=True)
class NetConfig:
    """Of all of it; by default that of version 2 at 40 kHz.

    Attributes:
        words: Size of the content that it hears.
        pitched: Whether it is told a melody; without, it makes one up from the content, for speech.
        bins: Of the spectrum that training listens to.
        latent: Channels between the flow and the decoder.
        hidden: Channels of the prior, the posterior and the flow.
        filters: Of the prior's convolutions.
        heads: Of the prior's attention.
        layers: Of the prior.
        voices: How many it knows.
        condition: Size of the vector of a voice.
        decoder: Its own sizes.
    """

    words: int = 768
    pitched: bool = True
    bins: int = 1025
    latent: int = 192
    hidden: int = 192
    filters: int = 768
    heads: int = 2
    layers: int = 6
    voices: int = 109
    condition: int = 256
    decoder: DecoderConfig = field(default_factory=DecoderConfig)

    @property
    def version(self) -> str:
        """`"v1"` or `"v2"`, by the content that it hears."""
        return "v1" if self.words == WORDS["v1"] else "v2"


# What the original trains, by version and rate; the bins go with the window of its spectra.
PUBLISHED: dict[tuple[str, int], tuple[int, DecoderConfig]] = {
    ("v1", 32_000): (513, DecoderConfig(32_000, 512, (10, 4, 2, 2, 2), (16, 16, 4, 4, 4))),
    ("v1", 40_000): (1025, DecoderConfig()),
    ("v1", 48_000): (1025, DecoderConfig(48_000, 512, (10, 6, 2, 2, 2), (16, 16, 4, 4, 4))),
    ("v2", 24_000): (513, DecoderConfig(24_000, 512, (10, 6, 2, 2), (20, 12, 4, 4))),  # Applio's
    ("v2", 32_000): (513, DecoderConfig(32_000, 512, (10, 8, 2, 2), (20, 16, 4, 4))),
    ("v2", 40_000): (1025, DecoderConfig()),
    ("v2", 48_000): (1025, DecoderConfig(48_000, 512, (12, 10, 2, 2), (24, 20, 4, 4))),
}


def published(version: str, rate: int, *, pitched: bool = True) -> NetConfig:
    """What the original trains.

    Example:

        >>> published("v2", 48_000).decoder.hop
        480
    """
    bins, decoder = PUBLISHED[version, rate]
    return NetConfig(words=WORDS[version], pitched=pitched, bins=bins, decoder=decoder)
