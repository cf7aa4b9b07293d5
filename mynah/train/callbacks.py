"""What happens around the steps of a run: logging, saving, measuring, rolling back, stopping."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from mynah.core.recipe import Batch
from mynah.train.checkpoint import aside, dice, read, set_dice, write
from mynah.train.diary import Diary
from mynah.train.lesson import PATIENCE, Lesson

Progress = Callable[[int, int, dict[str, float]], None]


class Keeper(Callback):
    """Keeps `last.ckpt`, `best.ckpt` and the diary of a run.

    Attributes:
        signals: The Ctrl-C and SIGTERM that came in, in order.
    """

    def __init__(
        self,
        folder: Path,
        state: dict[str, Any] | None,
        *,
        max_minutes: float | None,
        save_every: int,
        log_every: int,
        progress: Progress | None,
    ) -> None:
        self.last, self.best = folder / "last.ckpt", folder / "best.ckpt"
        self.state, self.save_every, self.log_every, self.progress = state, save_every, log_every, progress
        self.seconds_before = float(state["seconds"]) if state else 0.0
        self.best_figure: float | None = state["best"] if state else None
        self.started = time.monotonic()
        self.deadline = math.inf if max_minutes is None else self.started + 60 * max_minutes
        self.signals: list[int] = []
        self.handlers: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self.diary = Diary(folder)
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
        """Go on from the checkpoint, or write the first one."""
        assert isinstance(lesson, Lesson)
        # Lightning has its own handlers, installed just before, which would stop a run in the middle of a step.
        if threading.current_thread() is threading.main_thread():
            for number in self.handlers:
                signal.signal(number, self._hear)
        lesson.begin()
        if self.state:
            lesson.resume(self.state)
            set_dice(self.state["dice"])
            self.diary.event(lesson.step, self.seconds, "resumed")
            self.state = None
        else:
            self._save(lesson)

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
        over = self.signals or time.monotonic() >= self.deadline
        trainer.should_stop |= bool(over)
        # Weights that have just met a loss that is no number are not to be rolled back to.
        if self.due and not lesson.bad and not over and lesson.step < lesson.recipe.steps:
            self._measure(lesson)
            self._save(lesson)
            self.due = False
        if self.progress:
            self.progress(lesson.step, lesson.recipe.steps, self.shown)

    def on_train_end(self, trainer: Trainer, lesson: LightningModule) -> None:
        """The last checkpoint, and the nets ready to be exported."""
        assert isinstance(lesson, Lesson)
        self._log(lesson)
        if not self.signals:
            self._measure(lesson)
        self._save(lesson)
        lesson.swap_average()

    def _stumble(self, lesson: Lesson) -> None:
        self.diary.event(lesson.step, self.seconds, "a loss or a gradient is not finite: step skipped")
        if lesson.bad >= PATIENCE:
            state = read(self.last)
            lesson.roll_back(state)
            text = f"{PATIENCE} in a row: back to the weights of step {state['step']}, learning rate x {lesson.slower}"
            self.diary.event(lesson.step, self.seconds, text)

    def _log(self, lesson: Lesson) -> None:
        if self.sums:
            self.shown = {name: float(total) / count for name, (total, count) in self.sums.items()}
            self.diary.losses(lesson.step, self.seconds, self.shown, lesson.rates)
            self.sums = {}

    def _save(self, lesson: Lesson) -> None:
        state = lesson.state() | {"seconds": self.seconds, "best": self.best_figure, "dice": dice()}
        write(state, self.last)

    def _measure(self, lesson: Lesson) -> None:
        recipe = lesson.recipe
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
                if math.isfinite(figure) and (self.best_figure is None or figure > self.best_figure):
                    self.best_figure = figure
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
        self.diary.close()
