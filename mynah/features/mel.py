"""Mel spectrograms: what the ear resolves of a spectrum."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.core.errors import BadAudio


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


@dataclass(frozen=True)
class Scale:
    """How a mel spectrogram says how strong a band is: `slope * log10(magnitude) + offset`.

    Attributes:
        slope: Per decade.
        offset: Of a magnitude of one.
        floor: What is weaker counts as this.
        low: Values end here.
        high: And here.
    """

    slope: float = math.log(10.0)
    offset: float = 0.0
    floor: float = 1e-5
    low: float = -math.inf
    high: float = math.inf

    def values(self, magnitudes: Tensor) -> Tensor:
        """Of magnitudes, elementwise."""
        strong = magnitudes.clamp(min=self.floor)
        if self == LN:
            return strong.log()
        return (strong.log10() * self.slope + self.offset).clamp(self.low, self.high)

    def magnitudes(self, values: Tensor) -> Tensor:
        """The inverse of `values`; never below the floor."""
        return (10 ** ((values - self.offset) / self.slope)).clamp(min=self.floor)


LN = Scale()
"""Natural logarithms: HiFi-GAN, Tacotron 2 of NVIDIA, ForwardTacotron, FastSpeech 2."""
LOG10 = Scale(1.0, 0.0, 1e-10)
"""WaveNet of r9y9, before its statistics."""
SYMMETRIC = Scale(1.6, 2.4, 1e-5, -4.0, 4.0)
"""-100 to 0 dB under a reference of 20 dB as -4 to 4: SV2TTS, and Tacotron 2 of its family."""
UNIT = Scale(0.2, 0.8, 1e-5, 0.0, 1.0)
"""The same as 0 to 1: WaveNet of 2018, WaveRNN."""

_FRAMES = 8192  # at once


@dataclass(frozen=True)
class MelFormat:
    """What a vocoder or a speaker means by a mel spectrogram; by default what HiFi-GAN means.

    Attributes:
        rate: Of the sound, in Hz.
        n_fft: Samples of a transform.
        hop: Samples from frame to frame.
        win: Samples under Hann's window, at most `n_fft`.
        bands: How many.
        low_hz: Where the first begins.
        high_hz: Where the last ends; None is half the rate.
        centred: Whether frame `i` is centred at sample `i * hop`, so that there is one frame more than whole hops;
            else at the middle of hop `i`.
        edges: What there is beyond both ends: the sound in reverse, or nothing.
        scale: What strengths are in.
        preemphasis: Share of the sample before that is taken off every sample.
        epsilon: Added to the power before its root is taken.
        root: Whether the window is the root of Hann's, scaled so that windows twice over add up to one (LWS).
        means: Of each band; empty for none. Values are told from there, in units of `deviations`.
        deviations: Of each band.

    Example:

        >>> MelFormat()(torch.zeros(1, 22_050)).shape
        torch.Size([1, 80, 86])
        >>> MelFormat(centred=True)(torch.zeros(1, 22_050)).shape
        torch.Size([1, 80, 87])
    """

    rate: int = 22_050
    n_fft: int = 1024
    hop: int = 256
    win: int = 1024
    bands: int = 80
    low_hz: float = 0.0
    high_hz: float | None = 8000.0
    centred: bool = False
    edges: Literal["reflect", "constant"] = "reflect"
    scale: Scale = LN
    preemphasis: float = 0.0
    epsilon: float = 1e-9
    root: bool = False
    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()

    @property
    def before(self) -> int:
        """Samples of a first frame that lie before the sound."""
        return self.n_fft // 2 if self.centred else (self.n_fft - self.hop) // 2

    def __call__(self, wave: Tensor) -> Tensor:
        """The mel spectrogram of sound `[batch, time]`, `[batch, band, frame]`.

        Raises:
            BadAudio: There is less sound than the edges need.
        """
        return self.values(self.strengths(wave))

    def strengths(self, wave: Tensor) -> Tensor:
        """Mel magnitudes of sound `[batch, time]`, `[batch, band, frame]`."""
        if wave.shape[-1] <= self.before:
            raise BadAudio(f"{wave.shape[-1]} samples at {self.rate} Hz are too short for a mel spectrogram")
        if self.preemphasis:
            wave = torch.cat([wave[..., :1], wave[..., 1:] - self.preemphasis * wave[..., :-1]], -1)
        after = self.before if self.centred else self.n_fft - self.hop - self.before
        padded = F.pad(wave[:, None], (self.before, after), mode=self.edges)[:, 0]
        window = self.window().to(wave)
        filters = self.filters().to(wave)
        frames = (padded.shape[-1] - self.n_fft) // self.hop + 1
        pieces = []
        for first in range(0, frames, _FRAMES):  # spectra of an hour take far more memory than its bands
            end = (min(first + _FRAMES, frames) - 1) * self.hop + self.n_fft
            sound = padded[:, first * self.hop : end]
            spectrum = torch.stft(sound, self.n_fft, self.hop, self.win, window, center=False, return_complex=True)
            power = torch.view_as_real(spectrum).square().sum(-1)
            pieces.append(torch.matmul(filters, (power + self.epsilon).sqrt()))
        return torch.cat(pieces, -1)

    def values(self, strengths: Tensor) -> Tensor:
        """Mel magnitudes `[batch, band, frame]` as this format says them."""
        values = self.scale.values(strengths)
        if not self.means:
            return values
        means, deviations = (values.new_tensor(each)[:, None] for each in (self.means, self.deviations))
        return (values - means) / deviations

    def magnitudes(self, mel: Tensor) -> Tensor:
        """The inverse of `values`."""
        if self.means:
            means, deviations = (mel.new_tensor(each)[:, None] for each in (self.means, self.deviations))
            mel = mel * deviations + means
        return self.scale.magnitudes(mel)

    def window(self) -> Tensor:
        """Under which a frame is heard, `[win]`."""
        if not self.root:
            return torch.hann_window(self.win)
        middle = (torch.arange(self.win) + 0.5) / self.win
        return torch.sin(math.pi * middle) * math.sqrt(2 * self.hop / self.win)

    def filters(self) -> Tensor:
        """Of the bands, `[band, n_fft // 2 + 1]`."""
        return _filters(self.rate, self.n_fft, self.bands, self.low_hz, self.high_hz)

    def misfit(self, other: MelFormat) -> str:
        """In what two formats differ beyond framing and scale, which can be changed; empty where in nothing.

        Example:

            >>> MelFormat().misfit(MelFormat(centred=True, scale=LOG10))
            ''
            >>> MelFormat().misfit(MelFormat(rate=16_000, hop=200))
            'rate 22050 and 16000, hop 256 and 200'
        """
        here, there = (replace(each, high_hz=each.high_hz or each.rate / 2) for each in (self, other))
        names = ("rate", "n_fft", "hop", "win", "bands", "low_hz", "high_hz", "preemphasis", "root")
        pairs = [(name, getattr(here, name), getattr(there, name)) for name in names]
        return ", ".join(f"{name} {ours:g} and {theirs:g}" for name, ours, theirs in pairs if ours != theirs)

    def to(self, other: MelFormat, mel: Tensor) -> Tensor:
        """A mel spectrogram of this format in a format that fits (see `misfit`), `[batch, band, frame]`."""
        same = (self.scale, self.means, self.deviations) == (other.scale, other.means, other.deviations)
        return mel if same else other.values(self.magnitudes(mel))


def deemphasised(wave: Tensor, share: float) -> Tensor:
    """The inverse of preemphasis, `[batch, time]`.

    Example:

        >>> deemphasised(torch.tensor([[1.0, -0.5, 0.0]]), 0.5)
        tensor([[1., 0., 0.]])
    """
    if not share:
        return wave
    from scipy.signal import lfilter

    return torch.from_numpy(lfilter([1.0], [1.0, -share], wave.double().cpu().numpy())).to(wave)


@cache
@torch.inference_mode(False)  # what is kept must be fit for training, too
def _filters(rate: int, n_fft: int, bands: int, low_hz: float, high_hz: float | None) -> Tensor:
    return mel_filters(rate, n_fft, bands, low_hz, high_hz)
