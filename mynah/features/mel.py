"""Mel spectrograms: what the ear resolves of a spectrum."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def hz_to_mel(hz: float) -> float:
    """Slaney's mel scale: linear below 1 kHz, logarithmic above."""
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def mel_to_hz(mel: Tensor) -> Tensor:
    """The inverse of `hz_to_mel`, elementwise."""
    return torch.where(mel < 15, mel * 200 / 3, 1000 * torch.exp((mel - 15) * math.log(6.4) / 27))


def mel_filters(rate: int, n_fft: int, bands: int, low_hz: float = 0.0, high_hz: float | None = None) -> Tensor:
    """Triangles of equal area on Slaney's mel scale, shape `[bands, n_fft // 2 + 1]`.

    Source: M. Slaney, Auditory Toolbox, 1998; the layout that librosa and Whisper use.
    """
    high_hz = rate / 2 if high_hz is None else high_hz
    edges = mel_to_hz(torch.linspace(hz_to_mel(low_hz), hz_to_mel(high_hz), bands + 2, dtype=torch.float64))
    bins = torch.linspace(0, rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    area = 2 / (edges[2:] - edges[:-2])
    return (torch.minimum(rising, falling).clamp(min=0) * area[:, None]).float()


class PowerSpectrum(nn.Module):
    """Short-time power; frame `i` is centred at sample `i * hop`, with silence before the start and after the end.

    Shape:
        `[batch, time]` to `[batch, n_fft // 2 + 1, time // hop]`.
    """

    window: Tensor

    def __init__(self, n_fft: int = 400, hop: int = 160) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        padded = F.pad(wave, (self.n_fft // 2, self.n_fft // 2))
        spectrum = torch.stft(padded, self.n_fft, self.hop, window=self.window, center=False, return_complex=True)
        return spectrum[..., : wave.shape[-1] // self.hop].abs().square()


class LogMel(nn.Module):
    """Log10 mel power of a power spectrum, about -1 to 1 for ordinary levels.

    Unlike Whisper's front end it looks at no frame but the present one, so that it can run while the sound comes in.

    Shape:
        `[batch, n_fft // 2 + 1, frame]` to `[batch, bands, frame]`.
    """

    filters: Tensor

    def __init__(self, rate: int = 16_000, n_fft: int = 400, bands: int = 80) -> None:
        super().__init__()
        self.register_buffer("filters", mel_filters(rate, n_fft, bands), persistent=False)

    def forward(self, power: Tensor) -> Tensor:
        # Quieter than -80 dB below full scale is silence: no recording resolves it, and no net should listen to it.
        return (torch.matmul(self.filters, power).clamp(min=1e-6).log10() + 2) / 4
