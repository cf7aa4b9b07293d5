"""The three kinds of critics, in the published key layout: ten of them altogether."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.nets.normed import Conv1d, Conv2d

Verdict = tuple[Tensor, list[Tensor]]
"""Scores `[batch, any]`, where 1 means recorded, and what every layer saw on the way; the last of these are the scores
themselves, in their own shape."""

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (4096, 480, 2400), (512, 50, 240))  # transform, hop, window
PERIODS = (2, 3, 5, 7, 11)
SLOPE, SCALE_SLOPE = 0.2, 0.1


class _Critic(nn.Module):
    """Layers, and one more that gives the scores."""

    convs: nn.ModuleList
    conv_post: nn.Module
    slope = SLOPE

    def _verdict(self, x: Tensor) -> Verdict:
        seen = []
        for layer in self.convs:
            x = F.leaky_relu(layer(x), self.slope)
            seen.append(x)
        x = self.conv_post(x)
        return x.flatten(1), [*seen, x]


class SpectralCritic(_Critic):
    """Looks at magnitudes of short-time spectra (UnivNet, Jang et al., arXiv 2106.07889), by a rectangular window."""

    def __init__(self, size: int, hop: int, window: int, channels: int = 32) -> None:
        super().__init__()
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
        return self._verdict(spectrum.abs()[:, None])


class PeriodCritic(_Critic):
    """Looks at every `period`-th sample (HiFi-GAN, Kong et al., arXiv 2010.05646)."""

    def __init__(self, period: int, widths: tuple[int, ...] = (64, 128, 256, 512, 1024)) -> None:
        super().__init__()
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
        return self._verdict(sound.unflatten(-1, (-1, self.period)))


class ScaleCritic(_Critic):
    """Looks at the wave itself (MelGAN, Kumar et al., arXiv 1910.06711)."""

    slope = SCALE_SLOPE

    def __init__(self, widen: int = 16) -> None:
        super().__init__()
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
        return self._verdict(sound)


class _Several(nn.Module):
    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(members)


class Critics(nn.Module):
    """Four of spectra, five of periods, one of the wave.

    Shape:
        Sound `[batch, 1, time]` to one verdict for each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.MRD = _Several([SpectralCritic(*resolution) for resolution in RESOLUTIONS])
        self.MPD = _Several([PeriodCritic(period) for period in PERIODS])
        self.MSD = ScaleCritic()

    def forward(self, sound: Tensor) -> list[Verdict]:
        return [critic(sound) for critic in (*self.MRD.discriminators, *self.MPD.discriminators, self.MSD)]
