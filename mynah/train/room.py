"""How many clips a machine has room for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mynah.core.recipe import Recipe
from mynah.train.checkpoint import dice, set_dice

MOST = 64  # beyond, a step costs more and hardly teaches more
SHARE = 0.5  # of the memory that is free, because a processor shares it with everything else
ASIDE = 2.0  # what a step needs besides what it keeps for the way back: gradients and what is just being computed
TRIED = 3  # steps, because clips are of different lengths


def clips_of(recipe: Recipe) -> int | None:
    """How many examples a recipe computes at a time; None where it does not say."""
    clips = getattr(recipe, "clips", None)
    return clips if isinstance(clips, int) else None


def largest(recipe: Recipe, device: torch.device) -> int:
    """The largest power of two of clips that a step has room for; the recipe is left as it was.

    On a GPU steps are tried, with room for the optimiser set aside, until one does not fit. Anywhere else memory is
    not refused but taken from elsewhere, so it is reckoned from what one and two clips keep for the way back.

    Args:
        recipe: With a number of clips that can be set.
        device: Where it will be trained.
    """
    with _untouched(recipe, device):
        return _tried(recipe, device) if device.type == "cuda" else _reckoned(recipe, device)


def _tried(recipe: Recipe, device: torch.device) -> int:
    sized: Any = recipe
    # Two moments of the optimiser and an average.
    held = [torch.empty_like(value) for value in recipe.nets.parameters() for _ in range(3)]
    fits = 1
    try:
        while fits <= MOST:
            sized.clips = fits
            for step in range(TRIED):
                _once(recipe, step, device)
            fits *= 2
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
    held.clear()
    return max(1, fits // 2)


def _reckoned(recipe: Recipe, device: torch.device) -> int:
    one, two = (_kept(recipe, clips, device) for clips in (1, 2))
    each = max(1, two - one)
    parameters = sum(value.numel() * value.element_size() for value in recipe.nets.parameters())
    room = SHARE * free() - 5 * parameters - max(0, one - each)  # they, gradients, two moments, an average
    fits = 1
    while 2 * fits <= MOST and 2 * fits * each * ASIDE <= room:
        fits *= 2
    return fits


def _kept(recipe: Recipe, clips: int, device: torch.device) -> int:
    """Bytes that are kept for the way back, at most."""
    sized: Any = recipe
    sized.clips = clips
    return max(_once(recipe, step, device) for step in range(TRIED))


def _once(recipe: Recipe, step: int, device: torch.device) -> int:
    """All turns of one step, forward and back; the bytes that the largest of them kept."""
    batch = {name: value.to(device) for name, value in recipe.batch(step).items()}
    parts, most = recipe.parts(batch), 0
    for turn in recipe.turns:
        mine = {id(parameter) for parameter in recipe.parameters(turn)}
        for parameter in recipe.nets.parameters():
            parameter.requires_grad_(id(parameter) in mine)
        for part in parts:
            seen: dict[int, int] = {}

            def keep(value: Tensor, seen: dict[int, int] = seen) -> Tensor:
                storage = value.untyped_storage()
                seen[storage.data_ptr()] = storage.nbytes()
                return value

            with (
                torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value),
                torch.autocast(device.type, torch.bfloat16, enabled=recipe.autocast),
            ):
                losses = recipe.losses(turn, part)
            most = max(most, sum(seen.values()))
            if losses:
                torch.stack([loss.float() for loss in losses.values()]).sum().backward()
    return most


def free() -> int:
    """Bytes of memory that nobody uses; half of what there is, where that is not told."""
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            name, _, rest = line.partition(":")
            if name == "MemAvailable":
                return int(rest.split()[0]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


@contextmanager
def _untouched(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Weights, gradients, random numbers and the number of clips are afterwards as they were."""
    sized: Any = recipe
    clips, state = sized.clips, dice()
    kept = {name: value.clone() for name, value in recipe.nets.state_dict().items()}
    wanted = [(parameter, parameter.requires_grad) for parameter in recipe.nets.parameters()]
    modules = [recipe.nets, *(thing for thing in vars(recipe).values() if isinstance(thing, torch.nn.Module))]
    home = next((value.device for value in recipe.nets.parameters()), device)
    for module in modules:
        module.to(device)
    try:
        yield
    finally:
        for parameter, needed in wanted:
            parameter.requires_grad_(needed)
            parameter.grad = None
        for module in modules:
            module.to(home)
        recipe.nets.load_state_dict(kept)
        sized.clips = clips
        set_dice(state)
