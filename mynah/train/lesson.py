"""One step of any recipe, as a LightningModule."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn

from mynah.core.errors import BadData
from mynah.core.recipe import Batch, Recipe
from mynah.train import together

PATIENCE = 10  # steps in a row without a finite loss, after which the last checkpoint comes back
ROLLBACKS = 4  # in a row, after which nothing but the data or the recipe can be wrong


class Together(DDPStrategy):
    """Starts processes and connects them; the lesson itself averages what they have learnt."""

    def configure_ddp(self) -> None:
        """Wrap nothing."""


class Lesson(LightningModule):
    """Every turn of a recipe in order: losses, backward, clip, AdamW; only the parameters of that turn get gradients.

    A step takes a list of batches, whose gradients are averaged, over all devices as well. A step whose loss or
    gradient is not finite changes nothing.

    Attributes:
        step: Steps done.
        average: Running averages of what turn `"net"` updates, by name; empty unless the recipe has `ema`.
        slower: What learning rates are multiplied with; halved by every rollback.
        bad: Steps without a finite loss since the last good one.
        rollbacks: Since the last good step.
        losses: Of the last step, by name.
        rates: Learning rates of the last step, by turn.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.recipe, self.nets, self.step = recipe, recipe.nets, 0
        for name, thing in vars(recipe).items():
            # What a recipe listens to but does not train has to move to the device as well; it is in no checkpoint.
            if isinstance(thing, nn.Module) and thing is not recipe.nets:
                self.add_module(f"beside_{name}", thing)
        self.own = {turn: list(recipe.parameters(turn)) for turn in recipe.turns}
        self.average: dict[str, Tensor] = {}
        self.slower, self.bad, self.rollbacks = 1.0, 0, 0
        self.losses: dict[str, Tensor] = {}
        self.rates: dict[str, float] = {}

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One AdamW for each turn."""
        settings: dict[str, Any] = {"lr": 1e-3, "betas": (0.8, 0.99), "weight_decay": 0.01}
        return [
            torch.optim.AdamW(self.own[turn], **(settings | self.recipe.optimizer(turn))) for turn in self.recipe.turns
        ]

    def optimizer(self, turn: str) -> torch.optim.Optimizer:
        """The AdamW of a turn."""
        # Lightning's wrapper has copies of the state, which do not follow when a checkpoint is loaded.
        optimizer: torch.optim.Optimizer = self._wrapped(turn).optimizer
        return optimizer

    def _wrapped(self, turn: str) -> Any:
        every: Any = self.optimizers()
        return every[self.recipe.turns.index(turn)] if isinstance(every, list) else every

    def training_step(self, batches: list[Batch], batch_index: int) -> None:
        """All turns once."""
        self.losses, self.rates = {}, {}
        parts = [part for batch in batches for part in self.recipe.parts(batch)]
        good = all(self._turn(turn, parts) for turn in self.recipe.turns)
        self.step += 1
        if good:
            self.bad = self.rollbacks = 0
            self._average()
        else:
            self.bad += 1

    def _turn(self, turn: str, parts: list[Batch]) -> bool:
        mine = {id(parameter) for parameter in self.own[turn]}
        for parameter in self.nets.parameters():
            parameter.requires_grad_(id(parameter) in mine)
        optimizer = self.optimizer(turn)
        optimizer.zero_grad()
        sums: dict[str, Tensor] = {}
        for part in parts:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.autocast):
                losses = self.recipe.losses(turn, part)
            if losses:
                self.manual_backward(torch.stack([loss.float() for loss in losses.values()]).sum() / len(parts))
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0.0) + loss.detach() / len(parts)
        if not sums:
            return True
        sums = together.average(self.own[turn], sums)
        total = torch.stack([loss.float() for loss in sums.values()]).sum()
        norm = nn.utils.clip_grad_norm_(self.own[turn], self.recipe.clip_norm)
        if not torch.isfinite(norm + total):
            optimizer.zero_grad()
            return False
        rate = self.recipe.learning_rate(turn, self.step) * self.slower
        for group in optimizer.param_groups:
            group["lr"] = rate
        self._wrapped(turn).step()  # through Lightning, which counts steps
        self.rates[turn] = rate
        self.losses |= sums
        return True

    @torch.no_grad()
    def _average(self) -> None:
        if not self.average:
            return
        assert self.recipe.ema is not None
        # Rising to the decay asked for, so that the first average is not mostly the random start.
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        for name, parameter in self.nets.named_parameters():
            if name in self.average:
                self.average[name].lerp_(parameter, 1 - decay)

    @torch.no_grad()
    def swap_average(self) -> None:
        """Put the averages into the nets and keep what was there in their place; a second time undoes the first."""
        for name, parameter in self.nets.named_parameters():
            if name in self.average:
                kept = parameter.clone()
                parameter.copy_(self.average[name])
                self.average[name].copy_(kept)

    def state(self) -> dict[str, Any]:
        """All that a run needs to go on as if nothing had happened, except random generators."""
        state: dict[str, Any] = {
            "step": self.step,
            "nets": dict(self.nets.state_dict()),
            "optimizers": {turn: self.optimizer(turn).state_dict() for turn in self.recipe.turns},
            "slower": self.slower,
            "bad": self.bad,
            "rollbacks": self.rollbacks,
        }
        return state | ({"averages": dict(self.average)} if self.average else {})

    def begin(self) -> None:
        """Start averages from where the nets are, on the device where they are."""
        if self.recipe.ema is not None:
            mine = {id(parameter) for parameter in self.own["net"]}
            every = self.nets.named_parameters()
            self.average = {name: value.detach().clone() for name, value in every if id(value) in mine}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from `state`, whose nets have been checked."""
        self._take(state)
        self.step, self.slower = state["step"], state["slower"]
        self.bad, self.rollbacks = state["bad"], state["rollbacks"]

    def _take(self, state: dict[str, Any]) -> None:
        self.nets.load_state_dict(state["nets"])
        for turn in self.recipe.turns:
            self.optimizer(turn).load_state_dict(state["optimizers"][turn])
        for name, average in self.average.items():
            # A recipe that was not averaged until now starts from the nets.
            average.copy_(state.get("averages", state["nets"])[name])

    def roll_back(self, state: dict[str, Any]) -> None:
        """Back to the weights of a checkpoint at half the learning rate; the count of steps and the data go on.

        Raises:
            BadData: It has not helped several times in a row.
        """
        self.rollbacks += 1
        if self.rollbacks > ROLLBACKS:
            raise BadData(
                f"{self.recipe.name} does not train: no finite loss in {PATIENCE * self.rollbacks} steps up to "
                f"{self.step}; look for broken recordings, or train with smaller learning rates"
            )
        self._take(state)
        self.slower, self.bad = self.slower / 2, 0
