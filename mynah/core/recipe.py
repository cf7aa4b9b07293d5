"""How a system learns, said once; `mynah.train` knows how to run any of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from mynah.core.types import Audio, Voice

Batch = dict[str, "Tensor"]


class Recipe(ABC):
    """One stage of training. GANs, flows, diffusion and language models differ in turns and losses only.

    Attributes:
        name: Short, such as `"content"`; checkpoints and logs are filed under it.
        turns: Who is updated, in order, at every step: `("net",)` or `("critic", "net")`.
        steps: Optimiser steps of a whole run.
        nets: All that is learnt, critics included; its state dict is the checkpoint.
        clip_norm: Gradients are clipped to this norm.
        ema: Decay of a running average of what turn `"net"` updates, such as 0.999; measures and export use it.
        autocast: Whether losses are computed in bfloat16 where that is safe.
        patience: A run ends when the first measure has not grown so many times in a row, and the best weights are
            exported. None: a run ends with its last step, and the last weights are exported.
        batches: So many are drawn for one step, over all devices; whoever runs the recipe says so.
    """

    name: ClassVar[str]
    turns: ClassVar[tuple[str, ...]] = ("net",)
    clip_norm: ClassVar[float] = 1.0
    ema: float | None = None
    autocast: bool = False
    patience: int | None = None
    batches: int = 1
    steps: int
    nets: nn.ModuleDict

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """The examples of one step: a function of seed and step alone, so that a resumed run sees the same ones.

        Where several are drawn for one step, they are numbered on.
        """

    @abstractmethod
    def parameters(self, turn: str) -> Iterable[nn.Parameter]:
        """What this turn updates."""

    @abstractmethod
    def learning_rate(self, turn: str, step: int) -> float:
        """Of this turn at this step."""

    def optimizer(self, turn: str) -> dict[str, Any]:
        """Settings of this turn's AdamW that differ from the house's, such as `{"weight_decay": 0.0}`."""
        return {}

    @abstractmethod
    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        """Named and already weighted; their sum is descended. None at all leaves this turn out of this step."""

    def parts(self, batch: Batch) -> Sequence[Batch]:
        """A batch in equal parts, where the whole is too much at a time; their gradients are averaged."""
        return (batch,)

    def measures(self) -> dict[str, float]:
        """Figures on held-out material, by name; taken at every checkpoint. Higher is better for the first one."""
        return {}

    def preview(self, batch: Batch) -> Audio | None:
        """Something to listen to in the log."""
        return None

    @abstractmethod
    def export(self, folder: str) -> list[str]:
        """Write what inference needs as safetensors into `folder`; returns the files."""


@runtime_checkable
class Learns(Protocol):
    """A system that can be trained from nothing on a folder of recordings."""

    @classmethod
    def course(cls, data: Path, folder: Path, *, teacher: str = "") -> dict[str, Callable[[], Recipe]]:
        """The stages of training in order, by name. Each is built when its turn comes, from what earlier ones exported.

        Args:
            data: Folder of recordings.
            folder: Where stages are trained and export to; a stage that was not trained there is taken as shipped.
            teacher: Weights of the net that is distilled, where there is one: a path or a hub id.

        Whoever also takes `start`, `hold_out` or `ears` gets what the command line was told by those names; what cannot
        be is refused here, before anything long begins.
        """
        ...


@runtime_checkable
class Prepares(Protocol):
    """A system that hears a folder of recordings once, before it is trained on them."""

    @classmethod
    def prepare(cls, data: Path, folder: Path, *, progress: Callable[[float], None] = lambda fraction: None) -> None:
        """Keep in `folder` what `course` with the same folders will ask for; what is there is not done again.

        Whoever can hear in several ways also takes `ears`, as `course` does. Whoever keeps much may have a class method
        `keeps`, which takes the same `ears` and says how many bytes that is for a second of sound.

        Args:
            data: Folder of recordings.
            folder: Where stages will be trained.
            progress: Told the fraction done.
        """
        ...


@runtime_checkable
class Adapts(Protocol):
    """A system that can be trained further for one voice."""

    def adapt(self, voice: Voice) -> Recipe:
        """Go on for one voice; what is exported is that voice's `weights.safetensors`."""
        ...


@runtime_checkable
class Shares(Protocol):
    """A system whose models are handed on as files. `mynah export` and `mynah merge` ask every such system."""

    @classmethod
    def layouts(cls) -> Mapping[str, str]:
        """The suffix of a file, such as `".safetensors"`, by the name of its layout."""
        ...

    @classmethod
    def owns(cls, model: Path) -> bool:
        """Whether a file is a model of this system; told by keys and shapes, never by what it is called."""
        ...

    @classmethod
    def export(cls, model: Path, out: Path) -> Path:
        """What inference needs of a model, in the layout that the suffix of `out` says; whole or not at all.

        Raises:
            BadCheckpoint: Not a model of this system, or a damaged one.
            BadOption: There is no such layout.
        """
        ...

    @classmethod
    def merge(cls, first: Path, second: Path, out: Path, share: float) -> Path:
        """A model between two, in the layout that the suffix of `out` says.

        Args:
            first: A model.
            second: Another of the same sizes.
            out: The result.
            share: Of the second: 0 is the first, 1 the second.

        Raises:
            BadCheckpoint: As for `export`, or their sizes differ.
            BadOption: A share beyond 0 and 1, or no such layout.
        """
        ...
