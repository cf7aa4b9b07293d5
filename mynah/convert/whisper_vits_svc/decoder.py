"""The decoder: from what is to be heard, a hundred times a second, and the source, to sound (NSF and BigVGAN)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.audio.chunks import map_chunks
from mynah.convert.whisper_vits_svc.sizes import DecoderConfig
from mynah.convert.whisper_vits_svc.snake import REACH, Snake
from mynah.convert.whisper_vits_svc.source import Source
from mynah.nets.normed import Conv1d, ConvTranspose1d

SLOW_STAGES = 2  # that are cheap to do for all frames at once
PIECE_FRAMES = 64  # that the others do at a time


class SpeakerAdapter(nn.Module):
    """Layer norm over channels whose scale and offset the voice decides; at first it leaves them alone."""

    def __init__(self, voice: int, channels: int) -> None:
        super().__init__()
        self.W_scale = nn.Linear(voice, channels)
        self.W_bias = nn.Linear(voice, channels)
        nn.init.zeros_(self.W_scale.weight)
        nn.init.ones_(self.W_scale.bias)
        nn.init.zeros_(self.W_bias.weight)
        nn.init.zeros_(self.W_bias.bias)

    def forward(self, x: Tensor, voice: Tensor) -> Tensor:
        even = F.layer_norm(x.transpose(1, 2), x.shape[1:2])
        return (even * self.W_scale(voice)[:, None] + self.W_bias(voice)[:, None]).transpose(1, 2)


class Block(nn.Module):
    """Pairs of convolutions, each behind an activation, and each pair added to what came in."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()

        def layer(dilation: int) -> nn.Module:
            return Conv1d(channels, channels, kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2)

        self.convs1 = nn.ModuleList(layer(dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(layer(1) for _ in dilations)
        self.activations = nn.ModuleList(Snake(channels) for _ in range(2 * len(dilations)))

    def forward(self, x: Tensor) -> Tensor:
        for place, (wide, near) in enumerate(zip(self.convs1, self.convs2, strict=True)):
            inner = convolved(wide, self.activations[2 * place](x))
            moved = convolved(near, self.activations[2 * place + 1](inner))
            x = moved + x if torch.is_grad_enabled() else moved.add_(x)
        return x


class Decoder(nn.Module):
    """Sound of latent frames, a source and a voice, in the published key layout.

    Shape:
        Latents `[batch, channel, frame]`, source `[batch, 1, frame * hop]`, voice `[batch, size]` to sound
        `[batch, 1, frame * hop]` in [-1, 1].
    """

    def __init__(self, latent: int, voice: int, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        width = [config.channels >> stage for stage in range(len(config.rates) + 1)]
        self.adapter = SpeakerAdapter(voice, latent)
        self.conv_pre = nn.Conv1d(latent, width[0], 7, padding=3)
        self.m_source = Source(config.rate, config.hop)
        self.noise_convs = nn.ModuleList()
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        for stage, (rate, kernel) in enumerate(zip(config.rates, config.up_kernels, strict=True)):
            self.ups.append(ConvTranspose1d(*width[stage : stage + 2], kernel, rate, padding=(kernel - rate) // 2))
            # The source has to come down to the rate of the stage.
            step = math.prod(config.rates[stage + 1 :])
            window = (1, 1, 0) if step == 1 else (2 * step, step, step // 2)
            self.noise_convs.append(nn.Conv1d(1, width[stage + 1], *window))
            self.resblocks.extend(Block(width[stage + 1], size, config.dilations) for size in config.kernels)
        self.activation_post = Snake(width[-1])
        self.conv_post = nn.Conv1d(width[-1], 1, 7, padding=3, bias=False)

    def forward(self, latent: Tensor, source: Tensor, voice: Tensor) -> Tensor:
        x = F.mish(self.conv_pre(self.adapter(latent, voice)))
        stages = len(self.config.rates)
        slow = stages if torch.is_grad_enabled() else min(SLOW_STAGES, stages)
        for stage in range(slow):
            x = self.stage(stage, x, source)
        return self._finished(x) if slow == stages else self._in_pieces(x, source, slow)

    def reach(self, first: int = 0) -> int:
        """Frames on either side that a sample depends on, in the stages from `first` on; all of it from 0."""
        config = self.config
        frames = 0.0
        for stage in range(first, len(config.rates)):
            each = math.prod(config.rates[: stage + 1])
            convolutions = sum((max(config.kernels) - 1) // 2 * (dilation + 1) for dilation in config.dilations)
            frames += (convolutions + 2 * len(config.dilations) * REACH) / each + 2 * config.rates[stage] / each
        before = 0 if first else 3  # the first convolution
        return math.ceil(frames + before + (REACH + 3) / config.hop)

    def _in_pieces(self, x: Tensor, source: Tensor, stage: int) -> Tensor:
        """The stages from `stage` on, a stretch at a time, because what stays in the cache is there at once."""
        each, hop = math.prod(self.config.rates[:stage]), self.config.hop

        def finished(frames: Tensor) -> Tensor:
            first, last = int(frames[0]), int(frames[-1]) + 1
            part, sung = source[..., first * hop : last * hop], x[..., first * each : last * each]
            for number in range(stage, len(self.config.rates)):
                sung = self.stage(number, sung, part)
            return self._finished(sung)

        frames, around = torch.arange(x.shape[-1] // each), self.reach(stage)
        return torch.cat(
            list(map_chunks(finished, [frames], chunk=PIECE_FRAMES, left=around, right=around, ratio=hop)), -1
        )

    def _finished(self, x: Tensor) -> Tensor:
        return torch.tanh(self.conv_post(self.activation_post(x)))

    def stage(self, number: int, x: Tensor, source: Tensor) -> Tensor:
        """One of the stages, which multiply the number of samples."""
        x = self.ups[number](x) + self.noise_convs[number](source)
        count = len(self.config.kernels)
        beside = [block(x) for block in self.resblocks[number * count : (number + 1) * count]]
        return torch.stack(beside).mean(0) if torch.is_grad_enabled() else _mean(beside)


def convolved(layer: nn.Module, x: Tensor) -> Tensor:
    """What a one-dimensional convolution gives, by whichever order of memory the processor is fast in."""
    channels = x.shape[1]
    awkward = channels > 16 and channels % 16 and x.device.type == "cpu" and not torch.is_grad_enabled()
    if not awkward or not isinstance(layer, nn.Conv1d) or isinstance(layer, Conv1d):
        return layer(x)
    # Where vectors of 16 channels do not come out even, the library takes three times as long unless channels lie next
    # to each other.
    flat = x[:, :, None].contiguous(memory_format=torch.channels_last)
    weight = layer.weight[:, :, None].contiguous(memory_format=torch.channels_last)
    padding, dilation = (0, int(layer.padding[0])), (1, layer.dilation[0])
    return F.conv2d(flat, weight, layer.bias, padding=padding, dilation=dilation)[:, :, 0].contiguous()


def _mean(parts: list[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total += part
    return total.div_(len(parts))
