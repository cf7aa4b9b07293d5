"""The aligner's stage: how long every sound of every recording lasts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.catalog.checkpoint import to_safetensors
from mynah.core.recipe import Batch, Recipe
from mynah.speak.mynah.aligner import Aligner, best_way, diagonal, every_way
from mynah.speak.mynah.recipe.readings import Reading, Readings, framed, side_by_side
from mynah.speak.mynah.tokens import SOUNDS, SYMBOLS

QUIET_DB = 21.5  # below what is loud in a recording
PAUSE_FRAMES = 5
UNLIKELY = 12.0  # nepers by which a sound is less likely in a pause: a stop before or after it would take it all


class AlignRecipe(Recipe):
    """Every monotonic way counts; the prior that texts are read evenly shows where to begin."""

    name = "align"

    def __init__(self, readings: Readings, *, steps: int = 1000, clips: int = 16, seed: int = 22) -> None:
        self.readings, self.steps, self.clips, self.seed = readings, steps, clips, seed
        self.aligner = Aligner()
        self.nets = nn.ModuleDict({"aligner": self.aligner})

    def batch(self, step: int) -> Batch:
        dice = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        return self._batch(self.readings.drawn(dice, self.clips, longest=500))

    def _batch(self, drawn: list[Reading]) -> Batch:
        heard = [levelled(self.readings.heard(one)) for one in drawn]
        frames = torch.tensor([rows.shape[1] for rows in heard])
        lengths = torch.tensor([len(one.said) for one in drawn])
        prior = torch.zeros(len(drawn), int(frames.max()), int(lengths.max()))
        for place, (count, length) in enumerate(zip(frames.tolist(), lengths.tolist(), strict=True)):
            prior[place, :count, :length] = diagonal(count, length)
        return side_by_side(drawn) | {
            "heard": framed(heard),
            "frames": frames,
            "tokens": lengths,
            "prior": prior,
        }

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.nets.parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        return 1e-3 * min(1.0, (step + 1) / 50) * (1 - 0.9 * min(1.0, step / self.steps))

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        near = nearness(self.aligner, batch)
        return {"ways": every_way(near + batch["prior"], batch["frames"], batch["tokens"])}

    @torch.no_grad()
    def measures(self) -> dict[str, float]:
        """How sure the best way is: mean probability of the token that each held-out frame is given to."""
        sure = []
        for reading in (self.readings.part(True) or self.readings.part(False))[:60]:
            near, durations = way(self.aligner, self.readings, reading)
            token = torch.repeat_interleave(torch.arange(len(durations)), durations)
            sure.append(near.exp().gather(1, token[:, None]).mean())
        return {"sureness": torch.stack(sure).mean().item()}

    def export(self, folder: str) -> list[str]:
        state = {key: value.detach().cpu() for key, value in self.aligner.state_dict().items()}
        meta = {"format": "mynah-1", "net": "aligner"}
        return [str(to_safetensors(state, f"{folder}/aligner.safetensors", meta, dtype=torch.float16))]


def levelled(heard: Tensor) -> Tensor:
    """What was heard `[66, frame]` with its levels about as large as its content."""
    return torch.cat([heard[:64], (heard[64:] + 40.0) / 20.0])


def nearness(aligner: Aligner, batch: Batch) -> Tensor:
    """`[batch, frame, token]` of a batch of `AlignRecipe`."""
    near: Tensor = aligner(*(batch[name] for name in ("symbol", "stress", "manner", "language", "heard")))
    return near


@torch.no_grad()
def way(aligner: Aligner, readings: Readings, reading: Reading) -> tuple[Tensor, Tensor]:
    """Log probabilities `[frame, token]` of one reading and how many frames every token lasts."""
    heard = levelled(readings.heard(reading))[None]
    near = nearness(aligner, side_by_side([reading]) | {"heard": heard})[0]
    near = (near + diagonal(*near.shape)).log_softmax(-1)
    pausing = torch.tensor([SYMBOLS[number] not in SOUNDS for number in reading.said.symbol.tolist()])
    refused = pauses(readings.heard(reading)[64:].mean(0))[:, None] & ~pausing
    return near, best_way(near - UNLIKELY * refused)


def pauses(level_db: Tensor) -> Tensor:
    """Which frames `[frame]` are of a pause: quiet for a tenth of a second, and so longer than a stop in a word.

    Example:

        >>> pauses(torch.tensor([-20.0, -60, -20, -60, -60, -60, -60, -60, -20])).int()
        tensor([0, 0, 0, 1, 1, 1, 1, 1, 0], dtype=torch.int32)
    """
    quiet = (level_db < level_db.quantile(0.9) - QUIET_DB).float()[None]
    # Opened: what is shorter than the window vanishes, the rest keeps its length.
    half = PAUSE_FRAMES // 2
    core = -F.max_pool1d(-F.pad(quiet, (half, half)), PAUSE_FRAMES, 1)
    return F.max_pool1d(F.pad(core, (half, half)), PAUSE_FRAMES, 1)[0] > 0
