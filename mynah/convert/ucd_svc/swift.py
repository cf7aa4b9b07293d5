"""The same generator for whoever only listens: short tiles that stay in the processor's cache, and nothing sung twice.

A tile goes through all layers at once. Each layer remembers as much of what it was given as it will look at again, and
so lags behind by as much as it looks ahead: nothing is computed twice, tiles join without a seam, and memory does not
grow with the song. Dilated convolutions are products of matrices, and both halves of a gate go through one sigmoid,
because tanh x is 2 sigmoid 2x - 1: the twos and the one are in the weights.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mynah.convert.ucd_svc.generator import Generator, Layer, kernel

TILE = 1024  # samples


class Swift:
    """A generator at work on one song in one voice.

    Args:
        net: Its weight norm folded or not.
        voice: Row of the table, `[voice]`; None for a net that knows none.
        tile: Samples that go through all layers at once.

    Example:

        >>> from mynah.convert.ucd_svc.sizes import config
        >>> net = Generator(config(voice=8, layers=4, stacks=1, residual=8, gates=16, skip=8).generator)
        >>> work = Swift(net, torch.eye(8)[0])
        >>> len(work.push(torch.zeros(64 * 100), torch.zeros(65, 100))), len(work.flush())
        (6129, 271)
    """

    @torch.no_grad()
    def __init__(self, net: Generator, voice: Tensor | None = None, tile: int = TILE) -> None:
        self._net, self._tile, self._hop, self._context = net, tile, net.config.hop, net.config.context
        self._spread = net.upsample_net.spreader()
        if voice is not None:
            voice = voice * math.sqrt(net.config.voice)
        layers = [layer for layer in net.conv_layers if isinstance(layer, Layer)]
        self._layers = [_Layer(layer, voice) for layer in layers]
        scale = math.sqrt(1 / len(layers))
        end, last = net.last_conv_layers[1], net.last_conv_layers[3]
        self._skip_bias = scale * torch.stack([_bias(layer.conv1x1_skip) for layer in layers]).sum(0)
        self._scale = scale
        self._ends = [(kernel(part)[..., 0], _bias(part)) for part in (end, last)]
        device = self._skip_bias.device
        self._begun = False
        self._excitation = torch.zeros(0, device=device)
        self._told = torch.zeros(net.config.condition, 0, device=device)  # before the upsampling's first layer
        self._frames, self._first = self._told, 0  # behind it, and the number of the first one that is kept
        self._room = torch.empty(net.config.gates * (tile + 2 * self._hop), device=device)
        self._sum, self._place = torch.zeros(net.config.skip, 0, device=device), 0  # of skips, and its first sample

    @torch.no_grad()
    def push(self, excitation: Tensor, told: Tensor) -> Tensor:
        """What is settled now, `[time]`, from as much excitation `[time]` as condition `[condition, frame]`."""
        self._excitation = torch.cat([self._excitation, excitation])
        if not self._begun:
            told = torch.cat([told[:, :1].repeat(1, self._context), told], 1)
        self._begun = True
        self._listen(told)
        known = self._first + self._frames.shape[1] - self._spread.reach
        left = known * self._hop - self._layers[0].heard
        return self._sing(max(0, left) // self._tile * self._tile)

    @torch.no_grad()
    def flush(self) -> Tensor:
        """The rest; nothing can be pushed afterwards."""
        self._listen(self._told[:, -1:].repeat(1, self._context))
        return self._sing(len(self._excitation), last=True)

    def _listen(self, told: Tensor) -> None:
        told = torch.cat([self._told, told], 1)
        self._told = told[:, -2 * self._context :] if self._context else told[:, :0]
        if told.shape[1] <= 2 * self._context:
            return
        frames = self._net.upsample_net.conv_in(told[None])[0]
        behind = self._layers[-1].place // self._hop - self._spread.reach - self._first
        self._first += max(0, behind)
        self._frames = torch.cat([self._frames[:, max(0, behind) :], frames], 1)

    def _sing(self, count: int, *, last: bool = False) -> Tensor:
        now, self._excitation = self._excitation[:count], self._excitation[count:]
        tiles = list(now.split(self._tile))
        return torch.cat([self._through(tile, last and at == len(tiles) - 1) for at, tile in enumerate(tiles)] or [now])

    def _through(self, excitation: Tensor, last: bool) -> Tensor:
        x = kernel(self._net.first_conv)[:, :, 0] * excitation + _bias(self._net.first_conv)
        self._sum = torch.cat([self._sum, self._sum.new_zeros(len(self._sum), len(excitation))], 1)
        for layer in self._layers:
            first = layer.place
            held = layer.given(x, last)
            if (count := layer.ready(held)) > 0:
                at = first - self._place
                x = layer(held, self._gates(layer, first, count), self._sum[:, at : at + count])
            else:
                x = held[:, :0]
        count = self._layers[-1].place - self._place
        out, self._sum = self._sum[:, :count], self._sum[:, count:]
        self._place += count
        out = (self._scale * out + self._skip_bias).relu_()
        (inner, bias), (outer, last_bias) = self._ends
        return (outer @ torch.addmm(bias, inner, out).relu_() + last_bias)[0]

    def _gates(self, layer: _Layer, first: int, count: int) -> Tensor:
        """What gates are told besides, from a sample on."""
        reach, hop = self._spread.reach, self._hop
        begin, end = first // hop, -(-(first + count) // hop)
        skip = first - begin * hop
        left, right = begin - reach - self._first, end + reach - self._first
        if left >= 0 and right <= self._frames.shape[1]:
            told = self._spread.amid(layer.aux @ self._frames[:, left:right], layer.bias, self._room)
        else:  # at an end of the song
            whole = self._spread(layer.aux @ self._frames[:, max(0, left) : right]) + layer.bias
            told = whole[:, min(reach, reach + left) * hop :]
        return told[:, skip : skip + count]


class _Layer:
    """One gated convolution, and what it remembers."""

    def __init__(self, layer: Layer, voice: Tensor | None) -> None:
        weight = kernel(layer.conv)
        half = len(weight) // 2
        twice = torch.ones(len(weight), 1, device=weight.device)
        twice[:half] = 2
        self._taps = [twice * weight[:, :, tap] for tap in range(weight.shape[2])]
        self._dilation = layer.conv.dilation[0]
        self._span = layer.conv.padding[0] if isinstance(layer.conv.padding, tuple) else 0
        self.aux = twice * kernel(layer.conv1x1_aux)[:, :, 0]
        told = _bias(layer.conv)
        if voice is not None:
            told = told + kernel(layer.conv1x1_voice)[:, :, 0] @ voice[:, None]
        self.bias = twice * told
        self._skip = 2 * kernel(layer.conv1x1_skip)[:, :, 0]
        self._on = 2 * math.sqrt(0.5) * kernel(layer.conv1x1_out)[:, :, 0]
        self._on_bias = math.sqrt(0.5) * _bias(layer.conv1x1_out)
        self._held = weight.new_zeros(weight.shape[1], self._span)
        self.place = self.heard = 0

    def given(self, x: Tensor, last: bool) -> Tensor:
        """What it looks at now, with silence behind the last sample."""
        self.heard += x.shape[1]
        return torch.cat([self._held, x, *([x.new_zeros(len(x), self._span)] if last else [])], 1)

    def ready(self, held: Tensor) -> int:
        """Samples that can be made; what is not looked at again is forgotten."""
        count = max(0, held.shape[1] - 2 * self._span)
        self._held = held[:, count:]
        self.place += count
        return count

    def __call__(self, held: Tensor, gates: Tensor, out: Tensor) -> Tensor:
        """What goes on; what comes out is added to `out`."""
        count, half = gates.shape[1], len(gates) // 2
        for tap, weight in enumerate(self._taps):
            gates.addmm_(weight, held[:, tap * self._dilation : tap * self._dilation + count])
        gates.sigmoid_()
        passed = gates[:half].sub_(0.5).mul_(gates[half:])
        out.addmm_(self._skip, passed)
        amid = held[:, self._span : self._span + count]
        return torch.addmm(amid, self._on, passed, beta=math.sqrt(0.5)).add_(self._on_bias)


def _bias(layer: torch.nn.Module) -> Tensor:
    bias = layer.bias
    assert isinstance(bias, Tensor)
    return bias[:, None]
