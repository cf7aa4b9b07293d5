"""The Wave-U-Net of 2018: a U-Net of one-dimensional convolutions on the samples themselves.

Each level of the way down halves the rate by leaving out every second sample; each level of the way up doubles it by
interpolation and hears again what the way down had found there.
Source: Stoller, Ewert, Dixon, "Wave-U-Net: A Multi-Scale Neural Network for End-to-End Audio Source Separation", ISMIR
2018, arXiv 1806.03185.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mynah.audio.chunks import map_chunks

SLOPE = 0.2  # of what is below zero, in the hidden layers
Kernel = Annotated[int, Field(ge=1, le=63)]
Few = Annotated[int, Field(ge=1, le=8)]


@dataclass(frozen=True)
class Shape:
    """What a net is made of. Kernels are odd.

    Attributes:
        levels: How often the rate is halved.
        filters: Of the first level; every further one has as many more.
        kernel: On the way down, in samples of its level.
        up_kernel: On the way up.
        out_kernel: Of the last layer.
        channels: Of the mix and of every stem.
        stems: How many there are.
        difference: The last stem is the mix minus the others; else every stem has a layer of its own.
        context: Convolutions see only what is there, so that less comes out than goes in; else zeros are put around.
        learned: What lies between two samples on the way up is learnt for each filter; else it is their mean.
        tanh: Stems are bent into [-1, 1]; else they are clipped, and while training left as they are.
        bias: Hidden layers have one.
    """

    levels: Annotated[int, Field(ge=1, le=16)] = 12
    filters: Annotated[int, Field(ge=1, le=256)] = 24
    kernel: Kernel = 15
    up_kernel: Kernel = 5
    out_kernel: Kernel = 1
    channels: Few = 1
    stems: Annotated[int, Field(ge=2, le=8)] = 2
    difference: bool = False
    context: bool = False
    learned: bool = False
    tanh: bool = True
    bias: bool = True

    def __post_init__(self) -> None:
        if any(kernel % 2 == 0 for kernel in (self.kernel, self.up_kernel, self.out_kernel)):
            raise ValueError(f"kernels must be odd, not {self.kernel}, {self.up_kernel} and {self.out_kernel}")

    @property
    def step(self) -> int:
        """Samples in one sample of the lowest level: moved by this, the net answers the same, moved."""
        return 1 << self.levels

    def sizes(self, lowest: int) -> tuple[int, int]:
        """Samples in and samples out when the lowest level has so many."""
        if not self.context:
            return lowest * self.step, lowest * self.step
        heard, given = lowest + self.kernel - 1, lowest
        for _ in range(self.levels):
            heard = 2 * heard - 1 + self.kernel - 1
            given = 2 * given - 1 - (self.up_kernel - 1)
        return heard, given - (self.out_kernel - 1)

    def giving(self, samples: int) -> tuple[int, int]:
        """The least samples in and out with which at least `samples` come out.

        Example:

            >>> Shape(context=True).giving(16_384)
            (147443, 16389)
        """
        lowest = 2
        while self.sizes(lowest)[1] < samples:
            lowest += max(1, (samples - self.sizes(lowest)[1]) // self.step)
        return self.sizes(lowest)

    @property
    def around(self) -> int:
        """Samples that a net with context needs on either side of those that it gives."""
        heard, given = self.sizes(2)
        return (heard - given) // 2


class UNet(nn.Module):
    """Stems `[batch, stem, channel, time]` of a mix `[batch, channel, time]`.

    With context there are `Shape.sizes` samples in and out; without, a multiple of `Shape.step`.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width = [shape.filters * (level + 1) for level in range(shape.levels + 1)]
        padding = "valid" if shape.context else "same"

        def layer(heard: int, given: int, kernel: int, bias: bool = shape.bias) -> nn.Conv1d:
            made = nn.Conv1d(heard, given, kernel, padding=padding, bias=bias)
            nn.init.xavier_uniform_(made.weight)
            if made.bias is not None:
                nn.init.zeros_(made.bias)
            return made

        heard = [shape.channels, *width[:-1]]
        self.down = nn.ModuleList(layer(a, b, shape.kernel) for a, b in zip(heard, width, strict=True))
        self.up = nn.ModuleList(
            layer(width[level] + width[level + 1], width[level], shape.up_kernel)
            for level in reversed(range(shape.levels))
        )
        # Named after the level like the layers of `up`; these limits are Xavier's for a vector.
        between = [torch.empty(size).uniform_(-1, 1) * (3 / size) ** 0.5 for size in reversed(width[1:])]
        self.between = nn.ParameterList(map(nn.Parameter, between) if shape.learned else [])
        own = shape.stems - 1 if shape.difference else shape.stems
        self.out = nn.ModuleList(
            layer(shape.channels + width[0], shape.channels, shape.out_kernel, bias=True) for _ in range(own)
        )

    def forward(self, mix: Tensor) -> Tensor:
        """Clipped to [-1, 1] where the net is not in training.

        Raises:
            ValueError: A length that the net cannot have.
        """
        shape = self.shape
        if mix.shape[-1] % shape.step != shape.sizes(2)[0] % shape.step or mix.shape[-1] < shape.sizes(2)[0]:
            raise ValueError(f"this net cannot have {mix.shape[-1]} samples: ask its Shape for sizes")
        x = mix
        found = []
        for conv in self.down[:-1]:
            found.append(F.leaky_relu(conv(x), SLOPE))
            x = found[-1][..., ::2]
        x = F.leaky_relu(self.down[-1](x), SLOPE)
        for level, conv in enumerate(self.up):
            x = self._doubled(x, level)
            x = F.leaky_relu(conv(torch.cat([cropped(found.pop(), x), x], 1)), SLOPE)
        x = torch.cat([cropped(mix, x), x], 1)
        stems = [conv(x) for conv in self.out]
        stems = [stem.tanh() if shape.tanh else self._clipped(stem) for stem in stems]
        if shape.difference:
            rest = cropped(mix, stems[0]) - torch.stack(stems).sum(0)
            stems.append(self._clipped(rest))
        return torch.stack(stems, 1)

    def _clipped(self, stem: Tensor) -> Tensor:
        return stem if self.training else stem.clamp(-1, 1)

    def _doubled(self, x: Tensor, level: int) -> Tensor:
        """Between every two samples a new one; without context also one behind the last."""
        if self.shape.context:
            behind = x[..., 1:]
        elif self.shape.learned:
            behind = F.pad(x[..., 1:], (0, 1))
        else:
            behind = torch.cat([x[..., 1:], x[..., -1:]], -1)
        ahead = x[..., : behind.shape[-1]]
        share = self.between[level].sigmoid()[:, None] if self.shape.learned else 0.5
        new = share * ahead + (1 - share) * behind
        doubled = torch.stack([ahead, new], -1).flatten(-2)
        return torch.cat([doubled, x[..., -1:]], -1) if self.shape.context else doubled


