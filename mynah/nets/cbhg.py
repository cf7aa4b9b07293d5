"""CBHG, which Tacotron reads text and finishes spectra with: a bank of convolutions, highways, a recurrent net.

Wang et al., "Tacotron: Towards End-to-End Speech Synthesis", arXiv 1703.10135, section 3.1; the key layout is that of
files that descend from fatchord/WaveRNN: ForwardTacotron and Real-Time Voice Cloning.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn


class BatchNormConv(nn.Module):
    """A convolution, ReLU where wanted, and only then the norm.

    Shape:
        `[batch, channel, time]` in and out; a kernel of even size makes one step more.
    """

    def __init__(self, channels: int, out: int, kernel: int, *, relu: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, out, kernel, padding=kernel // 2, bias=False)
        self.bnorm = nn.BatchNorm1d(out)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.bnorm(F.relu(x) if self.relu else x)


class Highway(nn.Module):
    """A layer that decides for every channel how much it changes; Srivastava et al., arXiv 1505.00387.

    Shape:
        `[..., size]` in and out.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.W1 = nn.Linear(size, size)
        self.W2 = nn.Linear(size, size)
        nn.init.zeros_(self.W1.bias)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.W2(x))
        return gate * F.relu(self.W1(x)) + (1 - gate) * x


class CBHG(nn.Module):
    """What a sequence says at each place, seen from near and far.

    Args:
        kernels: The bank has one convolution of each width from 1 to this.
        size: Channels in.
        channels: Of every convolution in the bank and of the highways.
        projections: Channels of the two convolutions after the bank; the second has to be `size`.
        highways: How many.
        units: Of the recurrent net in each direction; by default `channels`. Real-Time Voice Cloning has half of it.
        bridge: Whether a layer stands before the highways; by default only where the sizes demand it.
        dropout: Share of what leaves the bank and the first projection that is dropped in training.

    Shape:
        `[batch, size, time]` to `[batch, time, 2 * units]`.
    """

    def __init__(
        self,
        kernels: int,
        size: int,
        channels: int,
        projections: tuple[int, int],
        *,
        highways: int = 4,
        units: int | None = None,
        bridge: bool | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        first, second = projections
        self.dropout = dropout
        self.conv1d_bank = nn.ModuleList(BatchNormConv(size, channels, width) for width in range(1, kernels + 1))
        self.conv_project1 = BatchNormConv(kernels * channels, first, 3)
        self.conv_project2 = BatchNormConv(first, second, 3, relu=False)
        needed = second != channels if bridge is None else bridge
        self.pre_highway = nn.Linear(second, channels, bias=False) if needed else None
        self.highways = nn.ModuleList(Highway(channels) for _ in range(highways))
        self.rnn = nn.GRU(channels, units or channels, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[-1]
        bank = torch.cat([conv(x)[..., :length] for conv in self.conv1d_bank], 1)
        y = F.max_pool1d(bank, 2, stride=1, padding=1)[..., :length]
        y = self.conv_project1(F.dropout(y, self.dropout, self.training))
        y = self.conv_project2(F.dropout(y, self.dropout, self.training))
        y = (x + y).transpose(1, 2)
        if self.pre_highway is not None:
            y = self.pre_highway(y)
        for highway in self.highways:
            y = highway(y)
        return self.rnn(y)[0]


class Prenet(nn.Module):
    """Two layers with dropout, through which a decoder sees what it said last.

    Args:
        size: In.
        hidden: Of the first layer.
        out: Of the second.
        dropout: Share that is dropped after each.

    Shape:
        `[..., size]` to `[..., out]`.
    """

    def __init__(self, size: int, hidden: int = 256, out: int = 128, dropout: float = 0.5) -> None:
        super().__init__()
        self.fc1 = nn.Linear(size, hidden)
        self.fc2 = nn.Linear(hidden, out)
        self.dropout = dropout

    def forward(self, x: Tensor, *, drop: bool, dice: Generator | None = None) -> Tensor:
        for layer in (self.fc1, self.fc2):
            x = F.relu(layer(x))
            x = dropped(x, self.dropout, dice) if drop else x
        return x


def dropped(x: Tensor, share: float, dice: Generator | None = None) -> Tensor:
    """Dropout that can be told its dice, for nets that want it while they speak, too.

    Args:
        x: Any shape.
        share: Dropped; what is left is scaled up.
        dice: On the processor; by default those of the process, on the device of `x`.

    Example:

        >>> x = torch.ones(1000)
        >>> first, second = (dropped(x, 0.5, Generator().manual_seed(1)) for _ in range(2))
        >>> first.equal(second), sorted(set(first.tolist()))
        (True, [0.0, 2.0])
    """
    if dice is None:
        return F.dropout(x, share, training=True)
    kept = torch.rand(x.shape, generator=dice) >= share
    return x * kept.to(x.device) / (1 - share)
