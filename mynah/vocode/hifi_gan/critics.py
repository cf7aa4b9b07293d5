"""The critics: of five periods, and of three scales; in the key layout of the published `do_00000000`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from mynah.catalog.checkpoint import load_foreign, load_strict
from mynah.core.errors import BadCheckpoint
from mynah.nets.critics import SLOPE, Critic, PeriodCritic, Several, Verdict
from mynah.nets.normed import Conv1d, old_names

PERIODS = (2, 3, 5, 7, 11)
PERIOD_WIDTHS = (32, 128, 512, 1024, 1024)
# Of the critics of scales: channels, kernel, stride, groups.
SCALE_LAYERS = (
    (128, 15, 1, 1), (128, 41, 2, 4), (256, 41, 2, 16), (512, 41, 4, 16), (1024, 41, 4, 16), (1024, 41, 1, 16),
    (1024, 5, 1, 1),
)  # fmt: skip


class SmoothCritic(Critic):
    """Looks at the wave through long kernels.

    Args:
        spectral: Whether layers have spectral norm (Miyato et al., arXiv 1802.05957) instead of weight norm.
        part: Widths are divided by so much.
    """

    def __init__(self, *, spectral: bool, part: int = 1) -> None:
        super().__init__(SLOPE)

        def layer(before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
            settings: dict[str, Any] = {"stride": stride, "groups": groups, "padding": kernel // 2}
            if spectral:
                return nn.utils.spectral_norm(nn.Conv1d(before, after, kernel, **settings))
            return Conv1d(before, after, kernel, **settings)

        layers, before = [], 1
        for width, kernel, stride, groups in SCALE_LAYERS:
            after = width // part
            layers.append(layer(before, after, kernel, stride, min(groups, before)))
            before = after
        self.convs = nn.ModuleList(layers)
        self.conv_post = layer(before, 1, 3)

    def forward(self, sound: Tensor) -> Verdict:
        return self.verdict(sound)


class Periods(Several):
    """Critics of every second sample, every third, and so on."""

    def __init__(self, part: int = 1) -> None:
        widths = tuple(width // part for width in PERIOD_WIDTHS)
        super().__init__([PeriodCritic(period, widths, SLOPE) for period in PERIODS])

    def forward(self, sound: Tensor) -> list[Verdict]:
        return [critic(sound) for critic in self.discriminators]


class Scales(Several):
    """Critics of the sound, of its means of four samples, and of the means of these."""

    def __init__(self, part: int = 1) -> None:
        super().__init__([SmoothCritic(spectral=place == 0, part=part) for place in range(3)])

    def forward(self, sound: Tensor) -> list[Verdict]:
        verdicts = []
        for place, critic in enumerate(self.discriminators):
            if place:
                sound = F.avg_pool1d(sound, 4, 2, padding=2)
            verdicts.append(critic(sound))
        return verdicts


class Critics(nn.Module):
    """All of them.

    Args:
        part: Their width is divided by so much, for nets that a processor trains; published ones are whole.

    Shape:
        Sound `[batch, 1, time]` to one verdict for each.
    """

    def __init__(self, part: int = 1) -> None:
        super().__init__()
        self.mpd, self.msd = Periods(part), Scales(part)

    def forward(self, sound: Tensor) -> list[Verdict]:
        return [*self.mpd(sound), *self.msd(sound)]


def critics_of(path: Path | str) -> Critics:
    """Those of a published `do_00000000`, or of our safetensors.

    Raises:
        BadCheckpoint: Damaged, hostile, or something else.
    """
    held = load_foreign(path)
    if isinstance(held.get("mpd"), Mapping) and isinstance(held.get("msd"), Mapping):
        held = {f"{part}.{name}": value for part in ("mpd", "msd") for name, value in held[part].items()}
    named = {
        old_names(str(name).replace(".module.", ".")): value
        for name, value in held.items()
        if isinstance(value, Tensor)
    }
    width = named.get("mpd.discriminators.0.convs.0.bias", ())
    if not 1 <= len(width) <= PERIOD_WIDTHS[0]:
        raise BadCheckpoint(f"{path}: holds no critics of HiFi-GAN, as do_02500000 does")
    critics = Critics(PERIOD_WIDTHS[0] // len(width))
    load_strict(critics, named, f"{path}, as critics,")
    return critics
