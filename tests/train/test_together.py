"""Several batches for one step: one after another, or by several processes."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

from mynah.core.recipe import Batch, Recipe
from mynah.train.checkpoint import read, restore
from mynah.train.run import train

RUN = runpy.run_path(str(Path(__file__).with_name("test_run.py")))
Line, log = RUN["Line"], RUN["log"]


def sure(recipe: Recipe) -> Recipe:
    """Without dropout, because what is dropped depends on how much comes at a time."""
    recipe.net[1] = nn.Identity()
    return recipe


class Twice(Line):
    """Two batches in one."""

    def batch(self, step: int) -> Batch:
        one, other = super().batch(2 * step), super().batch(2 * step + 1)
        return {name: torch.cat([one[name], other[name]]) for name in one}


TOGETHER = """
import runpy, sys
line = runpy.run_path(sys.argv[1])
from mynah.train.run import train
for steps in (4, 8):
    recipe = line["sure"](line["Line"](steps))
    ending = train(recipe, sys.argv[2], device="cpu", devices=2, save_every=3)
    assert ending.chief or ending.steps == steps
print("done", ending.chief, ending.steps)
"""


def test_two_processes_learn_what_one_learns_from_as_many_batches(tmp_path: Path) -> None:
    whole, added = sure(Twice(8)), sure(Line(8))
    train(whole, tmp_path / "whole", device="cpu")
    train(added, tmp_path / "added", device="cpu", accumulate=2)
    script = tmp_path / "together.py"
    script.write_text(TOGETHER, "utf-8")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), __file__, str(tmp_path / "together")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split("\n")[:2]) == ["done False 8", "done True 8"]
    both = sure(Line(8))
    assert restore(both, tmp_path / "together" / "line" / "last.ckpt") == 8
    for name, value in whole.nets.state_dict().items():
        torch.testing.assert_close(added.nets.state_dict()[name], value, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(both.nets.state_dict()[name], value, atol=1e-5, rtol=1e-4)
    assert [row["event"].partition(":")[0] for row in log(tmp_path / "together") if "event" in row] == [
        "ended", "resumed", "ended",
    ]  # fmt: skip
    assert len(read(tmp_path / "together" / "line" / "last.ckpt")["others"]) == 1
