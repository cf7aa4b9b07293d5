"""Multi-scale critics that tell recordings from renderings, at full, half and a quarter of the rate.

Source: MelGAN (Kumar et al., arXiv 1910.06711), with verdicts judged by least squares.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from mynah.nets.normed import Conv1d
from mynah.train.losses import Verdict


class ScaleCritic(nn.Module):
    """Grouped convolutions that go down by four, four times."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        widths = [channels, *(min(64 * channels, channels * 4**level) for level in range(1, 5))]
        self.layers = nn.ModuleList([Conv1d(1, channels, 15, padding=7)])
        for before, after in pairwise(widths):
            self.layers.append(Conv1d(before, after, 41, stride=4, padding=20, groups=max(1, before // 4)))
        self.layers.append(Conv1d(widths[-1], widths[-1], 5, padding=2))
        self.verdict = Conv1d(widths[-1], 1, 3, padding=1)

    def forward(self, wave: Tensor) -> Verdict:
        seen = []
        for layer in self.layers:
            wave = F.leaky_relu(layer(wave), 0.2)
            seen.append(wave)
        return self.verdict(wave), seen


class Critics(nn.Module):
    """One for each scale.

    Args:
        channels: Of the first layer: 16 in the published one, 4 for a processor.
        scales: How many.
    """

    def __init__(self, channels: int = 16, scales: int = 3) -> None:
        super().__init__()
        self.members = nn.ModuleList(ScaleCritic(channels) for _ in range(scales))

    def forward(self, wave: Tensor) -> list[Verdict]:
        """Of `[batch, time]`."""
        heard, verdicts = wave[:, None], []
        for member in self.members:
            verdicts.append(member(heard))
            heard = F.avg_pool1d(heard, 4, 2, padding=1, count_include_pad=False)
        return verdicts
