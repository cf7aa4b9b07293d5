"""Sizes of a net, told by the shapes of what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from torch import Tensor

from mynah.core.errors import BadCheckpoint

MOST = 8192  # of any size


class Shapes:
    """A state dict that is asked for sizes.

    Args:
        state: By name.
        where: Named in messages, such as a path.
        kind: Of what it should be a model, such as `"Tacotron 2"`.

    Raises:
        BadCheckpoint: It holds something else than tensors, or values that are not numbers.

    Example:

        >>> import torch
        >>> shapes = Shapes({"convs.0.weight": torch.zeros(3, 5), "convs.1.weight": torch.zeros(2, 3)}, "x.pt", "us")
        >>> shapes.size("convs.0.weight", 1), shapes.count("convs.")
        (5, 2)
    """

    def __init__(self, state: Mapping[str, Any], where: object, kind: str) -> None:
        self.state, self.where, self.kind = state, where, kind
        for name, value in state.items():
            if not isinstance(value, Tensor):
                self.refuse(f"holds no model of {kind} ({name[:80]!r} is no tensor)")
            if value.is_floating_point() and not value.isfinite().all():
                self.refuse(f"{name[:80]} holds values that are not numbers (NaN or infinite)")

    def size(self, name: str, dimension: int) -> int:
        """Of one dimension of a tensor."""
        value = self.state.get(name)
        if value is None or value.ndim <= dimension:
            self.refuse(f"holds no model of {self.kind} (no {name}, or none of its shape)")
        found: int = value.shape[dimension]
        if not 1 <= found <= MOST:
            self.refuse(f"{name} is of a size that no model has")
        return found

    def count(self, before: str) -> int:
        """How many there are of what is numbered behind a name."""
        return len({name.removeprefix(before).partition(".")[0] for name in self.state if name.startswith(before)})

    def refuse(self, why: str) -> NoReturn:
        """Say what is wrong with it."""
        raise BadCheckpoint(f"{self.where}: {why}")
