"""RefineGAN as Applio's models have it: latent frames are refined into sound, led by a sine and by its own noise.

Paper: Xu, Zhao, Guo, "RefineGAN", arXiv 2111.00962. Reference: IAHispano/Applio, MIT, which made two of it: until 3.2.9
every stage hears the sine through a convolution of its own (`strided`), since 3.3.0 it comes down step by step through
band-limited resampling. What differs here: noise and phase are functions of a frame's number and a seed, and frames
between frames are counted exactly, so that stretches join.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.convert.rvc.refine_rows import RefineRows
from mynah.nets.normed import Conv1d
from mynah.nets.nsf import AMPLITUDE, BREATH, Block, DecoderConfig, Source, made_of

SLOPE = 0.2
LOBES = 64  # of the sine cardinal that takes off what a lower rate cannot hold
ROLLOFF, BETA = 0.9475937167399596, 14.769656459379492

Grain = Callable[[int, int, int], Tensor]
"""White noise of variance one, `[batch, channel, time]`, by its place in the net, channels, and samples in a frame."""


@dataclass(frozen=True)
class RefineConfig(DecoderConfig):
    """Of the decoder; `channels` are those that the first stage begins with, `up_kernels` are only handed on.

    Attributes:
        strided: Whether every stage hears the sine through a convolution of its own.
    """

    strided: bool = False

    @property
    def steps(self) -> list[int]:
        """Samples of sound for each that comes out of a stage."""
        return [math.prod(self.rates[stage + 1 :]) for stage in range(len(self.rates))]


class SlidingSource(Source):
    """A sine, a little noise, and noise alone where nothing is voiced; the pitch slides from frame to frame.

    Slides begin and end in the middle of frames, also those to and from 0 where a voice begins or ends.
    """

    def __init__(self, rate: int, hop: int) -> None:
        super().__init__(rate, hop)
        self.l_linear = nn.Linear(1, 1, bias=False)

    def forward(
        self, pitch: Tensor, noise: Tensor, turns: Tensor | None = None, phases: Tensor | None = None
    ) -> Tensor:
        """As of `Source`, for frames of an even number of samples; slides leave the phase in their middle as it was."""
        begin, hz, half = self.turns(pitch) if turns is None else turns, pitch.double(), self.hop // 2
        middle = begin + hz * (half / self.rate)
        before = torch.cat([hz[..., :1], hz[..., :-1]], -1) - hz
        after = torch.cat([hz[..., 1:], hz[..., -1:]], -1) - hz
        step = torch.arange(1 - half, half + 1, device=pitch.device, dtype=torch.float64)  # samples from the middle
        bend = step.square() / (2 * self.hop)
        moved = torch.where(step > 0, after[..., None], -before[..., None]) * bend + hz[..., None] * step
        sine = torch.sin(2 * torch.pi * (middle[..., None] + moved / self.rate).remainder(1.0).float())
        voiced = (torch.where(step > 0, (hz + after)[..., None], (hz + before)[..., None]) + hz[..., None] > 0).to(
            noise
        )
        hiss = voiced * BREATH + (1 - voiced) * (AMPLITUDE / 3)
        wave = AMPLITUDE * sine * voiced + hiss * noise.view(sine.shape)
        return torch.tanh(self.l_linear.weight[0] * wave).flatten(1)[:, None]


class Grained(nn.Module):
    """Adds noise, of a strength that each channel has learnt, before an activation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), 1e-4))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        return F.leaky_relu(torch.addcmul(x, noise.to(x), self.weight[:, None].to(x)), SLOPE)


class Beside(nn.Module):
    """Blocks beside each other, with noise before and behind each.

    Args:
        into: Channels of what came up and of what leads it.
        channels: Channels out.
        config: Of the decoder.
    """

    def __init__(self, into: int, channels: int, config: RefineConfig) -> None:
        super().__init__()
        self.channels = channels
        self.input_conv = nn.Conv1d(into, channels, 7, padding=3)
        self.blocks = nn.ModuleList(
            nn.ModuleList([Grained(channels), Block(channels, kernel, dilations, SLOPE), Grained(channels)])
            for kernel, dilations in zip(config.kernels, config.dilations, strict=True)
        )

    def forward(self, x: Tensor, grain: Grain, place: int, each: int) -> Tensor:
        x, total = self.input_conv(x), None
        for number, trio in enumerate(self.blocks):
            assert isinstance(trio, nn.ModuleList)
            before, block, behind = trio
            first = 2 * (place * len(self.blocks) + number)
            given = behind(block(before(x, grain(first, self.channels, each))), grain(first + 1, self.channels, each))
            total = given if total is None else total + given
        assert total is not None
        return total / len(self.blocks)


