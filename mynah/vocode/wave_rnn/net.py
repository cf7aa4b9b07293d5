"""The net: a mel spectrogram stretched to samples, and two recurrent layers that go from sample to sample.

Kalchbrenner et al., "Efficient Neural Audio Synthesis", arXiv 1802.08435, in the form and the key layout that
fatchord/WaveRNN gave it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.features.mel import MelFormat, Scale
from mynah.nets.heads import Head, Mol, Raw

VOICE_CLONING = MelFormat(
    16_000, 800, 200, 800, 80, 55.0, 7600.0, centred=True, edges="constant",
    scale=Scale(0.4, 0.6, 1e-5, -1.0, 1.0), preemphasis=0.97, epsilon=0.0,
)  # fmt: skip
FORWARD_TACOTRON = MelFormat(22_050, 1024, 256, 1024, 80, 0.0, 8000.0, centred=True, epsilon=0.0)
FATCHORD = MelFormat(
    22_050, 2048, 275, 1100, 80, 40.0, None, centred=True, scale=Scale(0.2, 1.0, 1e-5, 0.0, 1.0), epsilon=0.0
)


@dataclass(frozen=True)
class Config:
    """Sizes; by default those of Real-Time Voice Cloning.

    Attributes:
        format: Of the mel spectrograms.
        scales: By which they are stretched, one after another; together a hop.
        classes: Of a mu-law scale, a power of two; else three for every distribution of a mixture.
        units: Of the recurrent layers.
        hidden: Of the layers behind them.
        channels: Of the residual net that looks at the frames around.
        aside: Channels that it gives; a quarter of them goes to each of four layers.
        blocks: Of the residual net.
        pad: Frames that it sees to either side.
    """

    format: MelFormat = VOICE_CLONING
    scales: tuple[int, ...] = (5, 5, 8)
    classes: int = 512
    units: int = 512
    hidden: int = 512
    channels: int = 128
    aside: int = 128
    blocks: int = 10
    pad: int = 2

    def __post_init__(self) -> None:
        if math.prod(self.scales) != self.format.hop:
            raise ValueError(f"stretching by {self.scales} does not make a hop of {self.format.hop} samples")

    @property
    def head(self) -> Head:
        """What the net says of the next sample."""
        bits = self.classes.bit_length() - 1
        return Raw(bits) if self.classes == 2**bits else Mol(self.classes // 3)


class ResBlock(nn.Module):
    """Two layers within every frame, `[batch, channel, frame]`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv1d(channels, channels, 1, bias=False)
        self.batch_norm1 = nn.BatchNorm1d(channels)
        self.batch_norm2 = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.batch_norm2(self.conv2(F.relu(self.batch_norm1(self.conv1(x)))))


class MelResNet(nn.Module):
    """What the frames around each frame say; two frames fewer at both ends."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.conv_in = nn.Conv1d(config.format.bands, config.channels, 2 * config.pad + 1, bias=False)
        self.batch_norm = nn.BatchNorm1d(config.channels)
        self.layers = nn.ModuleList(ResBlock(config.channels) for _ in range(config.blocks))
        self.conv_out = nn.Conv1d(config.channels, config.aside, 1)

    def forward(self, mel: Tensor) -> Tensor:
        x = F.relu(self.batch_norm(self.conv_in(mel)))
        for block in self.layers:
            x = block(x)
        return self.conv_out(x)


class Stretch(nn.Module):
    """Every frame so often, `[..., frame]` to `[..., frame * scale]`."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(self.scale, -1)


class Upsample(nn.Module):
    """A mel spectrogram at the rate of the samples, smooth, and beside it what the residual net says, in steps.

    Shape:
        `[batch, band, frame + 2 * pad]` to `[batch, frame * hop, band]` and `[batch, frame * hop, aside]`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.hop, self.indent = config.format.hop, config.pad * config.format.hop
        self.resnet = MelResNet(config)
        self.up_layers = nn.ModuleList()
        for scale in config.scales:
            smooth = nn.Conv2d(1, 1, (1, 2 * scale + 1), padding=(0, scale), bias=False)
            nn.init.constant_(smooth.weight, 1 / (2 * scale + 1))
            self.up_layers.extend([Stretch(scale), smooth])

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        aside = self.resnet(mel).repeat_interleave(self.hop, -1)
        smooth = mel[:, None]
        for layer in self.up_layers:
            smooth = layer(smooth)
        inner = smooth[:, 0, :, self.indent : -self.indent]
        return inner.transpose(1, 2), aside.transpose(1, 2)


class WaveRnnNet(nn.Module):
    """Says of every sample what is to be expected, from those before it and the mel spectrogram.

    Shape:
        Samples `[batch, frame * hop]`, each the one before that which is asked for, and a mel spectrogram
        `[batch, band, frame + 2 * pad]`, to `[batch, frame * hop, class]`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, part = config, config.aside // 4
        self.upsample = Upsample(config)
        self.I = nn.Linear(config.format.bands + part + 1, config.units)
        self.rnn1 = nn.GRU(config.units, config.units, batch_first=True)
        self.rnn2 = nn.GRU(config.units + part, config.units, batch_first=True)
        self.fc1 = nn.Linear(config.units + part, config.hidden)
        self.fc2 = nn.Linear(config.hidden + part, config.hidden)
        self.fc3 = nn.Linear(config.hidden, config.classes)

    def forward(self, before: Tensor, mel: Tensor) -> Tensor:
        smooth, aside = self.upsample(mel)
        first, second, third, fourth = aside.chunk(4, -1)
        x = self.I(torch.cat([before[..., None], smooth, first], -1))
        x = x + self.rnn1(x)[0]
        x = x + self.rnn2(torch.cat([x, second], -1))[0]
        x = F.relu(self.fc1(torch.cat([x, third], -1)))
        x = F.relu(self.fc2(torch.cat([x, fourth], -1)))
        return self.fc3(x)
