"""The aligner: it learns to speak frame by frame, so that its attention tells when every sound was said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.catalog.checkpoint import load_safetensors, load_strict, to_safetensors
from mynah.core.errors import BadCheckpoint
from mynah.core.recipe import Batch, Recipe
from mynah.speak.forward_tacotron.aligner import Aligner, AlignerConfig
from mynah.speak.forward_tacotron.net import SILENCE
from mynah.speak.forward_tacotron.recipe.plan import Plan, at
from mynah.train.checkpoint import aside
from mynah.train.transcripts import Readings

FILE = "aligner.safetensors"
JUDGED = 8  # held-out readings that are measured on


class AlignRecipe(Recipe):
    """Absolute differences of the spectrum before and after the postnet.

    As in the original, a step of the decoder at first makes ten frames, then fewer, and at last one.

    Args:
        readings: What to learn from.
        config: Sizes.
        plan: Figures of the run.
    """

    name = "align"
    clip_norm = 1.0

    def __init__(self, readings: Readings, config: AlignerConfig, plan: Plan) -> None:
        self.readings, self.plan = readings, plan
        self.steps = plan.align[-1].until
        with torch.random.fork_rng():
            torch.manual_seed(plan.seed)
            self.net = Aligner(config)
        self.nets = nn.ModuleDict({"aligner": self.net})

    def batch(self, step: int) -> Batch:
        # Where several batches are drawn for one step, they are numbered on.
        phase = at(self.plan.align, step // self.batches)
        readings = self.readings.drawn(step, phase.clips, self.plan.seed)
        most = max(reading.frames for reading in readings) + 1
        batch = self.readings.batch(readings, silence=SILENCE, more=1 + -most % phase.each)
        return batch | {"each": torch.tensor([phase.each])}

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.net.parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        return at(self.plan.align, step).rate

    def optimizer(self, turn: str) -> dict[str, Any]:
        return {"betas": (0.9, 0.999), "weight_decay": 0.0}

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        said = self.net(batch["symbols"], batch["mel"], each=int(batch["each"]))
        return {"mel": F.l1_loss(said.mel, batch["mel"]), "finished": F.l1_loss(said.finished, batch["mel"])}

    def measures(self) -> dict[str, float]:
        """On held-out readings: how sure attention is of what it looks at, and minus nepers of log mel."""
        readings = (self.readings.held_out or self.readings.training)[:JUDGED]
        device = next(self.net.parameters()).device
        sharp, off = [], []
        with aside(self.nets):
            for reading in readings:
                mel = self.readings.mel(reading)[None].to(device)
                said = self.net(reading.symbols[None].to(device), mel)
                sharp.append(said.attention.amax(2).mean().item())
                off.append(F.l1_loss(said.finished, mel).item())
        return {"attention": sum(sharp) / len(sharp), "likeness": -sum(off) / len(off)}

    def export(self, folder: str) -> list[str]:
        """`aligner.safetensors`, which the stage `speak` looks for."""
        sizes = {name: str(value) for name, value in vars(self.net.config).items()}
        return [str(to_safetensors(self.net.state_dict(), Path(folder) / FILE, sizes))]


def trained(folder: Path, config: AlignerConfig) -> Aligner:
    """What the stage exported.

    Raises:
        BadCheckpoint: It was not trained there, or for other symbols.
    """
    path = folder / FILE
    if not path.is_file():
        raise BadCheckpoint(
            f"there is no {path}: train the stage align first, which finds out when every sound is said"
        )
    net = Aligner(config)
    load_strict(net, load_safetensors(path), str(path))
    return net.eval().requires_grad_(False)
