"""The three kinds of critics, in the published key layout: ten of them altogether."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.nets.critics import Critic, PeriodCritic, ScaleCritic, Several, Verdict
from mynah.nets.normed import Conv2d

__all__ = ["PERIODS", "RESOLUTIONS", "Critics", "PeriodCritic", "ScaleCritic", "SpectralCritic", "Verdict"]

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (4096, 480, 2400), (512, 50, 240))  # transform, hop, window
PERIODS = (2, 3, 5, 7, 11)
SLOPE = 0.2


class SpectralCritic(Critic):
    """Looks at magnitudes of short-time spectra (UnivNet, Jang et al., arXiv 2106.07889), by a rectangular window."""

    def __init__(self, size: int, hop: int, window: int, channels: int = 32) -> None:
        super().__init__(SLOPE)
        self.size, self.hop, self.window = size, hop, window
        self.convs = nn.ModuleList(
            [
                Conv2d(1, channels, (3, 9), padding=(1, 4)),
                *(Conv2d(channels, channels, (3, 9), stride=(1, 2), padding=(1, 4)) for _ in range(3)),
                Conv2d(channels, channels, 3, padding=1),
            ]
        )
        self.conv_post = Conv2d(channels, 1, 3, padding=1)

    def forward(self, sound: Tensor) -> Verdict:
        sides = (self.size - self.hop) // 2
        padded = F.pad(sound, (sides, sides), mode="reflect")[:, 0]
        window = torch.ones(self.window, device=sound.device, dtype=sound.dtype)
        spectrum = torch.stft(
            padded, self.size, self.hop, self.window, window, center=False, return_complex=True
        )  # fmt: skip
        return self.verdict(spectrum.abs()[:, None])


class Critics(nn.Module):
    """Four of spectra, five of periods, one of the wave.

    Shape:
        Sound `[batch, 1, time]` to one verdict for each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.MRD = Several([SpectralCritic(*resolution) for resolution in RESOLUTIONS])
        self.MPD = Several([PeriodCritic(period) for period in PERIODS])
        self.MSD = ScaleCritic()

    def forward(self, sound: Tensor) -> list[Verdict]:
        return [critic(sound) for critic in (*self.MRD.discriminators, *self.MPD.discriminators, self.MSD)]
