"""A decoder of singers for whoever only listens, on a processor: all of it is products of matrices on rows of samples.

Samples lie below each other, with their channels side by side: that is how products of matrices want them, and nothing
is ever turned around. The fast stages run on a piece at a time, because what stays in the cache is there at once. The
layers hold copies of weights, in the order that they want them in.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.nets.tiles import Tiled, worth

if TYPE_CHECKING:
    from mynah.nets.nsf import Decoder

SLOW_STAGES = 1  # that are cheap to do for all frames at once
PIECE_SECONDS = 0.5  # that the others do at a time
SLOPE = 0.1


class Near(nn.Module):
    """A convolution that keeps the length, behind a leaky ReLU.

    Args:
        layer: Without stride or groups.
        share: What its input is multiplied by.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Conv1d, share: float = 1.0) -> None:
        super().__init__()
        weight = (layer.weight.detach() * share)[:, :, None]
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", layer.bias if layer.bias is None else layer.bias.detach())
        self.dilation = layer.dilation[0]
        self.padding = layer.kernel_size[0] // 2 * self.dilation

    def forward(self, x: Tensor, slope: float) -> Tensor:
        x = F.leaky_relu(x, slope).T[None, :, None]
        return F.conv2d(x, self.weight, self.bias, padding=(0, self.padding), dilation=(1, self.dilation))[0, :, 0].T


class Up(nn.Module):
    """A transposed convolution that multiplies the length by its stride, behind a leaky ReLU.

    What comes out between two samples that came in is one row of a product of matrices.

    Args:
        layer: With padding on both sides of half of what its kernel is longer than its stride.
        share: What its input is multiplied by.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, layer: nn.ConvTranspose1d, share: float = 1.0) -> None:
        super().__init__()
        (into, out, kernel), self.rate = layer.weight.shape, layer.stride[0]
        padding = layer.padding[0]
        assert isinstance(padding, int)
        self.skipped, self.taps = padding, -(-kernel // self.rate)
        weight = F.pad(layer.weight.detach() * share, (0, self.taps * self.rate - kernel))
        weight = weight.view(into, out, self.taps, self.rate).permute(2, 0, 3, 1)
        self.register_buffer("weight", weight.reshape(self.taps, into, self.rate * out).contiguous())
        bias = torch.zeros(out) if layer.bias is None else layer.bias.detach()
        self.register_buffer("bias", bias.repeat(self.rate))
        self.out = out

    def forward(self, x: Tensor, slope: float) -> Tensor:
        (length, channels), around = x.shape, self.taps - 1
        padded = x.new_zeros(length + 2 * around, channels)
        torch.ops.aten.leaky_relu.out(x, slope, out=padded[around : around + length])
        rows = torch.addmm(self.bias, padded[around:], self.weight[0])
        for tap in range(1, self.taps):
            rows.addmm_(padded[around - tap : len(padded) - tap], self.weight[tap])
        return rows.view(-1, self.out)[self.skipped : self.skipped + length * self.rate]


class Lead(nn.Module):
    """Adds what a source says at a stage, brought down to its rate.

    Args:
        layer: From one channel.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Conv1d) -> None:
        super().__init__()
        padding = layer.padding[0]
        assert isinstance(padding, int)
        self.kernel, self.step = layer.kernel_size[0], layer.stride[0]
        self.around = padding, self.kernel - self.step - padding
        self.register_buffer("weight", layer.weight.detach()[:, 0].T.contiguous())
        self.register_buffer("bias", layer.bias if layer.bias is None else layer.bias.detach())

    def forward(self, source: Tensor, onto: Tensor) -> None:
        seen = F.pad(source, self.around).as_strided((len(onto), self.kernel), (self.step, 1))
        onto.addmm_(seen.contiguous(), self.weight)
        if self.bias is not None:
            onto += self.bias


