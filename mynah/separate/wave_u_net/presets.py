"""What the published Wave-U-Nets are: M1 to M7 of the paper, the better M5 that came after it, and the later net."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

from pydantic import Field

from mynah.nets.wave_u_net import Shape
from mynah.separate.wave_u_net.later import LaterShape

VOICE = ("accompaniment", "vocals")
BAND = ("bass", "drums", "other", "vocals")


@dataclass(frozen=True)
class Config:
    """A net, and what it is for.

    Attributes:
        net: The one of 2018, or the later one.
        stems: What the net's stems are called, in its order.
        rate: Of what the net hears, in Hz.
    """

    net: Shape | LaterShape = field(default_factory=Shape)
    stems: tuple[str, ...] = VOICE
    rate: Annotated[int, Field(ge=1000, le=192_000)] = 22_050

    def __post_init__(self) -> None:
        count = len(self.net.stems) if isinstance(self.net, LaterShape) else self.net.stems
        if count != len(self.stems) or len(set(self.stems)) != count:
            raise ValueError(f"a net of {count} stems cannot give {', '.join(self.stems)}")


_M3 = Shape(difference=True, context=True)
_M4 = replace(_M3, channels=2)
_M5 = replace(_M4, learned=True)

PRESETS: dict[str, Config] = {
    "M1": Config(Shape()),
    "M2": Config(Shape(difference=True)),
    "M3": Config(_M3),
    "M4": Config(_M4),
    "M5": Config(_M5),
    "M5-HighSR": Config(_M5, rate=44_100),
    "M6": Config(replace(_M4, stems=4), BAND),
    "M7": Config(replace(_M3, filters=34), rate=8192),
    "later": Config(LaterShape(), BAND, 44_100),
    "later-one": Config(LaterShape(apart=False), BAND, 44_100),
}

PUBLISHED = {
    "baseline": "M1",
    "baseline_diff": "M2",
    "baseline_context": "M3",
    "baseline_stereo": "M4",
    "full": "M5",
    "full_44KHz": "M5-HighSR",
    "full_multi_instrument": "M6",
    "baseline_comparison": "M7",
}
"""What the published code calls its configurations, and its folders of checkpoints after them."""
