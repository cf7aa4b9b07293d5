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

from mynah.audio.chunks import map_chunks
from mynah.nets.normed import Conv1d, ConvTranspose1d
from mynah.nets.tiles import Tiled, made_of, worth

AMPLITUDE = 0.1
BREATH = 0.003  # of the noise under notes
SLOPE = 0.1
SLOW_STAGES = 2  # that are cheap to do for all frames at once
PIECE_FRAMES = 32  # that the others do at a time


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
    """

    rate: int = 40_000
    channels: int = 512
    rates: tuple[int, ...] = (10, 10, 2, 2)
    up_kernels: tuple[int, ...] = (16, 16, 4, 4)
    kernels: tuple[int, ...] = (3, 7, 11)
    dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    sines: int = 1
    normed: bool = False

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

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()

        def layer(dilation: int) -> nn.Module:
            return Conv1d(channels, channels, kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2)

        self.convs1 = nn.ModuleList(layer(dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(layer(1) for _ in dilations)
        self._tiled: dict[nn.Module, Tiled] = {}

    def forward(self, x: Tensor) -> Tensor:
        learning = torch.is_grad_enabled()
        if not learning and worth(self.convs1[0], x):
            return self._in_tiles(x)
        for wide, near in zip(self.convs1, self.convs2, strict=True):
            moved = near(F.leaky_relu(wide(F.leaky_relu(x, SLOPE)), SLOPE, inplace=not learning))
            x = moved + x if learning else moved.add_(x)
        return x

    def _in_tiles(self, x: Tensor) -> Tensor:
        rows = x[0].T.contiguous()
        for wide, near in zip(self.convs1, self.convs2, strict=True):
            rows = self._tiles(near)(self._tiles(wide)(rows, SLOPE), SLOPE).add_(rows)
        return rows.T[None]

    def _tiles(self, layer: nn.Module) -> Tiled:
        assert isinstance(layer, nn.Conv1d)
        known = self._tiled.get(layer)
        if known is None or known.made_of != made_of(layer):
            known = self._tiled[layer] = Tiled(layer)
        return known


class Decoder(nn.Module):
    """Sound of latent frames and a voice, in the published key layout.

    Args:
        latent: Channels of the frames.
        condition: Size of the vector of a voice.
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
        self.conv_pre = ends(latent, width[0], 7, padding=3)
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
                self.resblocks.append(Block(width[stage + 1], size, dilations))
        self.conv_post = ends(width[-1], 1, 7, padding=3, bias=config.normed)

    def forward(self, latent: Tensor, voice: Tensor, source: Tensor | None = None) -> Tensor:
        x = self.conv_pre(latent) + self.cond(voice[..., None])
        stages = len(self.config.rates)
        slow = stages if torch.is_grad_enabled() else min(SLOW_STAGES, stages)
        for stage in range(slow):
            x = self.stage(stage, x, source)
        return self._finished(x) if slow == stages else self._in_pieces(x, source, slow)

    def reach(self, first: int = 0) -> int:
        """Frames on either side that a sample depends on, in the stages from `first` on; all of it from 0."""
        config = self.config
        widest = max(
            sum((kernel - 1) // 2 * (dilation + 1) for dilation in dilations)
            for kernel, dilations in zip(config.kernels, config.dilations, strict=True)
        )
        frames = 0.0
        for stage in range(first, len(config.rates)):
            each = math.prod(config.rates[: stage + 1])
            frames += (widest + 2 + config.up_kernels[stage]) / each
        before = 0 if first else 3  # the first convolution
        return math.ceil(frames + before + 3 / config.hop)

    def _in_pieces(self, x: Tensor, source: Tensor | None, stage: int) -> Tensor:
        """The stages from `stage` on, a stretch at a time, because what stays in the cache is there at once."""
        each, hop = math.prod(self.config.rates[:stage]), self.config.hop

        def finished(frames: Tensor) -> Tensor:
            first, last = int(frames[0]), int(frames[-1]) + 1
            part = None if source is None else source[..., first * hop : last * hop]
            sung = x[..., first * each : last * each]
            for number in range(stage, len(self.config.rates)):
                sung = self.stage(number, sung, part)
            return self._finished(sung)

        frames, around = torch.arange(x.shape[-1] // each), self.reach(stage)
        return torch.cat(
            list(map_chunks(finished, [frames], chunk=PIECE_FRAMES, left=around, right=around, ratio=hop)), -1
        )

    def _finished(self, x: Tensor) -> Tensor:
        # Here the slope is another one: HiFi-GAN leaves it at torch's own.
        return torch.tanh(self.conv_post(F.leaky_relu(x, 0.01)))

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
