"""The net: bands of a stereo spectrum, a U-Net of ConvNeXt blocks over bands and time, a stereo mask for each bin."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class MaskConfig:
    """Sizes.

    Attributes:
        size: Of the spectrum's window, samples.
        hop: Between frames, samples.
        widths: Bins in a band and how many bands are so wide, from the lowest up; together half of `size`.
        channels: At each depth of the U; bands and frames are halved from one depth to the next.
        blocks: At each depth, on the way down and again on the way up; the deepest has as many once.
        kernel: Of the depthwise convolutions: bands and frames.
    """

    size: int = 4096
    hop: int = 1024
    widths: tuple[tuple[int, int], ...] = ((2, 48), (4, 40), (8, 32), (16, 24), (32, 12), (64, 12))
    channels: tuple[int, ...] = (32, 80, 160, 288)
    blocks: tuple[int, ...] = (1, 2, 3, 4)
    kernel: tuple[int, int] = (5, 5)

    @property
    def edges(self) -> list[int]:
        """First bin of every band, and the end of the last."""
        edges = [0]
        for width, count in self.widths:
            edges += [edges[-1] + width * (k + 1) for k in range(count)]
        return edges

    @property
    def step(self) -> int:
        """Frames have to come in multiples of this."""
        return 2 ** (len(self.channels) - 1)

    @property
    def context(self) -> int:
        """How many frames the net looks back, and as many ahead, in multiples of `step`."""
        reach = sum(
            (self.kernel[1] // 2) * blocks * (2 if depth < len(self.channels) - 1 else 1) * 2**depth
            for depth, blocks in enumerate(self.blocks)
        )
        return -(-(reach + self.step) // self.step) * self.step


class Block(nn.Module):
    """ConvNeXt over bands and frames, `[batch, channel, band, frame]`: each channel by itself, then each place.

    Besides its neighbours a band hears all others, as harmonics are far apart: TFC-TDF (Choi et al., arXiv 1912.02591).
    """

    def __init__(self, channels: int, kernel: tuple[int, int], bands: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(channels, channels, kernel, padding=(kernel[0] // 2, kernel[1] // 2), groups=channels)
        # From all bands to all bands, alike for every channel.
        self.gather, self.spread = nn.Linear(bands, bands // 2), nn.Linear(bands // 2, bands)
        self.norm = nn.LayerNorm(channels)
        self.wide = nn.Linear(channels, 3 * channels)
        self.back = nn.Linear(3 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # on a CPU twice as fast to learn in float32
            y = self.around(x.float()).permute(0, 2, 3, 1).to(x.dtype)
        y = y + self.spread(F.relu(self.gather(x.permute(0, 3, 1, 2)))).permute(0, 3, 1, 2)
        y = self.norm(y)
        y = self.back(F.gelu(self.wide(y), approximate="tanh"))
        # In the type of y, so that in training with bfloat16 what goes on from block to block stays small.
        return x + (y * self.scale.to(y.dtype)).permute(0, 3, 1, 2)


class MaskNet(nn.Module):
    """From the middle and side spectra of a mix to those of its vocals, by a 2-by-2 complex mask for each bin."""

    def __init__(self, config: MaskConfig) -> None:
        super().__init__()
        self.config = config
        edges = config.edges
        first = config.channels[0]
        self.groups: list[tuple[int, int, int]] = []  # first bin, width and count of the bands of one width
        begin = 0
        for width, count in config.widths:
            self.groups.append((begin, width, count))
            begin += width * count
        assert begin == edges[-1] == config.size // 2
        self.hear = nn.ParameterList(
            [
                nn.Parameter(torch.randn(count, FEATURES * width, first) / (FEATURES * width) ** 0.5)
                for width, count in config.widths
            ]
        )
        self.place = nn.Parameter(0.02 * torch.randn(first, len(edges) - 1, 1))
        self.down = nn.ModuleList([nn.Conv2d(a, b, 2, 2) for a, b in pairwise(config.channels)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairwise(config.channels)])

        def stack(depth: int) -> nn.Sequential:
            return nn.Sequential(
                *[
                    Block(config.channels[depth], config.kernel, (len(edges) - 1) >> depth)
                    for _ in range(config.blocks[depth])
                ]
            )

        depths = range(len(config.channels))
        self.before = nn.ModuleList([stack(depth) for depth in depths])
        self.after = nn.ModuleList([stack(depth) for depth in depths[:-1]])
        self.join = nn.ModuleList([nn.Conv2d(2 * a, a, 1) for a in config.channels[:-1]])
        self.norm = nn.LayerNorm(first)
        self.tell = nn.ParameterList(
            [
                nn.Parameter(torch.randn(count, first, MASKS * width) * 0.3 / first**0.5)
                for width, count in config.widths
            ]
        )
        self.bias = nn.ParameterList(
            [nn.Parameter(torch.zeros(count, 1, MASKS * width)) for width, count in config.widths]
        )

    def forward(self, spectrum: Tensor, groups: int | None = None) -> Tensor:
        """The vocals' share of a spectrum.

        Args:
            spectrum: Of a mix, middle and side, complex `[batch, 2, bin, frame]`; frames in multiples of `step`.
            groups: How many groups of bands, from the lowest, are wanted; by default all.

        Returns:
            The vocals, `[batch, 2, bin, frame]`, of as many bins as the groups have.
        """
        features = heard(spectrum)  # [batch, bin, frame, feature]
        batch, _, frames, _ = features.shape
        bands = []
        for (begin, width, count), weight in zip(self.groups, self.hear, strict=True):
            part = features[:, begin : begin + width * count].unflatten(1, (count, width))
            part = part.permute(0, 1, 3, 2, 4).flatten(3).transpose(0, 1).reshape(count, batch * frames, -1)
            bands.append(torch.bmm(part, weight))
        x = torch.cat(bands).unflatten(1, (batch, frames)).permute(1, 3, 0, 2)
        x = (x + self.place.to(x.dtype)).contiguous(memory_format=torch.channels_last)
        kept = []
        for blocks, down in zip(self.before, self.down, strict=False):
            x = blocks(x)
            kept.append(x)
            x = down(x)
        x = self.before[-1](x)
        for depth in reversed(range(len(self.down))):
            x = self.join[depth](torch.cat([self.up[depth](x), kept[depth]], 1))
            x = self.after[depth](x)
        x = self.norm(x.permute(0, 2, 3, 1)).permute(1, 0, 2, 3).flatten(1, 2)  # [band, batch * frame, channel]
        vocals, at = [], 0
        for (begin, width, count), weight, bias in zip(self.groups[:groups], self.tell, self.bias, strict=False):
            # Group by group, because masks are four times as large as what they are put on.
            told = torch.bmm(x[at : at + count], weight).float() + bias
            mask = torch.view_as_complex(told.view(count, batch, frames, width, 2, 2, 2))  # [..., out, in]
            seen = spectrum[:, :, begin : begin + width * count].unflatten(2, (count, width))
            passed = (mask * seen.permute(2, 0, 4, 3, 1).unsqueeze(-2)).sum(-1)  # [count, batch, frame, width, out]
            vocals.append(passed.permute(1, 4, 0, 3, 2).flatten(2, 3))
            at += count
        return torch.cat(vocals, 2)


FEATURES = 6
MASKS = 8


def heard(spectrum: Tensor) -> Tensor:
    """What the net hears of each bin: log magnitudes, and both parts of both spectra with their range compressed."""
    level = spectrum.abs().clamp_min(1e-5)
    small = spectrum * level**-0.7
    parts = torch.stack(
        [
            level[:, 0].log() / 4,
            level[:, 1].log() / 4,
            small[:, 0].real,
            small[:, 0].imag,
            small[:, 1].real,
            small[:, 1].imag,
        ],
        -1,
    )
    return parts


class Spectrum(nn.Module):
    """Short-time spectra without the highest bin, and back."""

    window: Tensor

    def __init__(self, size: int, hop: int) -> None:
        super().__init__()
        self.size, self.hop = size, hop
        self.register_buffer("window", torch.hann_window(size), persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        """`[..., time]` to `[..., bin, frame]`, complex; the first frame begins with the wave."""
        flat = wave.flatten(0, -2)
        spectra = torch.stft(
            flat, self.size, self.hop, window=self.window, center=False, normalized=True, return_complex=True
        )
        return spectra[:, :-1].unflatten(0, wave.shape[:-1])

    def back(self, spectrum: Tensor) -> Tensor:
        """`[channel, bin, frame]` with the highest bin to `[channel, time]` from the middle of the first frame on."""
        return torch.istft(spectrum, self.size, self.hop, window=self.window, normalized=True)


def middle_and_side(spectrum: Tensor) -> Tensor:
    """Of left and right, `[batch, 2, ...]`; and the other way round, since it is its own inverse."""
    left, right = spectrum[:, 0], spectrum[:, 1]
    return torch.stack([left + right, left - right], 1) * 0.5**0.5
