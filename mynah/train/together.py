"""Several devices that learn as one: every one computes its own batches, and gradients are averaged before each step.

Nets stay as they are and are not wrapped, because a recipe may call any part of them in any turn, as GANs do; gradients
are averaged when a turn has them all. What a run of one device computes from so many batches is therefore what so many
devices compute together.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as group
from torch import Tensor, nn


def several() -> bool:
    """Whether there are other processes, and they are connected."""
    return group.is_available() and group.is_initialized() and group.get_world_size() > 1


def follows(processes: int) -> bool:
    """Whether this process is one of those that only compute; known before they are connected."""
    places = (os.environ.get(name, "0") for name in ("RANK", "NODE_RANK", "LOCAL_RANK"))
    return processes > 1 and any(place != "0" for place in places)


def rank() -> int:
    """Number of this process, 0 for the one that saves and measures."""
    return group.get_rank() if several() else 0


def average(parameters: Sequence[nn.Parameter], losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """Average gradients, in place, and losses over all processes; whatever no process has a gradient for keeps none."""
    if not several():
        return losses
    shown = torch.stack([loss.float() for loss in losses.values()])
    there = shown.new_tensor([parameter.grad is not None for parameter in parameters])
    gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
    flat = torch.cat([shown, there, *(gradient.flatten().float() for gradient in gradients)])
    group.all_reduce(flat)
    flat /= group.get_world_size()
    sizes = [len(shown), len(there), *(parameter.numel() for parameter in parameters)]
    shown, there, *rest = flat.split(sizes)
    for parameter, known, gradient in zip(parameters, there.tolist(), rest, strict=True):
        parameter.grad = gradient.view_as(parameter).to(parameter.dtype) if known else None
    return dict(zip(losses, shown, strict=True))


def anyone(yes: bool, device: torch.device) -> bool:
    """Whether any process says so."""
    if not several():
        return yes
    flag = torch.tensor(float(yes), device=device)
    group.all_reduce(flag, group.ReduceOp.MAX)
    return bool(flag)


def gathered(thing: Any) -> list[Any]:
    """What every process has, in order; everywhere."""
    if not several():
        return [thing]
    things: list[Any] = [None] * group.get_world_size()
    group.all_gather_object(things, thing)
    return things


def alike(nets: nn.Module) -> None:
    """Give every process the weights of the first."""
    if several():
        for value in nets.state_dict().values():
            group.broadcast(value, 0)


def wait() -> None:
    """Until every process is here."""
    if several():
        group.barrier()
