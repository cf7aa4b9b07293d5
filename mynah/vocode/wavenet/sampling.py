"""Sample after sample, with nothing done twice.

What a layer has to know of the past is worked out for as many samples at a time as its dilation is long, because all
that it looks back at is there by then; what is left to do at each sample is four operations a layer. Constants are
folded: biases that are passed on are taken off what is passed, sigmoid is a tanh, and what layers say is collected and
weighed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor, nn

from mynah.audio.chunks import map_chunks, regroup
from mynah.nets.heads import Raw
from mynah.vocode.wavenet.net import HALF, Layer, WaveNetNet

FRAMES = 64  # whose stretching is done at a time
_LEAST = 256  # samples that are prepared at a time


@torch.inference_mode()
def sampled(
    net: WaveNetNet,
    mel: Tensor,
    *,
    luck: Callable[[int], Tensor],
    speaker: int = 0,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Tensor:
    """Samples on the head's grid, `[batch, frame * hop]`.

    Args:
        net: With folded weight norm.
        mel: `[batch, band, frame]`.
        luck: Gives the random numbers of the next so many samples, `[count, batch, numbers]`.
        speaker: Its number, for a net that knows several.
        progress: Told the fraction that is made.
    """
    runner, length = Runner(net, len(mel), speaker), mel.shape[-1] * net.config.format.hop
    made: list[Tensor] = []
    for told in regroup(_stretched(net, mel), runner.stretch):
        made += runner.run(told, luck(told.shape[-1]))
        progress(min(1.0, len(made) / length))
    return torch.stack(made, 1)


def dice(seed: int, batch: int, numbers: int) -> Callable[[int], Tensor]:
    """Random numbers from 0 to 1; every row of a batch has its own."""
    every = [Generator().manual_seed(seed + row) for row in range(batch)]
    return lambda count: torch.stack([torch.rand(count, numbers, generator=each) for each in every], 1)


def _of(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Copies of a plain convolution's weight and bias."""
    assert isinstance(layer, nn.Conv1d)
    weight = layer.weight.detach().clone()
    return weight, torch.zeros(len(weight)) if layer.bias is None else layer.bias.detach().clone()


def _turned(weight: Tensor) -> Tensor:
    """Of a kernel of one, `[in, out]`."""
    return weight[:, :, 0].T.contiguous()


def _stretched(net: WaveNetNet, mel: Tensor) -> Iterator[Tensor]:
    around = net.config.pad + 3
    return map_chunks(
        net.stretched, mel.split(FRAMES, -1), chunk=FRAMES, left=around, right=around, ratio=net.config.format.hop
    )


class _Past:
    """A layer while it is walked through.

    Args:
        layer: With folded weight norm.
        offset: What is to be added to what comes in; it is kept without.
        extra: What gates are told besides.
        out: Where its result at each sample goes, `[batch, gate / 2]`.
    """

    def __init__(self, layer: Layer, offset: Tensor, extra: Tensor, out: Tensor) -> None:
        (weight, bias), (told, also) = _of(layer.conv), _of(layer.conv1x1c)
        batch, half = out.shape
        start = bias + also + extra + weight.sum(-1) @ offset
        # sigmoid(x) = (1 + tanh(x / 2)) / 2, and the half before it goes into what follows.
        for each in (weight, told, start):
            each[half:] *= 0.5
        self.span, self.half, self.out = layer.conv.dilation[0], half, out
        self.start, self.told = start, _turned(told)
        self.older, self.newer, self.now = (weight[:, :, tap].T.contiguous() for tap in range(3))
        self.passed = _turned(_of(layer.conv1x1_out)[0]) * (0.5 * HALF)
        # Before the beginning there is nothing, which without the offset is minus the offset.
        shape = self.span, batch, len(offset)
        self.blocks = [(-offset).expand(shape).contiguous() for _ in range(3)]
        self.places = [block.unbind(0) for block in self.blocks]
        self.gates = torch.empty(batch, 2 * half)
        self.signal, self.gate = self.gates[:, :half], self.gates[:, half:]
        self.ahead: tuple[Tensor, ...] = ()

    def prepare(self, told: Tensor) -> None:
        """What gates are told by the frames and by the past at the next samples, `[time, batch, band]`."""
        oldest, newest, _ = self.blocks
        ahead = torch.addmm(self.start, told.flatten(0, 1), self.told)
        count = len(told)
        ahead.addmm_(oldest[:count].flatten(0, 1), self.older).addmm_(newest[:count].flatten(0, 1), self.newer)
        self.ahead = ahead.view(count, -1, 2 * self.half).unbind(0)

    def turn(self) -> None:
        """A block is full: it is the past now."""
        oldest, newest, current = self.blocks
        self.blocks = [newest, current, oldest]
        first, second, third = self.places
        self.places = [second, third, first]


