"""Critics that tell recordings from renderings, small enough to train on two cores."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from mynah.train.losses import Verdict


def wakeful(layer: nn.Conv2d) -> nn.Module:
    """Weight norm, and weights that neither swell nor quell what passes.

    With torch's own, what differs between two waves has died away after four layers, and a critic that hears only its
    biases says one half to everything.
    """
    nn.init.kaiming_normal_(layer.weight, a=0.1)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return weight_norm(layer)


class PeriodCritic(nn.Module):
    """Looks at every `period`-th sample (HiFi-GAN, Kong et al., arXiv 2010.05646), with a quarter of the channels."""

    def __init__(self, period: int, channels: tuple[int, ...] = (12, 32, 64, 128)) -> None:
        super().__init__()
        self.period = period
        self.layers = nn.ModuleList(
            wakeful(nn.Conv2d(before, after, (5, 1), (3, 1), padding=(2, 0)))
            for before, after in zip((1, *channels[:-1]), channels, strict=True)
        )
        self.verdict = wakeful(nn.Conv2d(channels[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, wave: Tensor) -> Verdict:
        wave = wave[:, : wave.shape[-1] // self.period * self.period]
        x = wave.unflatten(-1, (-1, self.period))[:, None]
        seen = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
            seen.append(x)
        return self.verdict(x), seen


class SpectralCritic(nn.Module):
    """Looks at a log spectrogram (UnivNet, Jang et al., arXiv 2106.07889)."""

    window: Tensor

    def __init__(self, n_fft: int, channels: int = 20) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.layers = nn.ModuleList(
            wakeful(nn.Conv2d(1 if first else channels, channels, (9, 3), (2, 1), padding=(4, 1)))
            for first in (True, False, False, False)
        )
        self.verdict = wakeful(nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, wave: Tensor) -> Verdict:
        spectrum = torch.stft(wave, self.n_fft, self.n_fft // 4, window=self.window, return_complex=True)
        x = ((spectrum.abs() + 1e-2).log() / 3)[:, None]
        seen = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
            seen.append(x)
        return self.verdict(x), seen


class Critics(nn.Module):
    """All of them: five periods, three resolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList(
            [
                *(PeriodCritic(period) for period in (2, 3, 5, 7, 11)),
                *(SpectralCritic(size) for size in (2048, 1024, 512)),
            ]
        )

    def forward(self, wave: Tensor) -> list[Verdict]:
        return [member(wave) for member in self.members]
