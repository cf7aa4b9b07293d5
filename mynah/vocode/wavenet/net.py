"""The net: what is to be expected of every sample, given all before it and a mel spectrogram.

Van den Oord et al., arXiv 1609.03499; the key layout is that of both generations of r9y9/wavenet_vocoder.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.nets.normed import Conv1d, Conv2d, ConvTranspose2d
from mynah.vocode.wavenet.sizes import Config

HALF = math.sqrt(0.5)


class Layer(nn.Module):
    """One dilated convolution with its gates."""

    conv1x1g: nn.Module

    def __init__(self, config: Config, dilation: int) -> None:
        super().__init__()
        half = config.gate // 2
        self.conv = Conv1d(config.residual, config.gate, 3, dilation=dilation)
        self.conv1x1c = Conv1d(config.format.bands, config.gate, 1, bias=config.early)
        if config.speakers:
            self.conv1x1g = Conv1d(config.speaker, config.gate, 1, bias=config.early)
        self.conv1x1_out = Conv1d(half, config.residual, 1)
        self.conv1x1_skip = Conv1d(half, config.skip, 1)

    def forward(self, x: Tensor, told: Tensor, speaker: Tensor | None) -> tuple[Tensor, Tensor]:
        gates = self.conv(F.pad(x, (2 * self.conv.dilation[0], 0))) + self.conv1x1c(told)
        if speaker is not None:
            gates = gates + self.conv1x1g(speaker)
        signal, gate = gates.chunk(2, 1)
        kept = torch.tanh(signal) * torch.sigmoid(gate)
        return (self.conv1x1_out(kept) + x) * HALF, self.conv1x1_skip(kept)


class Later(nn.Module):
    """Frames to samples: heard with their neighbours, repeated, and smoothed in time."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        bands, high = config.format.bands, config.high
        self.conv_in = nn.Conv1d(bands, bands, 2 * config.pad + 1, bias=False)
        layers: list[nn.Module] = []
        for scale in config.scales:
            smooth = Conv2d(1, 1, (high, 2 * scale + 1), padding=(high // 2, scale), bias=False)
            layers += [nn.Upsample(scale_factor=(1.0, float(scale))), smooth]
        self.upsample = nn.ModuleDict({"up_layers": nn.ModuleList(layers)})

    def forward(self, mel: Tensor) -> Tensor:
        x = self.conv_in(mel)[:, None]
        layers = self.upsample["up_layers"]
        assert isinstance(layers, nn.ModuleList)
        for layer in layers:
            x = layer(x)
        return x[:, 0]


class WaveNetNet(nn.Module):
    """All of it, in the published key layout.

    Shape:
        Samples `[batch, time]` on the head's grid, frames `[batch, band, time]` that `stretched` made, and numbers of
        speakers `[batch]` to what is said of the sample after each, `[batch, time, size]`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, self.head = config, config.head
        self.first_conv = Conv1d(self.head.size if config.kind == "mulaw" else 1, config.residual, 1)
        self.conv_layers = nn.ModuleList(Layer(config, dilation) for dilation in config.dilations)
        self.last_conv_layers = nn.Sequential(
            nn.ReLU(), Conv1d(config.skip, config.skip, 1), nn.ReLU(), Conv1d(config.skip, self.head.size, 1)
        )
        if config.speakers:
            self.embed_speakers = nn.Embedding(config.speakers, config.speaker)
        if config.early:
            layers: list[nn.Module] = []
            for scale in config.scales:
                layers += [ConvTranspose2d(1, 1, (config.high, scale), (1, scale), (config.high // 2, 0)), nn.ReLU()]
            self.upsample_conv = nn.Sequential(*layers)
        else:
            self.upsample_net = Later(config)
        self._begin()

    def stretched(self, mel: Tensor) -> Tensor:
        """Frames `[batch, band, frame]` at the rate of samples; the outermost ones are what is beyond both ends."""
        return self.stretch(F.pad(mel, (self.config.pad, self.config.pad), mode="replicate"))

    def stretch(self, mel: Tensor) -> Tensor:
        """As `stretched`, of frames that have their neighbours on both sides: `[batch, band, pad + frame + pad]`."""
        return self.upsample_conv(mel[:, None])[:, 0] if self.config.early else self.upsample_net(mel)

    def forward(self, samples: Tensor, told: Tensor, speaker: Tensor | None = None) -> Tensor:
        x = self.first_conv(self.heard(samples))
        vector = self.embed_speakers(speaker)[..., None] if self.config.speakers else None
        total: Tensor | None = None
        for layer, share in zip(self.conv_layers, self.shares(), strict=True):
            x, skip = layer(x, told, vector)
            total = share * skip if total is None else total + share * skip
        assert total is not None
        return self.last_conv_layers(total).transpose(1, 2)

    def heard(self, samples: Tensor) -> Tensor:
        """Samples as the first convolution takes them, `[batch, channel, time]`."""
        if self.config.kind != "mulaw":
            return samples[:, None]
        top = self.head.size - 1
        steps = ((samples + 1) / 2 * top).round().long()
        return F.one_hot(steps, self.head.size).transpose(1, 2).to(samples)

    def shares(self) -> list[float]:
        """By which every layer's part counts in the sum of them."""
        count = self.config.layers
        if not self.config.early:
            return [math.sqrt(1 / count)] * count
        # Here the sum was made smaller after each.
        return [HALF ** (count - max(1, number)) for number in range(count)]

    @torch.no_grad()
    def _begin(self) -> None:
        """As the later generation begins: convolutions as He has it, and frames stretched by plain means."""
        for module in self.modules():
            if isinstance(module, Conv1d):
                nn.init.kaiming_normal_(module.weight_v, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, Conv2d):
                nn.init.constant_(module.weight_v, 1 / module.weight_v.numel())
            else:
                continue
            module.weight_g.copy_(torch.norm_except_dim(module.weight_v, 2, module.dim))
