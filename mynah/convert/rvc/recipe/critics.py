"""The critics of RVC: one of the wave, and one for each of six periods (version 1) or eight (version 2).

HiFi-GAN (Kong et al., arXiv 2010.05646); the key layout is that of the published `f0D*.pth`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_foreign, load_strict
from mynah.core.errors import BadCheckpoint
from mynah.nets.critics import SLOPE, PeriodCritic, ScaleCritic, Several, Verdict
from mynah.nets.normed import old_names

PERIODS = {"v1": (2, 3, 5, 7, 11, 17), "v2": (2, 3, 5, 7, 11, 17, 23, 37)}
WIDTHS = (32, 128, 512, 1024, 1024)
WIDEN = 16  # of the critic of the wave


class Critics(Several):
    """All of them.

    Args:
        version: `"v1"` or `"v2"`.
        part: Their width is divided by so much, for nets that a processor trains; published ones are whole.

    Shape:
        Sound `[batch, 1, time]` to one verdict for each.
    """

    def __init__(self, version: str, part: int = 1) -> None:
        widths = tuple(width // part for width in WIDTHS)
        periods = [PeriodCritic(period, widths, SLOPE) for period in PERIODS[version]]
        super().__init__([ScaleCritic(max(4, WIDEN // part)), *periods])

    def forward(self, sound: Tensor) -> list[Verdict]:
        return [critic(sound) for critic in self.discriminators]


def critics_of(path: Path | str, version: str) -> Critics:
    """Those of a published `f0D*.pth`, of a training run's `D_*.pth`, or of our safetensors.

    Raises:
        BadCheckpoint: Damaged, hostile, something else, or of another version.
    """
    held = load_foreign(path)
    state = held["model"] if isinstance(held.get("model"), Mapping) else held
    named = {
        old_names(name.removeprefix("module.")): value
        for name, value in state.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    widths = named.get("discriminators.1.convs.0.bias", torch.zeros(0))
    if not 1 <= widths.numel() <= WIDTHS[0]:
        raise BadCheckpoint(f"{path}: holds no critics of RVC (D), which --start takes behind the model (G): G,D")
    critics = Critics(version, WIDTHS[0] // widths.numel())
    load_strict(critics, named, f"{path}, as critics of {version},")
    return critics