def cropped(x: Tensor, like: Tensor) -> Tensor:
    """The middle of `x`, as long as `like`."""
    front = (x.shape[-1] - like.shape[-1]) // 2
    return x[..., front : front + like.shape[-1]]


def windowed(net: UNet, mix: Iterator[Tensor], samples: int) -> Iterator[Tensor]:
    """Stems of a mix of any length with bounded memory: the same as if the net had heard all of it at once.

    Args:
        net: On any device.
        mix: `[channel, time]` in pieces.
        samples: About how many to give at once.

    Returns:
        Pieces `[stem, channel, time]` on the CPU, together as long as the mix.
    """
    shape, device = net.shape, next(net.parameters()).device
    chunk = -(-samples // shape.step) * shape.step
    if shape.context:
        heard, _ = shape.giving(chunk)

        def separated(window: Tensor) -> Tensor:
            fitting, _ = shape.giving(max(1, window.shape[-1] - 2 * shape.around))
            window = F.pad(window, (0, fitting - window.shape[-1])).to(device)
            return net(window[None])[0].cpu()

        return centred(separated, mix, around=shape.around, chunk=chunk, right=heard - chunk)

    def padded(window: Tensor) -> Tensor:
        length = window.shape[-1]
        fitting = shape.giving(length)[0]
        return net(F.pad(window, (0, fitting - length)).to(device)[None])[0, ..., :length].cpu()

    # The way down and the way up each add what they see on one side; where both begin is known to one step.
    reach = Shape(shape.levels, 1, shape.kernel, shape.up_kernel, shape.out_kernel, context=True).around
    reach = (-(-reach // shape.step) + 1) * shape.step
    return map_chunks(padded, mix, chunk=chunk, left=reach, right=reach)


def centred(
    function: Callable[[Tensor], Tensor], mix: Iterator[Tensor], *, around: int, chunk: int, right: int
) -> Iterator[Tensor]:
    """A function that needs more on both sides than it gives, over a sequence of any length with zeros around it.

    Args:
        function: From windows `[..., n]` to results `[..., m]`: the first step of a result belongs to step `around` of
            the window, and those after it follow, at least `n - 2 * around` of them.
        mix: The sequence, cut anywhere.
        around: Steps that the function needs before what it gives, and as many behind it.
        chunk: Steps taken from every result.
        right: Windows are `chunk + right` steps long; the last one may be shorter.

    Example:

        >>> smooth = lambda x: torch.nn.functional.avg_pool1d(x, 3, stride=1)  # gives two steps less than it sees
        >>> pieces = iter(torch.full((1, 7), 3.0).split(3, -1))
        >>> torch.cat(list(centred(smooth, pieces, around=1, chunk=2, right=2)), -1)
        tensor([[2., 3., 3., 3., 3., 3., 2.]])
    """
    heard = given = 0

    def surrounded() -> Iterator[Tensor]:
        nonlocal heard
        like: Tensor | None = None
        for piece in mix:
            if like is None:
                like = piece
                yield piece.new_zeros(*piece.shape[:-1], around)
            heard += piece.shape[-1]
            yield piece
        if like is not None:
            yield like.new_zeros(*like.shape[:-1], around)

    for result in map_chunks(function, surrounded(), chunk=chunk, right=right):
        piece = result[..., : heard - given]
        given += piece.shape[-1]
        yield piece
