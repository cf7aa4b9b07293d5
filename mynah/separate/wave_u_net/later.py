"""The Wave-U-Net's later net, in PyTorch: strides of four, group norm, a fixed filter that resamples, one net a stem.

Names of parameters are those of the published checkpoint.
Source: D. Stoller's own second version, published as code (Wave-U-Net-Pytorch, 2019 to 2022).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mynah.nets.wave_u_net import cropped

TAPS = 15  # of the filter that resamples
GROUP = 8  # channels that are normalised together
LONGEST = 1 << 24  # samples
Count = Annotated[int, Field(ge=1, le=4096)]


@dataclass(frozen=True)
class LaterShape:
    """What a net is made of.

    Attributes:
        features: Channels of every level; the rate falls between one and the next.
        channels: Of the mix and of every stem.
        stems: What they are called.
        kernel: Of all convolutions, odd.
        stride: How much slower each level is than the one above.
        norm: Behind each convolution, of groups of eight channels or of the batch, and then a ReLU; or none and a leaky
            ReLU.
        filtered: A fixed low-pass resamples; else a convolution that is learnt.
        apart: Every stem has a net of its own; else one net gives all.
        samples: How many are to come out at once; a few more do.
    """

    features: Annotated[tuple[Count, ...], Field(min_length=2, max_length=16)] = (32, 64, 128, 256, 512, 1024)
    channels: Annotated[int, Field(ge=1, le=8)] = 2
    stems: tuple[str, ...] = ("bass", "drums", "other", "vocals")
    kernel: Annotated[int, Field(ge=1, le=63)] = 5
    stride: Annotated[int, Field(ge=2, le=16)] = 4
    norm: Literal["group", "batch", "none"] = "group"
    filtered: bool = True
    apart: bool = True
    samples: Annotated[int, Field(ge=1, le=LONGEST)] = 88_200

    def __post_init__(self) -> None:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernels must be odd, not {self.kernel}")
        if self.norm == "group" and any(width % GROUP for width in self.features):
            raise ValueError(f"channels are normalised in groups of {GROUP}: {self.features} cannot be")
        if self.stride ** (len(self.features) - 1) > LONGEST:
            raise ValueError(f"{len(self.features)} levels of stride {self.stride} are more than any sound has")

    @property
    def sizes(self) -> tuple[int, int]:
        """Samples in and samples out.

        Example:

            >>> LaterShape().sizes
            (97961, 88409)
        """
        # A filter mirrors what is around it, and that has to be there.
        lowest = TAPS // 2 + 1 if self.filtered else 2
        while self._sizes(lowest)[1] < self.samples:
            lowest += 1
        return self._sizes(lowest)

    def _sizes(self, lowest: int) -> tuple[int, int]:
        shrink = self.kernel - 1
        resampling = 0 if self.filtered else self.kernel - 1
        heard, given = lowest + shrink, lowest
        for _ in self.features[1:]:
            heard = (heard - 1) * self.stride + 1 + resampling + 2 * shrink
            given = (given - 1) * self.stride + 1 - resampling - 2 * shrink
        return heard, given


class LaterNet(nn.Module):
    """Stems `[batch, stem, channel, time]` of a mix `[batch, channel, time]`, of `LaterShape.sizes` samples.

    The norm is over all of a window, so windows are always of the same length. Lists of one convolution are lists
    because the published net's option to have more of them is in its names.
    """

    def __init__(self, shape: LaterShape) -> None:
        super().__init__()
        self.shape = shape
        nets = [(stem, 1) for stem in shape.stems] if shape.apart else [("ALL", len(shape.stems))]
        self.waveunets = nn.ModuleDict({name: _Net(shape, count * shape.channels) for name, count in nets})

    def forward(self, mix: Tensor) -> Tensor:
        """Clipped to [-1, 1] where the net is not in training."""
        stems = torch.cat([net(mix) for net in self.waveunets.values()], 1)
        stems = stems.unflatten(1, (len(self.shape.stems), self.shape.channels))
        return stems if self.training else stems.clamp(-1, 1)


class _Net(nn.Module):
    def __init__(self, shape: LaterShape, given: int) -> None:
        super().__init__()
        heard = [shape.channels, *shape.features[1:]]
        down = zip(heard, shape.features[:-1], shape.features[1:], strict=False)
        self.downsampling_blocks = nn.ModuleList(_Down(shape, *widths) for widths in down)
        up = pairwise(reversed(shape.features))
        self.upsampling_blocks = nn.ModuleList(_Up(shape, below, above) for below, above in up)
        self.bottlenecks = nn.ModuleList([_Conv(shape, shape.features[-1], shape.features[-1])])
        self.output_conv = nn.Conv1d(shape.features[0], given, 1)

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for block in self.downsampling_blocks:
            x, before = block(x)
            found.append(before)
        x = self.bottlenecks[0](x)
        for block in self.upsampling_blocks:
            x = block(x, found.pop())
        return self.output_conv(x)


class _Down(nn.Module):
    def __init__(self, shape: LaterShape, heard: int, kept: int, given: int) -> None:
        super().__init__()
        self.pre_shortcut_convs = nn.ModuleList([_Conv(shape, heard, kept)])
        self.post_shortcut_convs = nn.ModuleList([_Conv(shape, kept, given)])
        self.downconv = _Resample(given, shape.stride) if shape.filtered else _Conv(shape, given, given, shape.stride)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = self.pre_shortcut_convs[0](x)
        return self.downconv(self.post_shortcut_convs[0](found)), found


class _Up(nn.Module):
    def __init__(self, shape: LaterShape, below: int, above: int) -> None:
        super().__init__()
        self.upconv = (
            _Resample(below, shape.stride, up=True)
            if shape.filtered
            else _Conv(shape, below, below, shape.stride, up=True)
        )
        self.pre_shortcut_convs = nn.ModuleList([_Conv(shape, below, above)])
        self.post_shortcut_convs = nn.ModuleList([_Conv(shape, 2 * above, above)])

    def forward(self, x: Tensor, found: Tensor) -> Tensor:
        x = self.pre_shortcut_convs[0](self.upconv(x))
        return self.post_shortcut_convs[0](torch.cat([cropped(found, x), x], 1))


class _Conv(nn.Module):
    """A convolution that sees only what is there, a norm, a rectifier."""

    def __init__(self, shape: LaterShape, heard: int, given: int, stride: int = 1, *, up: bool = False) -> None:
        super().__init__()
        kernel = shape.kernel
        self.filter: nn.Module = (
            nn.ConvTranspose1d(heard, given, kernel, stride, padding=kernel - 1)
            if up
            else nn.Conv1d(heard, given, kernel, stride)
        )
        self.norm: nn.Module | None = None
        if shape.norm == "group":
            self.norm = nn.GroupNorm(given // GROUP, given)
        elif shape.norm == "batch":
            self.norm = nn.BatchNorm1d(given, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = self.filter(x)
        return F.leaky_relu(x) if self.norm is None else F.relu(self.norm(x))


class _Resample(nn.Module):
    """Every `stride`-th sample of each channel behind a low-pass, or as many more; the ends are mirrored."""

    filter: Tensor

    def __init__(self, channels: int, stride: int, *, up: bool = False) -> None:
        super().__init__()
        self.stride, self.up = stride, up
        self.register_buffer("filter", lowpass(stride).expand(channels, 1, TAPS).clone())

    def forward(self, x: Tensor) -> Tensor:
        channels, length = x.shape[1:]
        x = F.pad(x, (TAPS // 2, TAPS // 2), mode="reflect")
        if not self.up:
            return F.conv1d(x, self.filter, stride=self.stride, groups=channels)
        x = F.conv_transpose1d(x, self.filter, stride=self.stride, groups=channels)
        front = (self.stride + 1) * (TAPS // 2)
        return x[..., front : front + (length - 1) * self.stride + 1]


def lowpass(stride: int) -> Tensor:
    """A sinc up to half the slower rate under a window, of sum one, `[15]`.

    The window is nearly Blackman's, whose last term the published net has as a constant.
    """
    middle = TAPS // 2
    place = torch.arange(TAPS, dtype=torch.float64, device="cpu")
    off = place - middle
    cutoff = math.pi / stride
    window = 0.42 - 0.5 * torch.cos(2 * math.pi * place / (TAPS - 1)) + 0.08
    taps = torch.where(off == 0, cutoff, (cutoff * off).sin() / torch.where(off == 0, 1.0, off) * window)
    return (taps / taps.sum()).float()
