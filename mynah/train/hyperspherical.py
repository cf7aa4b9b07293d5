"""Minimum hyperspherical energy: a loss that keeps the filters of a layer from pointing the same way.

Seen as points on a sphere, filters repel each other like charges; the less energy, the more evenly they are spread.
Source: Liu et al., "Learning towards Minimum Hyperspherical Energy", NeurIPS 2018, arXiv 1805.09298.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from mynah.core.errors import BadOption

Energy = Literal["0", "1", "2", "a0", "a1", "a2"]
FLOOR = 1e-4  # of squared norms and of angles, so that neither is zero
ANGULAR = 0.1  # weight of the inverse angles, which are larger than inverse distances
NEAR = 1e-6  # cosines stay so far from one, where the slope of the angle is infinite


def hyperspherical_energy(weight: Tensor, energy: Energy = "0", *, half: bool = False) -> Tensor:
    """Mean energy of all pairs of filters of one layer.

    Args:
        weight: Of a layer, `[filter, ...]` as torch has it.
        energy: What two filters have: `"0"` minus the logarithm of their squared distance, `"1"` the inverse of their
            distance, `"2"` the inverse of its square; `"a0"`, `"a1"`, `"a2"` the same of the angle in half turns, where
            the latter two count a tenth.
        half: Every filter is there a second time, turned round, because what is opposite is as redundant as what is
            alike.

    Returns:
        A number; zero for a single filter, which has no pairs. The energy of logarithms may be negative.

    Raises:
        BadOption: There is no such energy.

    Example:

        >>> across = torch.eye(2)  # at a right angle: a squared distance of two, a quarter of a turn
        >>> [round(hyperspherical_energy(across, energy).item(), 3) for energy in ("0", "1", "2", "a0")]
        [-0.693, 0.707, 0.5, 0.693]
    """
    if energy not in get_args(Energy):
        raise BadOption(f"there is no energy {energy!r}: choose among {', '.join(get_args(Energy))}")
    filters = weight.flatten(1)
    if half:
        filters = torch.cat([filters, -filters])
    if len(filters) < 2:
        return weight.sum() * 0.0
    filters = filters / (filters.square().sum(1, keepdim=True) + FLOOR).sqrt()
    first, second = torch.triu_indices(len(filters), len(filters), 1, device=weight.device)
    cosine = (filters @ filters.T)[first, second]
    if energy.startswith("a"):
        apart = cosine.clamp(NEAR - 1, 1 - NEAR).acos() / math.pi + FLOOR
    else:
        # Equal filters are at no distance at all.
        apart = (2 - 2 * cosine).clamp_min(2 * NEAR)
    if energy.endswith("0"):
        return -apart.log().mean()
    power = {"1": -0.5, "2": -1.0, "a1": -1.0, "a2": -2.0}[energy]
    return (ANGULAR if energy.startswith("a") else 1.0) * apart.pow(power).mean()
