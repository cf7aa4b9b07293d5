"""Critics that tell recordings from renderings, in the key layout of published ones."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mynah.nets.normed import Conv1d, Conv2d

Verdict = tuple[Tensor, list[Tensor]]
"""Scores `[batch, any]`, where 1 means recorded, and what every layer saw on the way; the last of these are the scores
themselves, in their own shape."""

SLOPE = 0.1


class Critic(nn.Module):
    """Layers, and one more that gives the scores."""

    convs: nn.ModuleList
    conv_post: nn.Module

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def verdict(self, x: Tensor) -> Verdict:
        seen = []
        for layer in self.convs:
            x = F.leaky_relu(layer(x), self.slope)
            seen.append(x)
        x = self.conv_post(x)
        return x.flatten(1), [*seen, x]


class PeriodCritic(Critic):
    """Looks at every `period`-th sample (HiFi-GAN, Kong et al., arXiv 2010.05646)."""

    def __init__(self, period: int, widths: tuple[int, ...] = (64, 128, 256, 512, 1024), slope: float = 0.2) -> None:
        super().__init__(slope)
        self.period = period
        last = len(widths) - 1
        self.convs = nn.ModuleList(
            Conv2d(before, after, (5, 1), (1 if place == last else 3, 1), padding=(2, 0))
            for place, (before, after) in enumerate(zip((1, *widths[:-1]), widths, strict=True))
        )
        self.conv_post = Conv2d(widths[-1], 1, (3, 1), padding=(1, 0))

    def forward(self, sound: Tensor) -> Verdict:
        missing = -sound.shape[-1] % self.period
        if missing:
            sound = F.pad(sound, (0, missing), mode="reflect")
        return self.verdict(sound.unflatten(-1, (-1, self.period)))


class ScaleCritic(Critic):
    """Looks at the wave itself (MelGAN, Kumar et al., arXiv 1910.06711)."""

    def __init__(self, widen: int = 16) -> None:
        super().__init__(SLOPE)
        full = 64 * widen
        self.convs = nn.ModuleList(
            [
                Conv1d(1, widen, 15, padding=7),
                Conv1d(widen, 4 * widen, 41, 4, groups=4, padding=20),
                Conv1d(4 * widen, 16 * widen, 41, 4, groups=16, padding=20),
                Conv1d(16 * widen, full, 41, 4, groups=64, padding=20),
                Conv1d(full, full, 41, 4, groups=256, padding=20),
                Conv1d(full, full, 5, padding=2),
            ]
        )
        self.conv_post = Conv1d(full, 1, 3, padding=1)

    def forward(self, sound: Tensor) -> Verdict:
        return self.verdict(sound)


class Several(nn.Module):
    """Critics in the key layout of published ones."""

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(members)
