"""What happens around the steps of a run: logging, saving, measuring, rolling back, stopping.

Of several processes the first one logs, saves and measures; all of them stop after the same step.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from mynah.core.errors import BadOption
from mynah.core.recipe import Batch, Recipe
from mynah.train import together
from mynah.train.checkpoint import aside, dice, read, set_dice, write
from mynah.train.diary import Diary
from mynah.train.lesson import PATIENCE, Lesson

Progress = Callable[[int, int, dict[str, float]], None]


class Keeper(Callback):
    """Keeps `last.ckpt`, `best.ckpt` and the diary of a run.

    Attributes:
        signals: The Ctrl-C and SIGTERM that came in, in order.
        why: What ended the run, in words; empty while it goes on.
        asked: Whether it was a signal, to this process or to another.
        steps: That were done at the end.
        chief: Whether this is the first of the processes, or the only one.
    """

    def __init__(
        self,
        folder: Path,
        state: dict[str, Any] | None,
        *,
        settings: dict[str, Any],
        max_minutes: float | None,
        save_every: int,
        log_every: int,
        progress: Progress | None,
    ) -> None:
        self.folder, self.last, self.best = folder, folder / "last.ckpt", folder / "best.ckpt"
        self.state, self.save_every, self.log_every, self.progress = state, save_every, log_every, progress
        self.settings = settings
        self.seconds_before = float(state["seconds"]) if state else 0.0
        known = state if state and self.best.exists() else None
        self.best_figure: float | None = known["best"] if known else None
        self.best_step = int(known.get("best_step", 0)) if known else 0
        self.waited = waited(known)
        self.measured: int | None = None
        self.started = time.monotonic()
        self.minutes = max_minutes
        self.signals: list[int] = []
        self.why, self.asked, self.steps = "", False, 0
        self.handlers: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self.chief = True
        self.diary: Diary | None = None
        self.sums: dict[str, tuple[Tensor, int]] = {}
        self.shown: dict[str, float] = {}
        self.example: Batch | None = None
        self.due = False

    @property
    def seconds(self) -> float:
        """Of training, earlier runs included."""
        return self.seconds_before + time.monotonic() - self.started

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.signals.append(number)
        if len(self.signals) > 1:
            raise KeyboardInterrupt

    def on_train_start(self, trainer: Trainer, lesson: LightningModule) -> None:
        """Go on from the checkpoint, or write the first one.

        Raises:
            BadOption: Other processes see another checkpoint, or none.
        """
        assert isinstance(lesson, Lesson)
        if len(set(together.gathered(self.state["step"] if self.state else None))) > 1:
            raise BadOption(f"{self.folder} is not the same everywhere: give a folder that all machines share")
        # Lightning has its own handlers, installed just before, which would stop a run in the middle of a step.
        if threading.current_thread() is threading.main_thread():
            for number in self.handlers:
                signal.signal(number, self._hear)
        self.chief = together.rank() == 0
        if self.chief:
            self.diary = Diary(self.folder)
        together.alike(lesson.nets)
        lesson.begin()
        self._roll()
        if self.state:
            lesson.resume(self.state)
            self._event(lesson, "resumed")
            for name, before in self.state.get("settings", {}).items():
                if before != (now := self.settings.get(name)):
                    self._event(lesson, f"{name}: {before} until now, {now} from now on")
            self.state = None
        else:
            if self.chief:
                self.best.unlink(missing_ok=True)  # of another run
            self._save(lesson)

    def _roll(self) -> None:
        """Every process has random numbers of its own, which go on where they were."""
        number, kept = together.rank(), [self.state["dice"], *self.state.get("others", ())] if self.state else []
        [seed, *_] = together.gathered(torch.initial_seed())
        if number < len(kept):
            set_dice(kept[number])
        elif number:
            torch.manual_seed((seed + number) % 2**63)

    def on_train_batch_end(
        self, trainer: Trainer, lesson: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Log, save and stop when it is time to."""
        assert isinstance(lesson, Lesson)
        for name, loss in lesson.losses.items():
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = (total + loss, count + 1)
        if lesson.bad:
            self._stumble(lesson)
        if lesson.step % self.log_every == 0:
            self._log(lesson)
        self.due |= lesson.step % self.save_every == 0
        late = self.minutes is not None and time.monotonic() - self.started >= 60 * self.minutes
        if together.anyone(bool(self.signals), lesson.device):
            self.why, self.asked = "it was asked to", True
        elif together.anyone(late, lesson.device):
            self.why = f"{self.minutes:g} minutes are over"
        # Weights that have just met a loss that is no number are not to be rolled back to.
        elif self.due and not lesson.bad and lesson.step < lesson.recipe.steps:
            self._measure(lesson)
            self._save(lesson)
            self.due = False
            if together.anyone(enough(lesson.recipe, self.waited), lesson.device):
                self.why = f"no better figure in {self.waited} measurements"
        trainer.should_stop |= bool(self.why)
        if self.progress and self.chief:
            self.progress(lesson.step, lesson.recipe.steps, self.shown)

    def on_train_end(self, trainer: Trainer, lesson: LightningModule) -> None:
        """The last checkpoint, and the nets ready to be exported."""
        assert isinstance(lesson, Lesson)
        self._log(lesson)
        self.steps = lesson.step
        if not self.asked:
            self.why = self.why or f"all {lesson.recipe.steps} steps are done"
            if self.measured != lesson.step:
                self._measure(lesson)
            told = f"ended: {self.why}"
            if self.best_figure is not None:
                told += f"; the best figure was {self.best_figure:.5g} at step {self.best_step}"
            self._event(lesson, told)
        self._save(lesson)
        lesson.swap_average()
        together.wait()

    def _stumble(self, lesson: Lesson) -> None:
        self._event(lesson, "a loss or a gradient is not finite: step skipped")
        if lesson.bad >= PATIENCE:
            state = read(self.last)
            lesson.roll_back(state)
            text = f"{PATIENCE} in a row: back to the weights of step {state['step']}, learning rate x {lesson.slower}"
            self._event(lesson, text)

    def _event(self, lesson: Lesson, text: str) -> None:
        if self.diary:
            self.diary.event(lesson.step, self.seconds, text)

    def _log(self, lesson: Lesson) -> None:
        if self.sums:
            self.shown = {name: float(total) / count for name, (total, count) in self.sums.items()}
            if self.diary:
                self.diary.losses(lesson.step, self.seconds, self.shown, lesson.rates)
            self.sums = {}

    def _save(self, lesson: Lesson) -> None:
        first, *others = together.gathered(dice())
        if not self.chief:
            return
        state = lesson.state() | {"seconds": self.seconds, "dice": first, "others": others, "settings": self.settings}
        write(state | {"best": self.best_figure, "best_step": self.best_step, "waited": self.waited}, self.last)

    def _measure(self, lesson: Lesson) -> None:
        if not self.diary:
            return
        recipe, self.measured = lesson.recipe, lesson.step
        lesson.swap_average()
        try:
            with aside(recipe.nets):
                measures = recipe.measures()
                if self.example is None:
                    self.example = {name: value.to(lesson.device) for name, value in recipe.batch(0).items()}
                audio = recipe.preview(self.example)
            if audio is not None:
                self.diary.preview(lesson.step, audio)
            if measures:
                self.diary.measures(lesson.step, self.seconds, measures)
                figure = next(iter(measures.values()))
                self.waited += 1
                if math.isfinite(figure) and (self.best_figure is None or figure > self.best_figure):
                    self.best_figure, self.best_step, self.waited = figure, lesson.step, 0
                    write(
                        {"step": lesson.step, "nets": dict(recipe.nets.state_dict()), "measures": measures}, self.best
                    )
        finally:
            lesson.swap_average()

    def close(self) -> None:
        """Give signals and files back."""
        if threading.current_thread() is threading.main_thread():
            for number, handler in self.handlers.items():
                if handler is not None:  # not set from Python, so it cannot be set from Python either
                    signal.signal(number, handler)
        if self.diary:
            self.diary.close()


def waited(state: dict[str, Any] | None) -> int:
    """Measurements since the best one, of a run whose last checkpoint this is."""
    return int(state.get("waited", 0)) if state else 0


def enough(recipe: Recipe, waited: int) -> bool:
    """Whether a recipe has lost its patience."""
    return recipe.patience is not None and waited >= recipe.patience