class Refiner(nn.Module):
    """Sound of latent frames and a voice, in the published key layout but for the source's.

    Args:
        latent: Channels of the frames.
        condition: Size of the vector of a voice.
        config: Sizes; a frame has to be of an even number of samples.

    Shape:
        Latents `[batch, channel, frame]`, voice `[batch, size]` and source `[batch, 1, frame * hop]` to sound
        `[batch, 1, frame * hop]` in [-1, 1].
    """

    def __init__(self, latent: int, condition: int, config: RefineConfig) -> None:
        super().__init__()
        self.config = config
        half, stages = config.channels // 2, len(config.rates)
        self.m_source = SlidingSource(config.rate, config.hop)
        self.mel_conv = Conv1d(latent, half, 7, padding=3)
        self.cond = nn.Conv1d(condition, half, 1)
        widths = [config.channels >> (stage + 2) for stage in range(stages)]  # of what leads each stage
        self.pre_conv = Conv1d(1, half if config.strided else widths[-1], 7, padding=3)
        self.downsample_blocks = nn.ModuleList()
        for width, step in zip(widths, config.steps, strict=True):
            if config.strided:
                size = 2 * step - step % 2
                self.downsample_blocks.append(Conv1d(1, width, size, step, padding=(size - step) // 2))
        if not config.strided:
            for width in reversed(widths):
                self.downsample_blocks.append(Conv1d(width, 2 * width, 7, padding=3))
        self.upsample_conv_blocks = nn.ModuleList(
            Beside((config.channels >> stage) + width, config.channels >> (stage + 1), config)
            for stage, width in enumerate(widths)
        )
        self.conv_post = Conv1d(config.channels >> stages, 1, 7, padding=3, bias=False)
        self._known: tuple[object, RefineRows] | None = None

    def forward(
        self,
        latent: Tensor,
        voice: Tensor,
        source: Tensor,
        grain: Grain,
        *,
        lead: Tensor | None = None,
        precision: torch.dtype = torch.float32,
    ) -> Tensor:
        """As above.

        Args:
            latent: Frames.
            voice: Whose.
            source: Of `m_source`.
            grain: What noise is taken from.
            lead: What `lead` gives of a source that goes on on both sides; by default that of the one that is there.
            precision: What all stages but the last count in.
        """
        config, leads = self.config, self._leads(source)
        below = self.lead(source, leads) if lead is None else lead
        x = torch.cat([self.mel_conv(latent) + self.cond(voice[..., None]), below], 1)
        if not torch.is_grad_enabled() and len(x) == 1 and x.device.type == "cpu" and type(self.conv_post) is nn.Conv1d:
            rows = [lead[0].T for lead in leads]
            return self._in_rows(precision)(x[0].T.contiguous(), rows, grain)[None, None]
        with torch.autocast(latent.device.type, precision, enabled=precision != torch.float32):
            for stage, (blocks, led) in enumerate(zip(self.upsample_conv_blocks, leads, strict=True)):
                x = torch.cat([between(F.leaky_relu(x, SLOPE), config.rates[stage]), led], 1)
                x = blocks(x, grain, stage, config.hop // config.steps[stage])
            return torch.tanh(self.conv_post(F.leaky_relu(x, SLOPE))).to(latent)

    def _in_rows(self, precision: torch.dtype) -> RefineRows:
        """What gives the same, sooner, to whoever only listens to one song on a processor."""
        made = precision, made_of(self)
        if self._known is None or self._known[0] != made:
            self._known = made, RefineRows(self, SLOPE, precision)
        return self._known[1]

    def lead(self, source: Tensor, leads: list[Tensor] | None = None) -> Tensor:
        """What the frames themselves are led by, `[batch, channels // 2, frame]`; looks far to both sides."""
        if self.config.strided:
            # The mean of the two samples in the middle of each frame.
            padded = F.pad(source, (3, 3))[..., self.config.hop // 2 - 1 :]
            layer = self.pre_conv
            kernel = layer.weight if type(layer) is nn.Conv1d else layer.kernel()
            kernel = (F.pad(kernel, (0, 1)) + F.pad(kernel, (1, 0))) / 2
            return F.conv1d(padded, kernel.to(source), layer.bias, stride=self.config.hop)
        lowest = (leads or self._leads(source))[0]
        return self.downsample_blocks[-1](lowered(lowest, self.config.rates[0]))

    def _leads(self, source: Tensor) -> list[Tensor]:
        """What every stage is led by."""
        if self.config.strided:
            return [layer(source) for layer in self.downsample_blocks]
        leads = [F.leaky_relu(self.pre_conv(source), SLOPE)]
        for rate, layer in zip(reversed(self.config.rates[1:]), self.downsample_blocks, strict=False):
            leads.append(F.leaky_relu(layer(lowered(leads[-1], rate)), SLOPE))
        return leads[::-1]

    def reach(self) -> int:
        """Frames on either side that a sample depends on, but for what comes as `lead`."""
        config = self.config
        widest = max(
            sum((kernel - 1) // 2 * (dilation + 1) for dilation in dilations)
            for kernel, dilations in zip(config.kernels, config.dilations, strict=True)
        )
        needed, around = [], 3
        for rate in reversed(config.rates):
            around += widest + 3
            needed.append(around)
            around = -(-around // rate) + 1
        return max(around + 3, self._heard(needed))

    def lead_reach(self) -> int:
        """Frames on either side that `lead` depends on."""
        stages = len(self.config.rates)
        return 2 if self.config.strided else self._heard([0] * (stages + 1))

    def _heard(self, needed: list[int]) -> int:
        """Frames of the melody on either side, for so many samples of what leads each stage, fastest first."""
        config = self.config
        if config.strided:
            samples = max(step * (count + 1) for count, step in zip(needed, reversed(config.steps), strict=True))
        else:
            samples = 0
            # A convolution comes behind every resampling but that to the frames' own rate, of which `needed` tells.
            for level in range(len(needed) - 1, -1, -1):
                samples = max(samples, needed[level])
                if level:
                    rate = config.rates[len(config.rates) - level]
                    samples = (samples + 3) * rate + around_of(rate)
        return -(-(samples + 3) // config.hop) + 1  # pitches slide toward those beside them


def between(x: Tensor, rate: int) -> Tensor:
    """As many times as long, on straight lines between what is there, `[..., time]`; exact at any length.

    Example:

        >>> between(torch.tensor([0.0, 4.0]), 2)
        tensor([0., 1., 3., 4.])
    """
    place = (torch.arange(rate, dtype=torch.float64) + 0.5) / rate - 0.5
    back, ahead = ((-place).clamp(min=0).to(x), place.clamp(min=0).to(x))
    before = torch.cat([x[..., :1], x[..., :-1]], -1) - x
    after = torch.cat([x[..., 1:], x[..., -1:]], -1) - x
    return (x[..., None] + before[..., None] * back + after[..., None] * ahead).flatten(-2)


def lowered(x: Tensor, rate: int) -> Tensor:
    """Every so many samples of what a rate so much lower can hold, `[batch, channel, time]`."""
    around, kernel = around_of(rate), sinc(rate).to(x)
    one = x.reshape(-1, 1, x.shape[-1])
    return F.conv1d(one, kernel[None, None], stride=rate, padding=around).view(*x.shape[:-1], -1)


def around_of(rate: int) -> int:
    """Samples on either side that `lowered` looks at."""
    return math.ceil(LOBES * rate / ROLLOFF)


@cache
@torch.inference_mode(False)  # what is kept must be fit for training, too
def sinc(rate: int) -> Tensor:
    """A sine cardinal under Kaiser's window, by which every so many samples may be taken."""
    place = torch.arange(-around_of(rate), around_of(rate) + 1, dtype=torch.float64)
    turns = (place * (ROLLOFF / rate)).clamp(-LOBES, LOBES)
    beta = torch.tensor(BETA, dtype=torch.float64)
    window = torch.i0(beta * (1 - (turns / LOBES).square()).sqrt()) / torch.i0(beta)
    return (torch.sinc(turns) * window * (ROLLOFF / rate)).float()
