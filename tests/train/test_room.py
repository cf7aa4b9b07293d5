"""How many clips a machine has room for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mynah.core.recipe import Batch, Recipe
from mynah.train import room

WIDE = 1000


class Wide(Recipe):
    """Keeps a known number of bytes for every clip."""

    name = "wide"

    def __init__(self, clips: int = 3, limit: int = 1000) -> None:
        self.steps, self.clips, self.limit = 1, clips, limit
        self.net = nn.Sequential(nn.Linear(1, WIDE, bias=False), nn.BatchNorm1d(WIDE))
        self.nets = nn.ModuleDict({"net": self.net})
        self.unused = nn.Parameter(torch.ones(1), requires_grad=False)

    def batch(self, step: int) -> Batch:
        return {"x": torch.randn(self.clips, 2, 1).flatten(0, 1)}

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.net.parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        return 1e-3

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        if self.clips > self.limit:
            raise torch.OutOfMemoryError("no more")
        return {"loss": self.net(batch["x"]).exp().mean()}

    def export(self, folder: str) -> list[str]:
        return []


@pytest.mark.parametrize(("clips", "fits"), [(40, 32), (64, 64), (3, 2), (1, 1), (0, 1)])
def test_as_many_are_taken_as_the_memory_is_reckoned_to_hold(
    monkeypatch: pytest.MonkeyPatch, clips: int, fits: int
) -> None:
    # For every clip two rows are kept behind the layer and two behind the exponential.
    each = 2 * 2 * WIDE * 4 + 2 * 4
    parameters = 3 * WIDE * 4
    wanted = clips * each * room.ASIDE + 5 * parameters + 2 * WIDE * 4 + WIDE * 4
    monkeypatch.setattr(room, "free", lambda: int(wanted / room.SHARE * 1.02))
    assert room.largest(Wide(), torch.device("cpu")) == fits


def test_clips_are_doubled_until_they_no_longer_fit() -> None:
    assert room._tried(Wide(limit=12), torch.device("cpu")) == 8
    assert room._tried(Wide(limit=0), torch.device("cpu")) == 1
    assert room._tried(Wide(), torch.device("cpu")) == room.MOST


def test_trying_leaves_no_trace() -> None:
    recipe, dice = Wide(), torch.get_rng_state()
    recipe.net[0].requires_grad_(False)
    before = {name: value.clone() for name, value in recipe.nets.state_dict().items()}
    room.largest(recipe, torch.device("cpu"))
    assert torch.get_rng_state().equal(dice) and recipe.clips == 3
    assert all(value.equal(before[name]) for name, value in recipe.nets.state_dict().items())
    assert not recipe.net[0].weight.requires_grad and recipe.net[1].weight.requires_grad
    assert all(value.grad is None for value in recipe.nets.parameters())


def test_free_memory_is_a_plausible_number() -> None:
    assert 10**7 < room.free() < 10**14
