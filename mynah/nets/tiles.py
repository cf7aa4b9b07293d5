"""Convolutions over time with fewer multiplications, for whoever only listens on a processor.

The signal is cut into tiles. A tile is written as a handful of numbers in which a convolution is a plain product, so
that all that is left to do are products of matrices: for a kernel of 11 taps, 35 for 14 samples instead of 154. This is
how Winograd does it (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv 1509.09308), but with
Fourier's matrices, whose numbers stay small, and three real products for a complex one (Gauss).
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor, nn

LEAST_CHANNELS, LEAST_TAPS = 64, 7  # with fewer, changing to and fro costs more than is won
_TILES = 16384  # times channels: so many tiles at a time stay in the cache


def worth(layer: nn.Module, x: Tensor) -> bool:
    """Whether `Tiled` does what the layer does, and sooner.

    Args:
        layer: Any.
        x: What it is to be given, `[batch, channel, time]`.
    """
    return (
        type(layer) is nn.Conv1d
        and layer.kernel_size[0] >= LEAST_TAPS
        and layer.in_channels >= LEAST_CHANNELS
        and len(x) == 1
        and x.device.type == "cpu"
        and x.dtype == torch.float32
    )


class Tiled:
    """A convolution that keeps the length.

    Args:
        layer: With an odd kernel, as many channels out as in, and neither stride nor groups.
    """

    def __init__(self, layer: nn.Conv1d) -> None:
        weight, bias = layer.weight.detach(), layer.bias
        self.kernel, self.dilation = weight.shape[2], layer.dilation[0]
        self.bias = torch.zeros(len(weight)) if bias is None else bias.detach()
        self.into, taps, self.back = rule(self.kernel)
        self.step = len(self.back)  # samples that a tile gives
        self.made_of = made_of(layer)
        # [number, channel in, channel out]
        self.weight = torch.einsum("nk,oik->nio", taps, weight.double()).float().contiguous()

    def __call__(self, x: Tensor, slope: float) -> Tensor:
        """What the layer gives behind a leaky ReLU; `[time, channel]` in and out."""
        (length, channels), wide = x.shape, self.dilation
        count = -(-length // (self.step * wide))
        before, whole = self.kernel // 2 * wide, count * self.step * wide
        padded = x.new_empty(whole + (self.kernel - 1) * wide, channels)
        padded[:before], padded[before + length :] = 0, 0
        torch.ops.aten.leaky_relu.out(x, slope, out=padded[before : before + length])
        given = x.new_empty(whole, channels)
        size, row = self.into.shape[1], wide * channels
        each = max(1, _TILES // channels)
        # With a dilation of 3, every third sample is a signal of its own.
        for phase in range(wide):
            tiles = padded.as_strided((count, size, channels), (self.step * row, row, 1), phase * channels)
            results = given.view(count, self.step, wide, channels)[:, :, phase]
            for first in range(0, count, each):
                part = slice(first, first + each)
                torch.add(self._tiles(tiles[part]), self.bias, out=results[part])
        return given[:length]

    def _tiles(self, tiles: Tensor) -> Tensor:
        """`[tile, sample in, channel]` to `[tile, sample out, channel]`."""
        count = len(tiles)
        numbers = torch.bmm(self.into.expand(count, -1, -1), tiles)
        products = torch.bmm(numbers.transpose(0, 1), self.weight)
        return torch.bmm(self.back.expand(count, -1, -1), products.transpose(0, 1))


def made_of(layer: nn.Conv1d) -> tuple[int, int]:
    """Tells whether a layer has other weights by now; those made in inference mode never change."""
    weight = layer.weight
    return weight.data_ptr(), 0 if weight.is_inference() else weight._version


@cache
@torch.inference_mode(False)
def rule(kernel: int) -> tuple[Tensor, Tensor, Tensor]:
    """Three matrices: `back @ ((taps @ w) * (into @ x))` are the sums of `w[k] * x[t + k]`, as many as `back` has rows.

    Args:
        kernel: Taps. Of twice as many samples and two, all but `kernel - 1` are given.

    Example:

        >>> into, taps, back = rule(7)
        >>> x, w = torch.randn(into.shape[1]), torch.randn(7)
        >>> torch.allclose(back @ ((taps.float() @ w) * (into @ x)), x.unfold(0, 7, 1) @ w, atol=1e-5)
        True
    """
    size = 2 * kernel + 2
    into, taps, back = [], [], []
    time, step = torch.arange(size, dtype=torch.float64), size - kernel + 1
    for bin in range(size // 2 + 1):
        cosine, sine = (wave(math.tau * bin * time / size) for wave in (torch.cos, torch.sin))
        real, imaginary = cosine[:kernel], sine[:kernel]
        if 2 * bin % size == 0:
            into.append(cosine)
            taps.append(real)
            back.append(cosine[:step] / size)
        else:
            # (a + ib)(c + id) by c(a + b), a(d - c) and b(c + d): the first less the last, and the first and second.
            into += [cosine - sine, cosine, -sine]
            taps += [real, imaginary - real, real + imaginary]
            ahead, aside = 2 * cosine[:step] / size, 2 * sine[:step] / size
            back += [ahead - aside, -aside, -ahead]
    return torch.stack(into).float(), torch.stack(taps), torch.stack(back, 1).float()
