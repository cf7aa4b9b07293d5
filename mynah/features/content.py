"""Content: what is said or sung, 50 times a second, without who says it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.audio.resample import resample
from mynah.catalog.checkpoint import load_safetensors, load_strict
from mynah.catalog.weights import fetch
from mynah.core.system import Weights
from mynah.core.types import Audio
from mynah.features.mel import LogMel, PowerSpectrum
from mynah.nets.convnext import ConvNeXt

WEIGHTS = Weights(
    "shipped:content_student.safetensors",
    sha256="c9fc45cdd56da072190ecb50fbc3a39361658baed4ddc9ad04c795f5a4d2b170",
    bytes=4419904,
    license="CC-BY-SA-4.0",
)
RATE = 16_000
HOP = 320  # samples at 16 kHz between content frames: 50 frames/s


@dataclass(frozen=True)
class ContentConfig:
    """Sizes of the content student. Look-ahead is 12.5 ms (window) + 10 ms (stem) + 20 ms for each of `ahead`."""

    bands: int = 80
    channels: int = 240
    size: int = 64
    dilations: tuple[int, ...] = (1, 2, 4, 1, 2, 4)
    ahead: tuple[int, ...] = (1, 1, 0, 0, 0, 0)


class ContentStudent(nn.Module):
    """A small causal-but-for-62-ms net that hears the words of a recording.

    It learns to tell, from a recording whose pitch, formants, colour, level, noise and room were altered, what a
    Whisper
    encoder hears in the unaltered one once the mean of the singer has been taken off (`mynah.convert.mynah.recipe`).
    """

    def __init__(self, config: ContentConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ContentConfig()
        self.power = PowerSpectrum()
        self.mel = LogMel(bands=config.bands)
        self.stem = nn.Conv1d(config.bands, config.channels, 5, stride=2)
        self.blocks = nn.ModuleList(
            ConvNeXt(config.channels, dilation=dilation, ahead=ahead)
            for dilation, ahead in zip(config.dilations, config.ahead, strict=True)
        )
        self.norm = nn.LayerNorm(config.channels)
        self.out = nn.Linear(config.channels, config.size)

    def _paddings(self) -> list[tuple[int, int]]:
        return [block.padding for block in self.blocks if isinstance(block, ConvNeXt)]

    @property
    def past_seconds(self) -> float:
        """How far back a frame listens."""
        return 0.03 + 0.0125 + 0.02 * sum(padding[0] for padding in self._paddings())

    @property
    def ahead_seconds(self) -> float:
        """How far ahead a frame listens: the latency of a stream."""
        return 0.01 + 0.0125 + 0.02 * sum(padding[1] for padding in self._paddings())

    def from_power(self, power: Tensor) -> Tensor:
        """Content of a power spectrum `[batch, 201, 2 * frame]` at 100 frames/s.

        Returns:
            Shape `[batch, size, frame]`, zero mean and unit variance over size.
        """
        x = self.stem(F.pad(self.mel(power), (3, 1)))
        for block in self.blocks:
            x = block(x)
        z: Tensor = self.out(self.norm(x.transpose(1, 2)))
        return F.layer_norm(z, z.shape[-1:]).transpose(1, 2)

    def forward(self, wave: Tensor) -> Tensor:
        """Content of 16 kHz waveforms `[batch, time]`: `[batch, size, time // 320]`."""
        return self.from_power(self.power(wave[..., : wave.shape[-1] // HOP * HOP]))

    @torch.inference_mode()
    def frames(self, source: Audio) -> Tensor:
        """Content of a recording of any rate and number of channels: `[frame, size]` at 50 frames/s."""
        wave = resample(source, RATE).samples.mean(0, keepdim=True)
        return self(F.pad(wave, (0, -wave.shape[-1] % HOP)))[0].T.clone()


@cache
def load() -> ContentStudent:
    """The shipped one."""
    student = ContentStudent()
    load_strict(student, load_safetensors(fetch(WEIGHTS)), "the content student")
    return student.eval().requires_grad_(False)
