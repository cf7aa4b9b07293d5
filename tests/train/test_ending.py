"""When a run ends by itself, and what is left of it."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mynah.core.recipe import Batch
from mynah.train.checkpoint import read, restore
from mynah.train.run import train

RUN = runpy.run_path(str(Path(__file__).with_name("test_run.py")))
Line, assert_same, log = RUN["Line"], RUN["assert_same"], RUN["log"]


class Counted(Line):
    """Its figure is best after step 10."""

    def __init__(self, steps: int = 100) -> None:
        super().__init__(steps)
        self.critic.register_buffer("done", torch.zeros(()))

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        self.critic.get_buffer("done").add_(turn == "net")
        return super().losses(turn, batch)

    def measures(self) -> dict[str, float]:
        return {"score": 10 - abs(self.critic.get_buffer("done").item() - 10)}


def test_a_run_that_gets_no_better_ends_and_gives_the_best(tmp_path: Path) -> None:
    def killed(step: int, steps: int, losses: dict[str, float]) -> None:
        if step == 18:
            raise MemoryError("killed")

    with pytest.raises(MemoryError):
        train(Counted(), tmp_path, device="cpu", save_every=5, patience=3, progress=killed)
    recipe = Counted()
    ending = train(recipe, tmp_path, device="cpu", save_every=5, patience=3)
    assert (ending.steps, ending.taken, ending.why) == (25, 10, "no better figure in 3 measurements")
    assert str(ending).endswith("what is exported is from step 10, the best")
    best = Counted()
    restore(best, tmp_path / "line" / "best.ckpt")
    assert_same(best.nets, recipe.nets)
    rows = log(tmp_path)
    assert rows[-1]["event"] == "ended: no better figure in 3 measurements; the best figure was 10 at step 10"
    assert [row["step"] for row in rows if "measures" in row] == [5, 10, 15, 20, 25]

    again = Counted()
    assert train(again, tmp_path, device="cpu", patience=3) == ending
    assert_same(best.nets, again.nets)
    assert (
        train(Counted(40), tmp_path, device="cpu", save_every=5, patience=100).steps == 40
    )  # more patience, more steps


def test_another_run_does_not_inherit_the_best(tmp_path: Path) -> None:
    train(Counted(12), tmp_path, device="cpu", save_every=5)
    train(Counted(4), tmp_path, device="cpu", save_every=5, resume=False)
    assert read(tmp_path / "line" / "best.ckpt")["step"] == 4
