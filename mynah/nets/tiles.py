"""Convolutions over time with fewer multiplications, for whoever only listens on a processor.

The signal is cut into tiles. A tile is written as a handful of numbers in which a convolution is a plain product, so
that all that is left to do are products of matrices: for a kernel of 11 taps, 35 for 16 samples instead of 176. The
numbers are values of a polynomial, as Toom, Cook and Winograd have it (Lavin and Gray, "Fast Algorithms for
Convolutional Neural Networks", arXiv 1509.09308). Most are taken on the unit circle, where powers stay small (these
are Fourier's, with three real products for a complex one, as Gauss did it), and six cheap ones beside it.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor, nn

LEAST_CHANNELS, LEAST_TAPS = 64, 7  # with fewer, changing to and fro costs more than is won
BESIDE = (0.0, 2.0, -2.0, 0.5, -0.5)  # and infinity: with more of them digits are lost
_FLOATS, _LEAST_TILES = 8192, 64  # that many floats of a row of all tiles stay in the cache; fewer tiles waste weights


def worth(layer: nn.Module) -> bool:
    """Whether `Tiled` does what the layer does, and sooner."""
    return (
        isinstance(layer, nn.Conv1d)
        and layer.kernel_size[0] >= LEAST_TAPS
        and layer.in_channels == layer.out_channels >= LEAST_CHANNELS
    )


class Tiled(nn.Module):
    """A convolution that keeps the length, behind a leaky ReLU, in `[time, channel]`.

    Args:
        layer: With an odd kernel, as many channels out as in, and neither stride nor groups.
    """

    into: Tensor
    back: Tensor
    weight: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Conv1d) -> None:
        super().__init__()
        weight, bias = layer.weight.detach(), layer.bias
        self.kernel, self.dilation = weight.shape[2], layer.dilation[0]
        into, taps, back = rule(self.kernel)
        self.register_buffer("into", into)
        self.register_buffer("back", back)
        self.numbers, self.size = self.into.shape
        self.step = len(self.back)  # samples that a tile gives
        # The first number is the value at 1, and comes back as the same for all samples.
        self.register_buffer("bias", None if bias is None else bias.detach() / back[0, 0])
        # [number, channel in, channel out]
        self.register_buffer("weight", torch.einsum("nk,oik->nio", taps, weight.double()).float().contiguous())

    def room(self, length: int) -> int:
        """Samples that `onto` has to have for so many."""
        return -(-length // self.step) * self.step

    def forward(self, x: Tensor, slope: float, onto: Tensor | None = None) -> Tensor:
        """What the layer gives behind a leaky ReLU.

        Args:
            x: `[time, channel]`.
            slope: Of the leaky ReLU.
            onto: What it is added to, in place, `[room, channel]`; for a layer without dilation. May hold `x`.

        Returns:
            `[time, channel]`.
        """
        (length, channels), wide = x.shape, self.dilation
        count = -(-length // (self.step * wide))
        before, whole = self.kernel // 2 * wide, count * self.step * wide
        padded = x.new_empty(whole + (self.kernel - 1) * wide, channels)
        padded[:before], padded[before + length :] = 0, 0
        torch.ops.aten.leaky_relu.out(x, slope, out=padded[before : before + length])
        given = x.new_empty(whole, channels) if onto is None else onto
        each, row = min(count, max(_LEAST_TILES, _FLOATS // channels)), wide * channels
        numbers, products = x.new_empty(2, each * self.numbers * channels)
        # With a dilation of 3, every third sample is a signal of its own.
        for phase in range(wide):
            tiles = padded.as_strided((count, self.size, channels), (self.step * row, row, 1), phase * channels)
            results = given.view(count, self.step, wide, channels)[:, :, phase]
            for first in range(0, count, each):
                part = slice(first, min(count, first + each))
                few = part.stop - first
                heard = numbers[: few * self.numbers * channels].view(few, self.numbers, channels)
                said = products[: few * self.numbers * channels].view(self.numbers, few, channels)
                torch.bmm(self.into.expand(few, -1, -1), tiles[part], out=heard)
                torch.bmm(heard.transpose(0, 1), self.weight, out=said)
                if self.bias is not None:
                    said[0] += self.bias
                if onto is None:
                    results[part] = torch.bmm(self.back.expand(few, -1, -1), said.transpose(0, 1))
                else:
                    results[part].baddbmm_(self.back.expand(few, -1, -1), said.transpose(0, 1))
        return given[:length]


@cache
@torch.inference_mode(False)
def rule(kernel: int) -> tuple[Tensor, Tensor, Tensor]:
    """Three matrices: `back @ ((taps @ w) * (into @ x))` are the sums of `w[k] * x[t + k]`, as many as `back` has rows.

    Args:
        kernel: Taps, at least 3. Of three times as many samples and a few, all but `kernel - 1` are given.

    Example:

        >>> into, taps, back = rule(7)
        >>> x, w = torch.randn(into.shape[1]), torch.randn(7)
        >>> torch.allclose(back @ ((taps.float() @ w) * (into @ x)), x.unfold(0, 7, 1) @ w, atol=1e-5)
        True
    """
    circle = 2 * kernel - 2
    size = circle + len(BESIDE) + 1
    given, power = size - kernel + 1, torch.arange(size, dtype=torch.float64)
    # Two polynomials with `kernel` and `given` coefficients are multiplied by their values at `size` points. Its
    # transpose is the convolution. `values` has a row for each point, and two for one that is complex.
    values: list[Tensor] = []
    left: list[Tensor] = []
    right: list[Tensor] = []
    joined: list[Tensor] = []
    one = torch.ones(1, 1, dtype=torch.float64)
    # (a + ib)(c + id) by c(a + b), a(d - c) and b(c + d): the first less the last, and the first and second.
    three = [[1, 1], [1, 0], [0, 1]], [[1, 0], [-1, 1], [1, 1]], [[1, 0, -1], [1, 1, 0]]
    gauss = [torch.tensor(part, dtype=torch.float64) for part in three]
    for bin in range(circle // 2 + 1):
        cosine, sine = (wave(math.tau * bin * power / circle) for wave in (torch.cos, torch.sin))
        real = 2 * bin % circle == 0
        values += [cosine] if real else [cosine, sine]
        for matrices, part in zip((left, right, joined), [one] * 3 if real else gauss, strict=True):
            matrices.append(part)
    values += [torch.tensor(point, dtype=torch.float64) ** power for point in BESIDE]
    for matrices in (left, right, joined):
        matrices += [one] * (len(BESIDE) + 1)

    def at_points(count: int) -> Tensor:
        infinity = (torch.arange(count) == count - 1).double()  # there only the last coefficient is seen
        return torch.stack([*(row[:count] for row in values), infinity])

    taps = torch.block_diag(*left) @ at_points(kernel)
    into = torch.block_diag(*joined).T @ torch.linalg.inv(at_points(size)).T
    back = (torch.block_diag(*right) @ at_points(given)).T
    even = into.norm(dim=1, keepdim=True)  # so that all numbers are of one size
    return (into / even).float().contiguous(), taps * even, back.float().contiguous()
