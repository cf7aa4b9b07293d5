"""Checkpoints of our own: tensors and plain values only, so that loading one runs no code."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mynah.core.atomic import replacing
from mynah.core.errors import BadCheckpoint
from mynah.core.recipe import Recipe

FORMAT = 1
GOING_ON = ("step", "nets", "optimizers", "slower", "bad", "rollbacks", "seconds", "dice")
"""What a run needs to go on, where nets alone would do to build upon."""


def write(state: dict[str, Any], path: Path) -> None:
    """Save whole or not at all.

    Raises:
        NoSpace: The disk is full; what was at `path` is still there.
    """
    # Through a file of Python's, because torch's own does not say that the disk is full.
    with replacing(path) as half, half.open("wb") as file:
        torch.save(state | {"format": FORMAT}, file)


def read(path: Path, wanted: Sequence[str] = ("step", "nets")) -> dict[str, Any]:
    """What `write` saved, on the CPU.

    Args:
        path: Where it is.
        wanted: What has to be in it.

    Raises:
        BadCheckpoint: Damaged, hostile, not one of ours, or without something that is wanted.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
        raise BadCheckpoint(
            f"{path} is no checkpoint that can be read: remove it to start from the beginning"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise BadCheckpoint(
            f"{path} is a checkpoint of another program or version: remove it to start from the beginning"
        )
    if missing := [name for name in wanted if name not in state]:
        raise BadCheckpoint(f"{path} lacks its {' and '.join(missing)}: remove it to start from the beginning")
    return state


def fill(nets: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Put a state dict into nets, strictly.

    Raises:
        BadCheckpoint: It belongs to nets of other names or sizes.
    """
    try:
        nets.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise BadCheckpoint(f"{path} belongs to another configuration ({reason}): remove it to start anew") from error


def restore(recipe: Recipe, path: Path | str) -> int:
    """Put the nets of a checkpoint into a recipe (averages where there are some), to export them or to build upon.

    Args:
        recipe: Made with the same configuration as the one that was trained.
        path: `last.ckpt` or `best.ckpt`.

    Returns:
        The step at which it was taken.

    Raises:
        BadCheckpoint: Damaged, hostile, or of another configuration.
    """
    path = Path(path)
    state = read(path)
    fill(recipe.nets, state["nets"] | state.get("averages", {}), path)
    return int(state["step"])


def dice() -> dict[str, Any]:
    """The state of every random generator of the process, as plain values."""
    version, numbers, gauss = random.getstate()
    kind, keys, place, has, cached = np.random.get_state(legacy=True)
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "python": [version, list(numbers), gauss],
        "numpy": [str(kind), [int(key) for key in keys], int(place), int(has), float(cached)],
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_dice(state: dict[str, Any]) -> None:
    """Go on with the random numbers where `dice` was asked."""
    torch.set_rng_state(state["torch"])
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, place, has, cached = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), place, has, cached))
    if len(state.get("cuda", ())) == torch.cuda.device_count() > 0:
        torch.cuda.set_rng_state_all(state["cuda"])


@contextmanager
def aside(nets: nn.Module) -> Iterator[None]:
    """A look at the nets that leaves no trace: evaluation mode, no gradients, the same random numbers afterwards."""
    training = [module for module in nets.modules() if module.training]
    state = dice()
    nets.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True
        set_dice(state)
