"""What the net says of the next sample, and how a sample is drawn from it: one of so many steps, or a mixture.

Sound is `[..., time]` in [-1, 1]; what the net hears and draws is on the head's own grid in [-1, 1].
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.nets import logistics


class Head(Protocol):
    """How samples are written, expected and drawn.

    Attributes:
        size: Channels of what the net says.
        numbers: Random numbers that one sample takes.
    """

    size: int
    numbers: int

    def written(self, sound: Tensor) -> Tensor:
        """Sound on the grid."""
        ...

    def read(self, samples: Tensor) -> Tensor:
        """Sound of samples on the grid."""
        ...

    def surprise(self, said: Tensor, samples: Tensor) -> Tensor:
        """How unexpected samples were, in nats: `[..., size]` and `[...]` to `[...]`."""
        ...

    def drawn(self, said: Tensor, luck: Tensor) -> Tensor:
        """Samples of what was said, `[batch, size]` and random numbers `[batch, numbers]` to `[batch]`."""
        ...


class Raw:
    """Every step of a mu-law scale has a probability.

    Args:
        bits: There are two to the power of this.
    """

    numbers = 1

    def __init__(self, bits: int = 9) -> None:
        self.size = 2**bits
        self.top = self.size - 1

    def written(self, sound: Tensor) -> Tensor:
        bent = sound.sign() * torch.log1p(self.top * sound.abs()) / math.log1p(self.top)
        return self.value(((bent + 1) / 2 * self.top + 0.5).floor())

    def read(self, samples: Tensor) -> Tensor:
        return samples.sign() / self.top * torch.expm1(samples.abs() * math.log1p(self.top))

    def surprise(self, said: Tensor, samples: Tensor) -> Tensor:
        steps = ((samples + 1) / 2 * self.top).round().long()
        return F.cross_entropy(said.flatten(0, -2), steps.flatten(), reduction="none").view(samples.shape)

    def drawn(self, said: Tensor, luck: Tensor) -> Tensor:
        heap = said.softmax(-1).cumsum(-1)
        return self.value((heap < luck * heap[:, -1:]).sum(-1))

    def value(self, step: Tensor) -> Tensor:
        """Where the steps, from 0, lie between -1 and 1."""
        return 2 * step / self.top - 1


class Mol:
    """A mixture of logistic distributions, on a grid as fine as 16 bits.

    Args:
        count: Of distributions.
        narrowest: Logarithm of the least width.
        rounded: Whether samples are rounded down to the grid.
    """

    top = 2**16 - 1

    def __init__(self, count: int = 10, *, narrowest: float = logistics.NARROWEST, rounded: bool = True) -> None:
        self.size, self.numbers = 3 * count, count + 1
        self.narrowest, self.rounded = narrowest, rounded

    def written(self, sound: Tensor) -> Tensor:
        return 2 * ((sound + 1) / 2 * self.top).floor() / self.top - 1 if self.rounded else sound

    def read(self, samples: Tensor) -> Tensor:
        return samples

    def surprise(self, said: Tensor, samples: Tensor) -> Tensor:
        return logistics.surprise(said, samples, narrowest=self.narrowest)

    def drawn(self, said: Tensor, luck: Tensor) -> Tensor:
        return logistics.drawn(said, luck[:, 1:], luck[:, 0])


class Normal:
    """One normal distribution, as ClariNet has it (Ping et al., arXiv 1807.07281).

    Args:
        narrowest: Logarithm of the least deviation, in training.
    """

    size, numbers = 2, 1

    def __init__(self, narrowest: float = -16.0) -> None:
        self.narrowest = narrowest

    def written(self, sound: Tensor) -> Tensor:
        return sound

    def read(self, samples: Tensor) -> Tensor:
        return samples

    def surprise(self, said: Tensor, samples: Tensor) -> Tensor:
        mean, width = said.unbind(-1)
        width = width.clamp(min=self.narrowest)
        return 0.5 * ((samples - mean) * torch.exp(-width)).square() + width + 0.5 * math.log(2 * math.pi)

    def drawn(self, said: Tensor, luck: Tensor) -> Tensor:
        mean, width = said.unbind(-1)
        luck = luck[:, 0].clamp(logistics.SURE, 1 - logistics.SURE)
        return (mean + width.exp() * torch.special.ndtri(luck)).clamp(-1, 1)
