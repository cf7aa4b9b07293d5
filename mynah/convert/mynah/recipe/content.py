"""Stage 1: a Whisper encoder teaches the content student what is sung, altered copies teach it to ignore who sings."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.convert.mynah.recipe import alter
from mynah.convert.mynah.recipe.corpus import Corpus, Teaching, fit, save
from mynah.core.recipe import Batch, Recipe
from mynah.features.content import HOP, ContentConfig, ContentStudent

FRAMES = 120  # of a training clip: 2.4 s


class ContentRecipe(Recipe):
    """Regression on the teacher's frames, made free of the singer: standardised, and the singer's mean taken off.

    What the altered copy no longer tells (the throat's length, the pitch) cannot be regressed upon, so the mean over
    all singers remains: the student forgets the singer because it cannot know.
    """

    name = "content"

    def __init__(
        self,
        corpus: Corpus,
        teaching: Teaching,
        *,
        config: ContentConfig | None = None,
        steps: int = 5000,
        clips: int = 32,
        seed: int = 1,
    ) -> None:
        self.corpus, self.teaching = corpus, teaching
        self.steps, self.clips, self.seed = steps, clips, seed
        self.student = ContentStudent(config)
        self.head = nn.Linear(self.student.config.size, teaching.size)
        self.nets = nn.ModuleDict({"student": self.student, "head": self.head})

    def batch(self, step: int) -> Batch:
        dice = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        return self._drawn(dice, self.clips, FRAMES)

    def _drawn(self, dice: torch.Generator, count: int, frames: int, *, held_out: bool = False) -> Batch:
        drawn = self.corpus.clips(dice, count, frames, held_out=held_out)
        return {
            "wave16": torch.stack([fit(take.wave(16_000, first, frames), frames * HOP) for take, first in drawn]),
            "teacher": torch.stack([self.teaching.frames(take, first, frames) for take, first in drawn]),
            "seed": torch.randint(2**31, (), generator=dice),
        }

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.nets.parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        warm = min(1.0, (step + 1) / 100)
        return 1.5e-3 * warm * (1 - 0.97 * min(1.0, step / self.steps))

    def _compare(self, power: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            heard = self.head(self.student.from_power(power).transpose(1, 2)).float()
        error = (heard - teacher).square().mean()
        return error, F.cosine_similarity(heard, teacher, dim=-1).mean()

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        dice = torch.Generator().manual_seed(int(batch["seed"]))
        with torch.no_grad():
            power, teacher = self.student.power(batch["wave16"]), batch["teacher"]
            ratio = 2 ** alter.uniform(len(power), -0.3, 0.6, dice)
            # Played up to a fifth faster, so fewer frames come out than go in; played slower, the end is not reached.
            frames = teacher.shape[1] - 20
            power = alter.disguise(alter.stretch_time(power, ratio, 2 * frames), dice)
            teacher = alter.stretch_time(teacher.transpose(1, 2), ratio, frames).transpose(1, 2)
        error, cosine = self._compare(power, teacher)
        return {"error": error, "cosine": 1 - cosine}

    @torch.no_grad()
    def measures(self) -> dict[str, float]:
        """Cosine to the teacher on held-out clips, unaltered and altered."""
        dice = torch.Generator().manual_seed(0)
        batch = self._drawn(dice, 32, 150, held_out=True)
        power = self.student.power(batch["wave16"])
        _, plain = self._compare(power, batch["teacher"])
        _, altered = self._compare(alter.disguise(power, dice), batch["teacher"])
        return {"cosine": plain.item(), "cosine_altered": altered.item()}

    def export(self, folder: str) -> list[str]:
        return [save(self.student, folder, "content_student")]
