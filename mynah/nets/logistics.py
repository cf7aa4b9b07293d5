"""Mixtures of logistic distributions, which WaveRNN and WaveNet may give as what they expect of the next sample.

Salimans et al., "PixelCNN++", arXiv 1701.05517; for sound van den Oord et al., arXiv 1711.10433. The channels are, for
each distribution, how much it counts (before a softmax), then where it lies, then the logarithm of how wide it is.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

NARROWEST = math.log(1e-14)  # logarithm of the least width
SURE = 1e-5  # least probability that random numbers are told apart from 0 and 1 by, and least mass of a bin


def surprise(said: Tensor, samples: Tensor, *, levels: int = 65_536, narrowest: float = NARROWEST) -> Tensor:
    """How unexpected samples were: minus the logarithm of their probability, in nats.

    Args:
        said: Mixtures, `[..., 3 * count]`.
        samples: In [-1, 1], `[...]`.
        levels: That a sample may have: the probability is that of the bin around it; the outermost are open.
        narrowest: Logarithm of the least width.

    Returns:
        `[...]`.
    """
    shares, means, widths = said.chunk(3, -1)
    widths = widths.clamp(min=narrowest)
    distance, half = samples[..., None] - means, 1 / (levels - 1)
    above, below = ((distance + side) * torch.exp(-widths) for side in (half, -half))
    middle = distance * torch.exp(-widths)
    mass = torch.sigmoid(above) - torch.sigmoid(below)
    # Where next to nothing is in the bin, the density in its middle tells more than a difference of two sigmoids.
    density = middle - widths - 2 * F.softplus(middle) - math.log((levels - 1) / 2)
    inner = torch.where(mass > SURE, mass.clamp(min=1e-12).log(), density)
    outer = torch.where(samples[..., None] > 0.999, -F.softplus(below), inner)
    each = torch.where(samples[..., None] < -0.999, above - F.softplus(above), outer)
    return -torch.logsumexp(each + F.log_softmax(shares, -1), -1)


def drawn(said: Tensor, choice: Tensor, place: Tensor, *, narrowest: float = NARROWEST) -> Tensor:
    """Samples in [-1, 1] from mixtures.

    Args:
        said: Mixtures, `[..., 3 * count]`.
        choice: Random numbers from 0 to 1 that choose among distributions, `[..., count]`.
        place: Random numbers from 0 to 1 that choose within one, `[...]`.
        narrowest: Logarithm of the least width.

    Returns:
        `[...]`.
    """
    shares, means, widths = said.chunk(3, -1)
    choice, place = choice.clamp(SURE, 1 - SURE), place.clamp(SURE, 1 - SURE)
    which = (shares - torch.log(-torch.log(choice))).argmax(-1, keepdim=True)
    mean, width = means.gather(-1, which)[..., 0], widths.gather(-1, which)[..., 0].clamp(min=narrowest)
    return (mean + width.exp() * torch.logit(place)).clamp(-1, 1)
