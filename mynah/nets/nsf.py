"""A decoder from latent frames to sound (HiFi-GAN), led by sines at the melody's pitch (NSF), as singers have it.

Sources: Kong et al., arXiv 2010.05646; Wang et al., arXiv 1904.12088. Published code sums the phase in float32 from the
beginning of each piece; here it is summed over frames in float64, so that any stretch can be made by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.nets.normed import Conv1d, ConvTranspose1d
from mynah.nets.rows import Rows

AMPLITUDE = 0.1
BREATH = 0.003  # of the noise under notes
SLOPE = 0.1


@dataclass(frozen=True)
class DecoderConfig:
    """Of the decoder.

    Attributes:
        rate: Of the sound in Hz.
        channels: Behind the first convolution; every stage halves them.
        rates: By which the stages multiply the number of samples.
        up_kernels: Of the convolutions that do it.
        kernels: Of the blocks that stand beside each other in a stage.
        dilations: Of each of those blocks.
        sines: Of the source: the fundamental, and as many more of its multiples.
        normed: Whether the convolutions at both ends have weight norm, and the last a bias.
        single: Whether blocks are made of single convolutions, not of pairs (HiFi-GAN's second kind).
    """

    rate: int = 40_000
    channels: int = 512
    rates: tuple[int, ...] = (10, 10, 2, 2)
    up_kernels: tuple[int, ...] = (16, 16, 4, 4)
    kernels: tuple[int, ...] = (3, 7, 11)
    dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    sines: int = 1
    normed: bool = False
    single: bool = False

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return math.prod(self.rates)


class Source(nn.Module):
    """Sines with a little noise where there is a pitch, and noise alone where there is none.

    Args:
        rate: Of the sound in Hz.
        hop: Samples per frame.
        sines: How many multiples of the pitch are mixed, by learnt weights.
    """

    def __init__(self, rate: int, hop: int, sines: int = 1) -> None:
        super().__init__()
        self.rate, self.hop, self.sines = rate, hop, sines
        self.l_linear = nn.Linear(sines, 1)

    def turns(self, pitch: Tensor) -> Tensor:
        """Phase in turns before every frame `[batch, frame]`: float64, from 0 to 1."""
        # Whole turns are no turns, and small sums keep their digits.
        advance = (pitch.double() * (self.hop / self.rate)).remainder(1.0)
        return (advance.cumsum(-1) - advance).remainder(1.0)

    def forward(
        self, pitch: Tensor, noise: Tensor, turns: Tensor | None = None, phases: Tensor | None = None
    ) -> Tensor:
        """Sound of a melody, `[batch, 1, frame * hop]`.

        Args:
            pitch: Hz, 0 where unvoiced, `[batch, frame]`; held over a frame.
            noise: White, of variance one, `[batch, frame * hop]`. Published code draws noise for every sine by itself
                and adds it up, which is the same.
            turns: Phase before every frame; by default the song begins here.
            phases: In turns, by which each sine starts, `[sine]`; published code draws them at random, and 0 for the
                fundamental.
        """
        begin = self.turns(pitch) if turns is None else turns
        step = torch.arange(1, self.hop + 1, device=pitch.device, dtype=torch.float64) / self.rate
        fundamental = (begin[..., None] + pitch.double()[..., None] * step).remainder(1.0)
        weight, mixed = self.l_linear.weight[0], torch.zeros_like(noise).view(fundamental.shape)
        for number in range(self.sines):
            phase = (fundamental * (number + 1)).remainder(1.0).float()
            mixed = mixed + weight[number] * torch.sin(
                2 * torch.pi * (phase if phases is None else phase + phases[number])
            )
        voiced = (pitch > 0).to(noise)[..., None]
        hiss = voiced * BREATH + (1 - voiced) * (AMPLITUDE / 3)
        # A sum of noises is as strong as their weights together are long.
        wave = AMPLITUDE * mixed * voiced + weight.norm() * weight[0].sign() * hiss * noise.view(mixed.shape)
        return torch.tanh(wave + self.l_linear.bias).flatten(1)[:, None]


class Block(nn.Module):
    """Pairs of convolutions, each behind an activation, and each pair added to what came in."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int], slope: float = SLOPE) -> None:
        super().__init__()
        self.slope = slope

        def layer(dilation: int) -> nn.Module:
            return Conv1d(channels, channels, kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2)

        self.convs1 = nn.ModuleList(layer(dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(layer(1) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        learning = torch.is_grad_enabled()
        for wide, near in zip(self.convs1, self.convs2, strict=True):
            moved = near(F.leaky_relu(wide(F.leaky_relu(x, self.slope)), self.slope, inplace=not learning))
            x = moved + x if learning else moved.add_(x)
        return x


class SingleBlock(nn.Module):
    """Convolutions, each behind an activation and added to what came in."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            Conv1d(channels, channels, kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2)
            for dilation in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.convs:
            x = layer(F.leaky_relu(x, SLOPE)) + x
        return x


class Decoder(nn.Module):
    """Sound of latent frames and a voice, in the published key layout.

    Args:
        latent: Channels of the frames.
        condition: Size of the vector of a voice; 0 where there is but one voice.
        config: Sizes.
        pitched: Whether a source leads it.

    Shape:
        Latents `[batch, channel, frame]`, voice `[batch, size]` and source `[batch, 1, frame * hop]` to sound
        `[batch, 1, frame * hop]` in [-1, 1].
    """

    def __init__(self, latent: int, condition: int, config: DecoderConfig, *, pitched: bool) -> None:
        super().__init__()
        self.config = config
        width = [config.channels >> stage for stage in range(len(config.rates) + 1)]
        ends = Conv1d if config.normed else nn.Conv1d
        block = SingleBlock if config.single else Block
        self.conv_pre = ends(latent, width[0], 7, padding=3)
        if condition:
            self.cond = nn.Conv1d(condition, width[0], 1)
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        if pitched:
            self.m_source = Source(config.rate, config.hop, config.sines)
            self.noise_convs = nn.ModuleList()
        self.pitched = pitched
        for stage, (rate, kernel) in enumerate(zip(config.rates, config.up_kernels, strict=True)):
            self.ups.append(ConvTranspose1d(*width[stage : stage + 2], kernel, rate, padding=(kernel - rate) // 2))
            if pitched:
                # The source has to come down to the rate of the stage.
                step = math.prod(config.rates[stage + 1 :])
                window = (1, 1, 0) if step == 1 else (2 * step, step, step // 2)
                self.noise_convs.append(nn.Conv1d(1, width[stage + 1], *window))
            for size, dilations in zip(config.kernels, config.dilations, strict=True):
                self.resblocks.append(block(width[stage + 1], size, dilations))
        self.conv_post = ends(width[-1], 1, 7, padding=3, bias=config.normed)
        self._known: tuple[object, Rows] | None = None

    def forward(
        self,
        latent: Tensor,
        voice: Tensor | None = None,
        source: Tensor | None = None,
        *,
        precision: torch.dtype = torch.float32,
    ) -> Tensor:
        x = self.conv_pre(latent)
        if voice is not None:
            x = x + self.cond(voice[..., None])
        if not torch.is_grad_enabled() and len(x) == 1 and x.device.type == "cpu" and self._folded():
            heard = None if source is None else source[0, 0]
            return self._in_rows(precision)(x[0].T.contiguous(), heard)[None, None]
        last = len(self.config.rates) - 1
        with torch.autocast(x.device.type, precision, enabled=precision != torch.float32):
            for stage in range(last):
                x = self.stage(stage, x, source)
        with torch.autocast(x.device.type, enabled=False):
            x = self.stage(last, x.to(latent), source)
            # Here the slope is another one: HiFi-GAN leaves it at torch's own.
            return torch.tanh(self.conv_post(F.leaky_relu(x, 0.01)))

    def reach(self) -> int:
        """Frames on either side that a sample depends on."""
        return self.around()[0] + 3  # the first convolution

    def around(self) -> list[int]:
        """For every stage, samples on either side of what comes to it that its results depend on; then of the sound."""
        config = self.config
        widest = max(
            sum((kernel - 1) // 2 * (dilation + (not config.single)) for dilation in dilations)
            for kernel, dilations in zip(config.kernels, config.dilations, strict=True)
        )
        around = [3]
        for rate, kernel in zip(reversed(config.rates), reversed(config.up_kernels), strict=True):
            around.append(-(-(around[-1] + widest + 1) // rate) + -(-kernel // rate))
        return around[::-1]

    def _folded(self) -> bool:
        return type(self.conv_post) is nn.Conv1d and all(type(layer) is nn.ConvTranspose1d for layer in self.ups)

    def _in_rows(self, precision: torch.dtype) -> Rows:
        """What gives the same, sooner, to whoever only listens to one song on a processor."""
        made = precision, made_of(self)
        if self._known is None or self._known[0] != made:
            self._known = made, Rows(self, precision)
        return self._known[1]

    def stage(self, number: int, x: Tensor, source: Tensor | None) -> Tensor:
        """One of the stages, which multiply the number of samples."""
        x = self.ups[number](F.leaky_relu(x, SLOPE))
        if source is not None:
            x = x + self.noise_convs[number](source)
        count = len(self.config.kernels)
        total: Tensor | None = None
        for block in self.resblocks[number * count : (number + 1) * count]:
            total = block(x) if total is None else total + block(x)
        assert total is not None
        return total / count


def made_of(net: nn.Module) -> list[tuple[int, int]]:
    """Tells whether a net has other weights by now; those made in inference mode never change."""
    return [(weight.data_ptr(), 0 if weight.is_inference() else weight._version) for weight in net.parameters()]
