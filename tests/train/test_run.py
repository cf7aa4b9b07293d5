from pathlib import Path

import torch
from torch import Tensor, nn

from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio
from mynah.train.run import train


class Line(Recipe):
    """Learns y = 2 x with dropout, so that random generators matter; a critic learns to tell."""

    name = "line"
    turns = ("critic", "net")
    ema = 0.9

    def __init__(self, steps: int = 30) -> None:
        torch.manual_seed(0)
        self.steps = steps
        self.net = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.2), nn.Linear(8, 1))
        self.critic = nn.Linear(1, 1)
        self.nets = nn.ModuleDict({"net": self.net, "critic": self.critic})

    def batch(self, step: int) -> Batch:
        x = torch.randn(16, 1, generator=torch.Generator().manual_seed(step))
        return {"x": x, "y": 2 * x}

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.nets[turn].parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        return 1e-2

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        made = self.net(batch["x"])
        if turn == "critic":
            return {"critic": (self.critic(made.detach()) - self.critic(batch["y"]) + 1).square().mean()}
        return {"error": (made - batch["y"]).square().mean(), "fooled": 1e-3 * self.critic(made).square().mean()}

    def measures(self) -> dict[str, float]:
        x = torch.randn(100, 1)
        return {"score": -(self.net(x) - 2 * x).square().mean().item()}

    def preview(self, batch: Batch) -> Audio:
        return Audio(torch.randn(1, 8000), 16_000)

    def export(self, folder: str) -> list[str]:
        return []


def test_it_learns_and_an_interrupted_run_ends_like_an_unbroken_one(tmp_path: Path) -> None:
    whole = Line(60)
    train(whole, tmp_path / "whole", save_every=20)
    train(Line(25), tmp_path / "parts", save_every=20)
    parts = Line(60)
    train(parts, tmp_path / "parts", save_every=20)
    for name, value in whole.nets.state_dict().items():
        assert torch.equal(value, parts.nets.state_dict()[name]), name
