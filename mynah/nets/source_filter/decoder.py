"""The decoder: harmonics and noise, both filtered by what a small net makes of words, melody and voice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.core.system import Weights
from mynah.nets.convnext import ConvNeXt

WEIGHTS = Weights(
    "shipped:mynah_decoder.safetensors",
    sha256="e6dbf805103c6f868377ad425e5db208870ca068196aa0d4bb5e16554c73180e",
    bytes=13561038,
    license="CC-BY-SA-4.0",
)


@dataclass(frozen=True)
class DecoderConfig:
    """Sizes. A frame is 10 ms; look-ahead is one frame for each block, three before them, two for the content."""

    rate: int = 32_000
    hop: int = 320
    n_fft: int = 1280
    content: int = 64
    voice: int = 192
    channels: int = 320
    dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2, 4, 1)


def pulses(turns: Tensor, pitch: Tensor, rate: int) -> Tensor:
    """All harmonics below half the rate as cosines of equal strength, unit power; silent where pitch is 0.

    The closed form of the sum (Dirichlet's kernel) makes the cost independent of the number of harmonics. The topmost
    one is faded in as the pitch falls, so that nothing clicks.

    Args:
        turns: Phase of the fundamental in turns, shape `[batch, time]`, float64 or already reduced to [0, 1).
        pitch: Hz, shape `[batch, time]`.
    """
    voiced = pitch > 0
    count = rate / 2 / pitch.clamp(min=20.0) - 1
    whole = count.floor()
    x = turns - turns.round()  # in [-1/2, 1/2], where float32 is exact enough
    x = x.float()
    half = torch.sin(math.pi * x)
    near = half.abs() < 1e-4
    kernel = torch.sin((2 * whole + 1) * math.pi * x) / torch.where(near, torch.ones_like(half), half)
    kernel = (torch.where(near, 2 * whole + 1, kernel) - 1) / 2
    top = torch.cos(2 * math.pi * torch.remainder((whole + 1) * x, 1.0))
    return (kernel + (count - whole) * top) * (2 / count).sqrt() * voiced


class Decoder(nn.Module):
    """Words, melody, loudness and a voice to 32 kHz sound.

    Shapes:
        content `[batch, size, frame / 2]` at 50/s; pitch (Hz, 0 where unvoiced) and loudness (dB) `[batch, frame]`
        at 100/s; voice `[batch, size]`; the result of `forward` is `[batch, 3, bin, frame]`: log amplitude of the
        harmonics, their phase, log amplitude of the noise.
    """

    window: Tensor

    def __init__(self, config: DecoderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or DecoderConfig()
        self.enter = nn.Conv1d(config.content + 5, config.channels, 7)
        self.voice = nn.Linear(config.voice, config.channels)
        self.blocks = nn.ModuleList(
            ConvNeXt(config.channels, dilation=dilation, ahead=1, condition=config.voice)
            for dilation in config.dilations
        )
        self.norm = nn.LayerNorm(config.channels)
        self.bins = config.n_fft // 2 + 1
        self.out = nn.Linear(config.channels, 3 * self.bins)
        nn.init.normal_(self.out.weight, std=0.02)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)

    def forward(self, content: Tensor, pitch: Tensor, loudness: Tensor, voice: Tensor) -> Tensor:
        voiced = (pitch > 0).to(content.dtype)
        octave = torch.log2(pitch.clamp(min=30.0) / 220.0) * voiced
        turn = 2 * math.pi * octave
        level = loudness / 20 + 2
        melody = torch.stack([octave, torch.sin(turn) * voiced, torch.cos(turn) * voiced, voiced, level], dim=1)
        # Twice the rate: every second frame is the mean of its neighbours.
        following = torch.cat([content[..., 1:], content[..., -1:]], dim=-1)
        content = torch.stack([content, (content + following) / 2], dim=-1).flatten(-2)
        voice = voice * math.sqrt(voice.shape[-1])  # unit length to unit variance
        x = self.enter(F.pad(torch.cat([content, melody], dim=1), (3, 3))) + self.voice(voice)[..., None]
        for block in self.blocks:
            x = block(x, voice)
        x = self.out(self.norm(x.transpose(1, 2))).float()
        return x.unflatten(-1, (3, self.bins)).permute(0, 2, 3, 1)

    def filters(self, out: Tensor) -> tuple[Tensor, Tensor]:
        """Complex response for the harmonics and real one for the noise, each `[batch, bin, frame]`."""
        harmonic, phase, noise = out.unbind(1)
        harmonic = torch.exp(3 * harmonic.clamp(-4, 2) - 2)
        return torch.polar(harmonic, math.pi * torch.tanh(phase)), torch.exp(3 * noise.clamp(-5, 1.5) - 4)

    def spectrum(self, wave: Tensor) -> Tensor:
        """Of an excitation `[batch, time]`: `[batch, bin, time // hop]`, frame `i` centred at `i * hop`."""
        half = self.config.n_fft // 2
        padded = F.pad(wave, (half, half))
        frames = wave.shape[-1] // self.config.hop
        spectrum = torch.stft(
            padded, self.config.n_fft, self.config.hop, window=self.window, center=False, return_complex=True
        )
        return spectrum[..., :frames]

    def overlap_add(self, spectrum: Tensor) -> Tensor:
        """Back to sound, `[batch, frame * hop]`; what hangs over the edges is cut."""
        config = self.config
        # Hann squared at four-fold overlap sums to 3/2.
        pieces = torch.fft.irfft(spectrum, dim=1) * (self.window[:, None] / (1.5 * config.n_fft / (4 * config.hop)))
        frames = spectrum.shape[-1]
        length = (frames - 1) * config.hop + config.n_fft
        wave = F.fold(pieces, (1, length), (1, config.n_fft), stride=(1, config.hop))[:, 0, 0]
        half = config.n_fft // 2
        return wave[:, half : half + frames * config.hop]

    def sing(self, out: Tensor, harmonics: Tensor, noise: Tensor) -> Tensor:
        """Filter excitations `[batch, time]` with what `forward` said; `[batch, time]`."""
        return self.overlap_add(self.mixed(out, harmonics, noise))

    def mixed(self, out: Tensor, harmonics: Tensor, noise: Tensor) -> Tensor:
        """Spectrum of the filtered excitations, `[batch, bin, frame]`."""
        for_harmonics, for_noise = self.filters(out)
        return self.spectrum(harmonics) * for_harmonics + self.spectrum(noise) * for_noise

    def excite(self, pitch: Tensor, start_turns: Tensor) -> Tensor:
        """Harmonics for a whole batch of clips: pitch `[batch, frame]`, phase to begin with `[batch]` in turns."""
        config = self.config
        per_sample = held(pitch, config.hop)
        turns = (per_sample.double() / config.rate).cumsum(-1) + start_turns[:, None].double()
        return pulses(turns, per_sample, config.rate)


def held(pitch: Tensor, hop: int) -> Tensor:
    """Pitch per sample, linear between voiced frames, held toward unvoiced ones: `[batch, frame]` to `[batch, time]`.

    Frame `i` is centred at sample `i * hop`; the voiced region of a frame reaches half a hop to either side.
    """
    following = torch.cat([pitch[:, 1:], pitch[:, -1:]], dim=-1)
    start = torch.where(pitch > 0, pitch, following)
    end = torch.where(following > 0, following, pitch)
    part = torch.arange(hop, device=pitch.device) / hop
    line = torch.lerp(start[..., None], end[..., None], part)
    nearest = torch.where(part < 0.5, (pitch > 0)[..., None], (following > 0)[..., None])
    return (line * nearest).flatten(-2)
