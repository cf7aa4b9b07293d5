"""The generator: a WaveNet that hears all of a song at once and turns a sine into a voice.

Key by key it is the generator of Parallel WaveGAN (Yamamoto, Song, Kim, arXiv 1910.11480; kan-bayashi/ParallelWaveGAN,
MIT), so that its published parameters load; what is ours is that every gate is also told the voice.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.convert.ucd_svc.sizes import GeneratorConfig
from mynah.nets.normed import Conv1d, Conv2d


class Stretch(nn.Module):
    """Repeats every frame."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(self.times, -1)


class Upsampling(nn.Module):
    """Learned smoothing of a condition that was stretched to the rate of samples; all channels alike.

    Shape:
        `[batch, channel, frame + 2 * context]` to `[batch, channel, frame * hop]`.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.conv_in = Conv1d(config.condition, config.condition, 2 * config.context + 1, bias=False)
        layers: list[nn.Module] = []
        for scale in config.scales:
            smooth = Conv2d(1, 1, (1, 2 * scale + 1), padding=(0, scale), bias=False)
            with torch.no_grad():
                # The mean of what lies around.
                smooth.weight_v.fill_(1 / (2 * scale + 1))
                smooth.weight_g.copy_(smooth.weight_v.norm())
            layers += [Stretch(scale), smooth]
        self.upsample = nn.ModuleDict({"up_layers": nn.ModuleList(layers)})

    def forward(self, condition: Tensor) -> Tensor:
        return self.spread(self.conv_in(condition))

    def spread(self, x: Tensor) -> Tensor:
        """All but the first layer: a linear map of every channel by itself."""
        x = x[:, None]
        for layer in self.upsample["up_layers"]:  # type: ignore[attr-defined]
            x = layer(x)
        return x[:, 0]

    def spreader(self) -> Spreader:
        """The same as `spread`, for whoever has to do it again and again."""
        return Spreader(self)


class Spreader:
    """What `Upsampling.spread` does, as a product with a small matrix.

    A channel by itself can be spread after channels were mixed as well as before, and mixing frames is cheaper than
    mixing samples.

    Attributes:
        reach: Frames on either side that a frame's samples depend on.
    """

    def __init__(self, upsampling: Upsampling) -> None:
        self._upsampling = upsampling
        self.reach = reach = -(-upsampling.config.smoothing // upsampling.config.hop)
        self._few = few = 4 * reach + 1
        device = next(upsampling.parameters()).device
        answers = upsampling.spread(torch.eye(few, device=device)[None])[0].unflatten(-1, (few, -1))
        self._around = answers[reach : 3 * reach + 1, 2 * reach]
        self._first = answers[: 2 * reach, :reach].flatten(1)
        self._last = answers[-2 * reach :, -reach:].flatten(1)

    def __call__(self, x: Tensor) -> Tensor:
        """`[..., channel, frame]` to `[..., channel, frame * hop]`."""
        if x.shape[-1] < self._few:
            return self._upsampling.spread(x if x.ndim == 3 else x[None]).view(*x.shape[:-1], -1)
        first = x[..., : 2 * self.reach] @ self._first
        return torch.cat([first, self.amid(x), x[..., -2 * self.reach :] @ self._last], -1)

    def amid(self, x: Tensor, more: Tensor | None = None, room: Tensor | None = None) -> Tensor:
        """Of all frames but `reach` at either end.

        Args:
            x: `[..., channel, frame]`.
            more: To be added to every channel, `[channel, 1]`.
            room: Where the result, without batches, is put: memory that is used again is still in the cache.
        """
        seen, around = x.unfold(-1, 2 * self.reach + 1, 1), self._around
        if more is not None:
            seen = torch.cat([seen, more[:, None].expand(-1, seen.shape[-2], 1)], -1)
            around = torch.cat([around, around.new_ones(1, around.shape[1])])
        if room is None:
            return (seen @ around).flatten(-2)
        seen = seen.flatten(0, 1)
        out = room[: len(seen) * around.shape[1]].view(len(seen), -1)
        return torch.mm(seen, around, out=out).view(len(x), -1)


class Layer(nn.Module):
    """One gated convolution."""

    def __init__(self, config: GeneratorConfig, dilation: int) -> None:
        super().__init__()
        span = (config.kernel - 1) // 2 * dilation
        self.conv = Conv1d(config.residual, config.gates, config.kernel, padding=span, dilation=dilation)
        self.conv1x1_aux = Conv1d(config.condition, config.gates, 1, bias=False)
        self.conv1x1_out = Conv1d(config.gates // 2, config.residual, 1)
        self.conv1x1_skip = Conv1d(config.gates // 2, config.skip, 1)
        if config.voice:
            self.conv1x1_voice = Conv1d(config.voice, config.gates, 1, bias=False)

    def forward(self, x: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """What goes on, and what comes out, of `[batch, residual, time]` and what the gates are told besides."""
        signal, gate = (self.conv(x) + told).chunk(2, 1)
        passed = torch.tanh(signal) * torch.sigmoid(gate)
        # Both at once: what limits these is not arithmetic but memory.
        leaving = [self.conv1x1_out, self.conv1x1_skip]
        weights, biases = [kernel(layer) for layer in leaving], [layer.bias for layer in leaving]
        both = F.conv1d(passed, torch.cat(weights), torch.cat(biases))  # type: ignore[arg-type]
        on, out = both.split([len(weight) for weight in weights], 1)
        return (on + x) * math.sqrt(0.5), out


def kernel(layer: nn.Module) -> Tensor:
    """Of a convolution whose weight norm may have been folded."""
    weight = layer.kernel() if isinstance(layer, Conv1d) else layer.weight
    assert isinstance(weight, Tensor)
    return weight


class Generator(nn.Module):
    """An excitation, shaped by what is told about every moment, in a voice.

    Shape:
        Excitation `[batch, 1, frame * hop]`, condition `[batch, condition, frame]`, voice `[batch, voice]` of about
        unit length; the sound is `[batch, 1, frame * hop]`.
    """

    def __init__(self, config: GeneratorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or GeneratorConfig()
        self.first_conv = Conv1d(1, config.residual, 1)
        self.upsample_net = Upsampling(config)
        self.conv_layers = nn.ModuleList(Layer(config, dilation) for dilation in config.dilations)
        self.last_conv_layers = nn.ModuleList(
            [nn.ReLU(), Conv1d(config.skip, config.skip, 1), nn.ReLU(), Conv1d(config.skip, 1, 1)]
        )
        with torch.no_grad():
            # As soft as a recording at the beginning, so that the first steps are not spent on becoming soft.
            self.last_conv_layers[3].get_parameter("weight_g").mul_(0.1)

    def forward(self, excitation: Tensor, condition: Tensor, voice: Tensor | None = None) -> Tensor:
        around = (self.config.context, self.config.context)
        frames = self.upsample_net.conv_in(F.pad(condition, around, mode="replicate"))
        spread = self.upsample_net.spreader()
        if voice is not None:
            voice = voice[..., None] * math.sqrt(self.config.voice)  # unit length to unit variance
        x, out = self.first_conv(excitation), torch.zeros((), device=excitation.device)
        for layer in self.conv_layers:
            told = spread(layer.conv1x1_aux(frames))  # type: ignore[operator]
            if voice is not None:
                told = told + layer.conv1x1_voice(voice)  # type: ignore[operator]
            x, skip = layer(x, told)
            out = out + skip
        out = out * math.sqrt(1 / len(self.conv_layers))
        for last in self.last_conv_layers:
            out = last(out)
        return out

    @property
    def around(self) -> int:
        """Frames of the condition on either side that a frame of the result depends on, rounded up."""
        reach = self.config.receptive_field // 2 + self.config.smoothing
        return -(-reach // self.config.hop) + self.config.context + 1