class Runner:
    """The net's parts, as the walk from sample to sample wants them.

    Attributes:
        stretch: Samples that `run` takes at a time, but for the last time.
    """

    def __init__(self, net: WaveNetNet, batch: int, speaker: int = 0) -> None:
        config = net.config
        self.head, half = net.head, config.gate // 2
        self.stretch = max(_LEAST, *config.dilations)
        into, bias = _of(net.first_conv)
        steps = isinstance(self.head, Raw)
        # For steps there is a row for each of them; else it is what a sample is multiplied with.
        self.into = _turned(into) + bias if steps else _turned(into)
        offset = torch.zeros_like(bias) if steps else bias
        vector = net.embed_speakers.weight[speaker][:, None] if config.speakers else None
        self.kept = torch.zeros(batch, config.layers * half)
        self.skip_bias, skips, self.layers = torch.zeros(config.skip), [], []
        for number, (layer, share) in enumerate(zip(net.conv_layers, net.shares(), strict=True)):
            assert isinstance(layer, Layer)
            extra = layer.conv1x1g(vector)[:, 0] if vector is not None else torch.zeros(config.gate)
            self.layers.append(_Past(layer, offset, extra, self.kept[:, number * half : (number + 1) * half]))
            offset = HALF * (offset + _of(layer.conv1x1_out)[1])
            weight, bias = _of(layer.conv1x1_skip)
            skips.append(_turned(weight) * (0.5 * share))
            self.skip_bias += share * bias
        self.skip = torch.cat(skips)
        (middle, self.middle_bias), (last, self.last_bias) = (_of(net.last_conv_layers[place]) for place in (1, 3))
        self.middle, self.last = _turned(middle), _turned(last)
        self.sample = torch.zeros(batch)
        if isinstance(self.head, Raw):
            self.sample = self.head.value(torch.full((batch,), (self.head.size - 1) // 2))

    def said(self, told: Tensor, samples: Tensor) -> Tensor:
        """As the whole net at once: of samples that are known, `[batch, time]`, what is said of those after them."""
        said: list[Tensor] = []
        for piece, known in zip(told.split(self.stretch, -1), samples.split(self.stretch, -1), strict=True):
            said += self._walk(piece, known.unbind(1))
        return torch.stack(said, 1)

    def run(self, told: Tensor, luck: Tensor) -> list[Tensor]:
        """The next samples, `[batch]` each.

        Args:
            told: Frames at the rate of samples, `[batch, band, time]`.
            luck: Random numbers, `[time, batch, numbers]`.
        """
        made: list[Tensor] = []
        for numbers, expectation in zip(luck.unbind(0), self._walk(told, None), strict=True):
            self.sample = self.head.drawn(expectation, numbers)
            made.append(self.sample)
        return made

    def _walk(self, told: Tensor, known: tuple[Tensor, ...] | None) -> Iterator[Tensor]:
        frames = told.permute(2, 0, 1).contiguous()
        for time in range(len(frames)):
            sample = self.sample if known is None else known[time]
            for layer in self.layers:
                if time % layer.span == 0:
                    layer.prepare(frames[time : time + layer.span])
            x = self._heard(sample, self.layers[0].places[2][time % self.layers[0].span])
            for layer, after in zip(self.layers, [*self.layers[1:], None], strict=True):
                torch.addmm(layer.ahead[time % layer.span], x, layer.now, out=layer.gates)
                layer.gates.tanh_()
                torch.addcmul(layer.signal, layer.signal, layer.gate, out=layer.out)
                if after is not None:
                    x = torch.addmm(x, layer.out, layer.passed, beta=HALF, out=after.places[2][time % after.span])
            for layer in self.layers:
                if (time + 1) % layer.span == 0:
                    layer.turn()
            collected = torch.addmm(self.skip_bias, self.kept, self.skip).relu_()
            yield torch.addmm(self.last_bias, torch.addmm(self.middle_bias, collected, self.middle).relu_(), self.last)

    def _heard(self, sample: Tensor, out: Tensor) -> Tensor:
        if isinstance(self.head, Raw):
            steps = ((sample + 1) / 2 * (self.head.size - 1)).round().long()
            return torch.index_select(self.into, 0, steps, out=out)
        return torch.mul(sample[:, None], self.into, out=out)
