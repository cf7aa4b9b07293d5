"""Spleeter's nets: for each stem a U-Net that weighs blocks of magnitudes; paddings are TensorFlow's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_DROPPED = 3  # layers of the way up that drop half of what they say while training
_LEAK = 0.2


def same(x: Tensor, kernel: int, stride: int = 1, dilation: int = 1) -> Tensor:
    """Zeros around `[..., height, width]` for TensorFlow's padding "same": an odd one out goes behind, not in front.

    Example:

        >>> [same(torch.zeros(1, 1, length, 8), kernel=5, stride=2).shape[2] for length in (7, 8)]
        [11, 11]
        >>> same(torch.ones(1, 1, 1, 8), kernel=5, stride=2)[0, 0, 2]
        tensor([0., 1., 1., 1., 1., 1., 1., 1., 1., 0., 0.])
    """
    around: list[int] = []
    for length in (x.shape[-1], x.shape[-2]):
        missing = max(0, (-(-length // stride) - 1) * stride + dilation * (kernel - 1) + 1 - length)
        around += [missing // 2, missing - missing // 2]
    return F.pad(x, around)


class UNet(nn.Module):
    """What one stem's share of a block is, before it is squeezed between 0 and 1.

    The skips and what turns upward are the raw convolutions: normalisation and activation are on the way down alone.

    Shape:
        Magnitudes `[batch, 2, frame, bin]` to the same; frames and bins are multiples of 64.
    """

    def __init__(self, filters: Sequence[int], *, elu: bool) -> None:
        super().__init__()
        self.elu = elu
        self.down = nn.ModuleList(nn.Conv2d(before, after, 5, 2) for before, after in pairwise((2, *filters)))
        self.down_norm = nn.ModuleList(_norm(count) for count in filters[:-1])
        outs = (*filters[-2::-1], 1)
        ins = (filters[-1], *(2 * count for count in outs[:-1]))
        # The part of the full transposed convolution that TensorFlow keeps begins after 1 and ends before 2.
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 5, 2, padding=1) for before, after in zip(ins, outs, strict=True)
        )
        self.up_norm = nn.ModuleList(_norm(count) for count in outs)
        self.mask = nn.Conv2d(1, 2, 4, dilation=2)
        for layer in (*self.down, *self.up, self.mask):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        raw: list[Tensor] = []
        for number, conv in enumerate(self.down):
            if number:
                x = self._on_the_way_down(self.down_norm[number - 1](x))
            x = conv(same(x, 5, 2))
            raw.append(x)
        for number, (conv, norm) in enumerate(zip(self.up, self.up_norm, strict=True)):
            if number:
                x = torch.cat([raw[-1 - number], x], 1)
            x = norm(self._on_the_way_up(conv(x)[..., :-1, :-1]))
            if number < _DROPPED:
                x = F.dropout(x, 0.5, self.training)
        weighed: Tensor = self.mask(same(x, 4, dilation=2))
        return weighed

    def _on_the_way_down(self, x: Tensor) -> Tensor:
        return F.elu(x, inplace=True) if self.elu else F.leaky_relu(x, _LEAK, inplace=True)

    def _on_the_way_up(self, x: Tensor) -> Tensor:
        return F.elu(x) if self.elu else F.relu(x)


class Nets(nn.ModuleDict):
    """The U-Nets of all stems, by name.

    Args:
        stems: Their names, in order.
        filters: Of the six layers downward.
        elu: Activations are ELU, else LeakyReLU downward and ReLU upward.
        softmax: The stems share every bin, else each has a share of its own between 0 and 1.

    Shape:
        Magnitudes of the mix `[batch, 2, frame, bin]` to those of the stems `[stem, batch, 2, frame, bin]`.
    """

    def __init__(self, stems: Sequence[str], filters: Sequence[int], *, elu: bool, softmax: bool) -> None:
        super().__init__({stem: UNet(filters, elu=elu) for stem in stems})
        self.softmax = softmax

    def forward(self, mix: Tensor) -> Tensor:
        if self.softmax:
            return torch.stack([net(mix) for net in self.values()]).softmax(0) * mix
        return torch.stack([torch.sigmoid(net(mix)) * mix for net in self.values()])


def _norm(channels: int) -> nn.BatchNorm2d:
    """With Keras' numbers."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
