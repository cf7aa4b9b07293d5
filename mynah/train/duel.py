"""A net against its critics, on the same sound: what recipes of singers and of vocoders share."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from mynah.core.recipe import Batch, Recipe


class Duel(Recipe):
    """The net goes first and the critics after it, on the same sound, so that it is rendered once.

    Attributes:
        plan: Figures of the run, a frozen dataclass with `clips`, `rate` and `decay`.
        net: What is learnt.
        critics: Who judge it.
        rendered: Sound that the critics have not yet heard, by the number of its batch.
    """

    turns = ("net", "critic")
    clip_norm = math.inf
    plan: Any
    net: nn.Module
    critics: nn.Module

    def face(self, net: nn.Module, critics: nn.Module) -> None:
        """Put both in their places."""
        self.net, self.critics = net, critics
        self.nets = nn.ModuleDict({"net": net, "critics": critics})
        self.rendered: dict[int, Tensor] = {}

    @property
    @abstractmethod
    def epoch(self) -> float:
        """Steps until as much was drawn as there is."""

    @property
    def clips(self) -> int:
        """That are computed at a time."""
        count: int = self.plan.clips
        return count

    @clips.setter
    def clips(self, count: int) -> None:
        self.plan = replace(self.plan, clips=count)

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list((self.net if turn == "net" else self.critics).parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        rate: float = self.plan.rate * self.plan.decay ** math.floor(step / self.epoch)
        return rate

    def optimizer(self, turn: str) -> dict[str, Any]:
        return {"betas": (0.8, 0.99), "eps": 1e-9, "weight_decay": 0.01}

    def keep(self, key: int, sound: Tensor, most: int) -> None:
        """For the critics' turn; what is left of a step that never had one goes."""
        if len(self.rendered) >= most:
            self.rendered.clear()
        self.rendered[key] = sound.detach()

    def there(self, batch: Batch) -> Batch:
        """A batch where the net is."""
        device = next(self.net.parameters()).device
        return {name: values.to(device) for name, values in batch.items()}
