"""Speaker: who sings, as one vector that does not depend on the words, the order or the number of the clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.audio.resample import resample
from mynah.catalog.checkpoint import load_safetensors, load_strict
from mynah.catalog.weights import fetch
from mynah.core.errors import BadVoice
from mynah.core.system import Weights
from mynah.core.types import Audio
from mynah.features.mel import LogMel, PowerSpectrum
from mynah.nets.convnext import ConvNeXt

WEIGHTS = Weights(
    "shipped:voice_encoder.safetensors",
    sha256="7c232212840c8459c515898c480afc9ef49d50955ab7588f50515fd20a23988a",
    bytes=2148720,
    license="CC-BY-SA-4.0",
)
ENCODER = "mynah-1"  # vectors of different encoders cannot be compared, so every stored one says whose it is
RATE = 16_000
PIECE_SECONDS = 10.0


@dataclass(frozen=True)
class SpeakerConfig:
    """Sizes of the voice encoder."""

    bands: int = 80
    channels: int = 192
    size: int = 192
    dilations: tuple[int, ...] = (1, 2, 3, 4)


class VoiceEncoder(nn.Module):
    """Hears a stretch of a voice and gives a vector of unit length.

    Attentive statistics pooling (Okabe et al., arXiv 1803.10963) over ConvNeXt frames; clips are embedded by themselves
    and averaged, so their order cannot matter.
    """

    def __init__(self, config: SpeakerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SpeakerConfig()
        self.power = PowerSpectrum()
        self.mel = LogMel(bands=config.bands)
        self.stem = nn.Conv1d(config.bands, config.channels, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(ConvNeXt(config.channels, dilation=dilation) for dilation in config.dilations)
        self.norm = nn.LayerNorm(config.channels)
        self.attention = nn.Sequential(nn.Linear(config.channels, 64), nn.Tanh(), nn.Linear(64, config.channels))
        self.out = nn.Linear(2 * config.channels, config.size)

    def from_power(self, power: Tensor) -> Tensor:
        """Vectors of power spectra `[batch, 201, frame]`: `[batch, size]`, unit length."""
        mel = self.mel(power)
        # The level of a recording says nothing about the voice.
        mel = mel - mel.amax(dim=1).mean(dim=-1)[:, None, None]
        x = self.stem(mel)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x.transpose(1, 2))
        weight = self.attention(x).float().softmax(dim=1)
        x = x.float()
        mean = (weight * x).sum(1)
        deviation = ((weight * x.square()).sum(1) - mean.square()).clamp(min=1e-5).sqrt()
        return F.normalize(self.out(torch.cat([mean, deviation], dim=-1)).float(), dim=-1)

    def forward(self, wave: Tensor) -> Tensor:
        """Vectors of 16 kHz waveforms `[batch, time]`: `[batch, size]`, unit length."""
        return self.from_power(self.power(wave))

    @torch.inference_mode()
    def embed(self, clips: Sequence[Audio]) -> Tensor:
        """One vector `[size]` for a voice from clips of any length and rate: the mean over pieces, by duration.

        Raises:
            BadVoice: No clip is longer than a tenth of a second.
        """
        total = torch.zeros(self.config.size)
        for clip in clips:
            wave = resample(clip, RATE).samples.mean(0)
            for piece in wave.split(round(PIECE_SECONDS * RATE)):
                if len(piece) >= RATE // 10:
                    total += len(piece) * self(piece[None])[0]
        if not total.any():
            raise BadVoice("a voice needs clips that are longer than a tenth of a second")
        return F.normalize(total, dim=0).clone()


@cache
def load() -> VoiceEncoder:
    """The shipped one."""
    encoder = VoiceEncoder()
    load_strict(encoder, load_safetensors(fetch(WEIGHTS)), "the voice encoder")
    return encoder.eval().requires_grad_(False)
