"""Low-rank changes: a little data changes large layers by a few numbers, and is added to their weights in the end.

A weight becomes `weight + down up`, where `up` has `rank` rows; `down` begins at zero, so that training begins with the
net as it was. Source: Hu et al., "LoRA", arXiv 2106.09685.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatch

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from mynah.core.errors import BadOption

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d)


class LowRank(nn.Module):
    """What is added to a weight `[out, ...]`."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = len(weight), weight[0].numel()
        rank = min(rank, rows, columns)
        self.down = nn.Parameter(torch.zeros(rows, rank))
        self.up = nn.Parameter(torch.randn(rank, columns) / math.sqrt(columns))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.down @ self.up).view_as(weight)


def low_rank(net: nn.Module, patterns: Sequence[str], rank: int) -> dict[str, nn.Parameter]:
    """Give the layers whose names match a low-rank change; everything that was there before is frozen.

    Args:
        net: Changed in place; layers with weight norm have to be folded before.
        patterns: Of names of layers, such as `"flow.*"`.
        rank: Of the changes; where a weight has a lower one itself, that.

    Returns:
        What is to be learnt, by name.

    Raises:
        BadOption: No layer matches, or a rank below one.
    """
    if rank < 1:
        raise BadOption(f"a low-rank change of rank {rank}: must be 1 or more")
    net.requires_grad_(False)
    learnt: dict[str, nn.Parameter] = {}
    for name, layer in list(net.named_modules()):
        if type(layer) in LAYERS and any(fnmatch(name, pattern) for pattern in patterns):
            assert isinstance(layer.weight, Tensor)
            change = LowRank(layer.weight, rank)
            parametrize.register_parametrization(layer, "weight", change)
            learnt |= {f"{name}.down": change.down, f"{name}.up": change.up}
    if not learnt:
        raise BadOption(f"no layer is called {' or '.join(patterns)}: nothing would be learnt")
    return learnt


@torch.no_grad()
def merged(net: nn.Module) -> dict[str, Tensor]:
    """The weights of every changed layer with the change added, by the names that they had before."""
    return {
        f"{name}.weight": layer.weight.detach().clone()
        for name, layer in net.named_modules()
        if parametrize.is_parametrized(layer, "weight") and isinstance(layer.weight, Tensor)
    }
