"""How Tacotron 2 learns: from recordings with their texts, frame by frame, each told what really came before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.catalog.checkpoint import load_strict
from mynah.core.errors import BadCheckpoint
from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio
from mynah.speak.tacotron2 import published
from mynah.speak.tacotron2.net import Config, Net, Spoken
from mynah.speak.tacotron2.published import FORMAT
from mynah.speak.tacotron2.symbols import numbers_of
from mynah.train.checkpoint import aside
from mynah.train.data import prepare
from mynah.train.transcripts import Reading, Readings, read_aloud
from mynah.vocode import vocoder

JUDGED = 16  # held-out readings that are measured on


@dataclass(frozen=True)
class Plan:
    """Figures of a run, by default the original's.

    Attributes:
        steps: The original runs 500 epochs of LJSpeech, about as many.
        clips: Readings that are computed at a time.
        rate: Of learning.
        seed: Of all that is drawn.
    """

    steps: int = 100_000
    clips: int = 64
    rate: float = 1e-3
    seed: int = 1234


class Tacotron2Recipe(Recipe):
    """Squared differences of the spectrogram before and after the postnet, and cross entropy of the gate.

    What differs from the original: AdamW for Adam, silence before and after is taken off, and readings of about equal
    length are drawn together.

    Args:
        readings: What to learn from.
        config: Sizes.
        plan: Figures of the run.
        start: State of a model to go on from.
    """

    name = "speak"
    clip_norm = 1.0

    def __init__(
        self,
        readings: Readings,
        config: Config | None = None,
        plan: Plan | None = None,
        *,
        start: dict[str, Tensor] | None = None,
    ) -> None:
        self.readings, self.plan = readings, plan or Plan()
        self.steps = self.plan.steps
        with torch.random.fork_rng():
            torch.manual_seed(self.plan.seed)
            self.net = Net(config)
        if start is not None:
            load_strict(self.net, start, "the model to go on from")
        self.nets = nn.ModuleDict({"net": self.net})

    @property
    def clips(self) -> int:
        """Readings that are computed at a time."""
        return self.plan.clips

    @clips.setter
    def clips(self, count: int) -> None:
        self.plan = replace(self.plan, clips=count)

    def batch(self, step: int) -> Batch:
        return self._batch(self.readings.drawn(step, self.plan.clips, self.plan.seed))

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.net.parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        return self.plan.rate

    def optimizer(self, turn: str) -> dict[str, Any]:
        return {"betas": (0.9, 0.999), "weight_decay": 1e-6}

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        return losses(self._taught(batch), batch)

    def _taught(self, batch: Batch) -> Spoken:
        spoken: Spoken = self.net(batch["symbols"], batch["lengths"], batch["mel"], batch["frames"])
        return spoken

    def _batch(self, readings: Sequence[Reading]) -> Batch:
        return self.readings.batch(readings, silence=0.0)

    def measures(self) -> dict[str, float]:
        """On held-out readings that it is taught: minus nepers of log mel, and the share of attention at its peak."""
        batch = self._judged()
        with aside(self.nets):
            spoken = self._taught(batch)
            within = (torch.arange(batch["mel"].shape[-1], device=batch["mel"].device) < batch["frames"][:, None])[
                :, None
            ]
            off = ((spoken.finished - batch["mel"]).abs() * within).sum() / (within.sum() * FORMAT.bands)
            sharp = (spoken.attention.amax(2) * within[:, 0]).sum() / within.sum()
        return {"likeness": -off.item(), "attention": sharp.item()}

    def preview(self, batch: Batch) -> Audio:
        """A held-out reading as it was, and as it is said when taught."""
        judged = {name: values[:1] for name, values in self._judged().items()}
        with aside(self.nets):
            said = torch.cat([judged["mel"], self._taught(judged).finished], -1)
        return Audio(vocoder("griffin_lim", FORMAT).wave(said.cpu()), FORMAT.rate)

    def _judged(self) -> Batch:
        batch = self._batch((self.readings.held_out or self.readings.training)[:JUDGED])
        return {name: values.to(next(self.net.parameters()).device) for name, values in batch.items()}

    def export(self, folder: str) -> list[str]:
        """`tacotron2.safetensors`, which `mynah speak --system tacotron2 --weights` and `mynah import` take."""
        return [str(published.write(self.net.state_dict(), Path(folder) / "tacotron2.safetensors"))]


def losses(spoken: Spoken, batch: Batch) -> dict[str, Tensor]:
    """As the original's, over all of the batch, what follows the ends included.

    Args:
        spoken: What the net says of the batch.
        batch: With `mel`, 0 after the end, and `frames`.
    """
    mel, frames = batch["mel"], batch["frames"]
    ended = (torch.arange(mel.shape[-1], device=mel.device) >= frames[:, None] - 1).float()
    return {
        "mel": F.mse_loss(spoken.mel, mel),
        "finished": F.mse_loss(spoken.finished, mel),
        "gate": F.binary_cross_entropy_with_logits(spoken.gate, ended),
    }


def course(
    data: Path,
    folder: Path,
    *,
    config: Config | None = None,
    plan: Plan | None = None,
    hold_out: Sequence[str] = (),
    skip: Sequence[str] = (),
    start: str = "",
) -> dict[str, Callable[[], Recipe]]:
    """The only stage.

    Args:
        data: Folder of recordings with their texts, see `mynah.train.transcripts.read_aloud`.
        folder: Where prepared recordings are kept.
        config: Sizes where there is no `start`, by default the published ones.
        plan: Figures of the run.
        hold_out: Patterns of recordings to measure on.
        skip: Patterns of recordings to leave out.
        start: A model to go on from.

    Raises:
        BadCheckpoint: There is no such model, or it is damaged.
        BadData: The recordings have no texts, or are of several speakers.
    """
    if start and not Path(start).is_file():
        raise BadCheckpoint(f"{start}: there is no such file to go on from")
    sizes, state = published.read(start) if start else (config, None)
    clips = read_aloud(data, skip=skip)

    def speak() -> Recipe:
        takes = prepare(clips, folder / "prepared").takes
        readings = Readings(takes, FORMAT, numbers_of, root=data, hold_out=hold_out)
        return Tacotron2Recipe(readings, sizes, plan, start=state)

    return {"speak": speak}