class Steps(nn.Module):
    """A block: convolutions, each behind an activation, of which every few are added to what came in.

    Args:
        block: Either kind of `mynah.nets.nsf`.
        slope: Of the activations.
    """

    def __init__(self, block: nn.Module, slope: float = SLOPE) -> None:
        super().__init__()
        self.slope = slope
        rows = [list(layers) for layers in block.children() if isinstance(layers, nn.ModuleList)]
        steps = [[_layer(layer) for layer in step] for step in zip(*rows, strict=True)]
        self.steps, self._layers = steps, nn.ModuleList(layer for step in steps for layer in step)

    def forward(self, x: Tensor) -> Tensor:
        length, adding = len(x), self.steps[0][-1]
        # What adds to its input itself wants room for whole tiles.
        held = x.new_empty(adding.room(length) if isinstance(adding, Tiled) else length, x.shape[1])
        rows = held[:length].copy_(x)
        for *before, last in self.steps:
            moved = rows
            for layer in before:
                moved = layer(moved, self.slope)
            if isinstance(last, Tiled) and last.dilation == 1:
                last(moved, self.slope, onto=held)
            else:
                rows += last(moved, self.slope)
        return rows


def _layer(layer: nn.Module) -> Near | Tiled:
    assert isinstance(layer, nn.Conv1d)
    return Tiled(layer) if worth(layer) else Near(layer)


class Rows(nn.Module):
    """What a decoder gives, sooner.

    Args:
        decoder: Whose weight norm is folded; its weights are taken as they are now.
        precision: What all stages but the last count in. What that one rounds is heard as it is: of the -45 dB of noise
            that bfloat16 makes everywhere, nearly all is its, and without it there are -59 dB in hardly more time.
    """

    def __init__(self, decoder: Decoder, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        config, share = decoder.config, 1 / len(decoder.config.kernels)
        self.rates, self.around = config.rates, decoder.around()
        # A mean of blocks is a sum here, and who hears it knows: a leaky ReLU does not mind.
        self.ups, self.leads = nn.ModuleList(), nn.ModuleList()
        for stage, layer in enumerate(decoder.ups):
            assert isinstance(layer, nn.ConvTranspose1d)
            self.ups.append(Up(layer, share if stage else 1.0))
        for layer in decoder.noise_convs if decoder.pitched else ():
            assert isinstance(layer, nn.Conv1d)
            self.leads.append(Lead(layer))
        self.blocks = nn.ModuleList(map(Steps, decoder.resblocks))
        self.post = Near(decoder.conv_post, share)
        self.hops = [math.prod(self.rates[stage:]) for stage in range(len(self.rates) + 1)]
        self.piece = round(PIECE_SECONDS * config.rate)
        for layers, each in ((self.ups, 1), (self.leads, 1), (self.blocks, len(config.kernels))):
            layers[:-each].to(precision)

    def forward(self, x: Tensor, source: Tensor | None) -> Tensor:
        """Sound `[time]` of what the first convolution gives, `[frame, channel]`, and a source `[time]`."""
        slow = min(SLOW_STAGES, len(self.rates))
        for stage in range(slow):
            x = self._stage(stage, x, source)
        each = max(1, self.piece // self.hops[slow])
        return torch.cat([self._piece(x, source, slow, first, first + each) for first in range(0, len(x), each)])

    def _piece(self, x: Tensor, source: Tensor | None, stage: int, first: int, end: int) -> Tensor:
        """From samples `first` to `end` of what comes to a stage; no more is done around them than they need."""
        end = min(end, len(x))
        begin = max(0, first - self.around[stage])
        x = x[begin : end + self.around[stage]]
        for number in range(stage, len(self.rates)):
            hop, rate = self.hops[number], self.rates[number]
            heard = None if source is None else source[begin * hop : (begin + len(x)) * hop]
            x = self._stage(number, x, heard)
            first, end, begin = first * rate, end * rate, begin * rate
            cut = max(0, first - self.around[number + 1] - begin)
            x, begin = x[cut : end + self.around[number + 1] - begin], begin + cut
        # Here the slope is another one: HiFi-GAN leaves it at torch's own.
        return torch.tanh_(self.post(x, 0.01)[:, 0])[first - begin : end - begin]

    def _stage(self, number: int, x: Tensor, source: Tensor | None) -> Tensor:
        up = self.ups[number]
        assert isinstance(up, Up)
        x = up(x.to(up.weight), SLOPE)
        if source is not None:
            self.leads[number](source.to(x), x)
        each = len(self.blocks) // len(self.rates)
        first, *others = self.blocks[number * each : (number + 1) * each]
        total: Tensor = first(x)
        for block in others:
            total += block(x)
        return total
