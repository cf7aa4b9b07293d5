"""A model between two that went on from the same one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mynah.core.errors import BadCheckpoint, BadOption


def between(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], share: float, names: tuple[object, object]
) -> dict[str, Tensor]:
    """The state between two, parameter by parameter, as float32.

    Args:
        first: By name.
        second: With the same names and shapes.
        share: Of the second: 0 is the first, 1 the second.
        names: What the two are called, for the message.

    Raises:
        BadOption: A share beyond 0 and 1.
        BadCheckpoint: They are of different sizes.

    Example:

        >>> between({"w": torch.zeros(1)}, {"w": torch.ones(1)}, 0.25, ("a", "b"))["w"].item()
        0.25
    """
    if not 0 <= share <= 1:
        raise BadOption(f"a share of {share:g} of the second model: must be from 0 to 1")
    strange = [
        name
        for name in first.keys() | second.keys()
        if name not in first or name not in second or first[name].shape != second[name].shape
    ]
    if strange:
        raise BadCheckpoint(
            f"{names[0]} and {names[1]} are models of different sizes ({min(strange)}): only equal ones can be merged"
        )
    return {name: torch.lerp(value.float(), second[name].float(), share) for name, value in first.items()}
