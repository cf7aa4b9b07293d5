"""A whole run of a recipe: resumed, saved, logged, measured, and stopped when asked."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from mynah.core.errors import BadOption, MissingExtra
from mynah.core.recipe import Batch, Recipe
from mynah.train import together
from mynah.train.ahead import ahead
from mynah.train.checkpoint import GOING_ON, fill, read, restore
from mynah.train.room import clips_of, largest

Progress = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Attributes:
        last: `last.ckpt`.
        steps: That were done.
        taken: The step whose weights the nets hold, to be exported.
        why: It ended, in words.
        chief: Whether this process is the one that saves; of several, only one exports.
    """

    last: Path
    steps: int
    taken: int
    why: str
    chief: bool = True

    def __str__(self) -> str:
        best = "the best" if self.taken < self.steps else "the last"
        return f"ended at step {self.steps}: {self.why}; what is exported is from step {self.taken}, {best}"


def train(
    recipe: Recipe,
    folder: Path | str,
    *,
    resume: bool = True,
    max_minutes: float | None = None,
    device: str = "auto",
    precision: Literal["32", "bf16"] | None = None,
    accumulate: int = 1,
    clips: int | Literal["auto"] | None = None,
    devices: int = 1,
    nodes: int = 1,
    patience: int | None = None,
    save_every: int = 200,
    log_every: int = 20,
    progress: Progress | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Ending:
    """Train until `recipe.steps`, or until it gets no better, or the time is up, or Ctrl-C; the next call goes on.

    Under `folder/<recipe.name>/` it keeps `last.ckpt` (everything a resumed run needs to give the same weights as an
    unbroken one), `best.ckpt` (nets with the highest first measure), `log.jsonl` and `tensorboard/`. At the end the
    nets of the recipe hold what should be exported: the best where the recipe has patience, else the average where it
    has `ema`, else the last weights.

    Several devices are several processes, each of which runs the whole program; the others are started by the first.
    On several machines the same command is given on each, with `MASTER_ADDR`, `MASTER_PORT` and `NODE_RANK`.

    Args:
        recipe: What to train.
        folder: Where the folder of this recipe is, or will be.
        resume: Go on from `last.ckpt` if there is one; otherwise begin anew and write over it.
        max_minutes: Stop after this long and save.
        device: `"cpu"`, `"cuda"`, `"cuda:1"`, `"mps"`, or `"auto"`: a GPU if there is one.
        precision: `"bf16"` computes losses in bfloat16 where that is safe; None leaves it to the recipe.
        accumulate: Batches of the recipe that every device adds up for one step.
        clips: Examples that are computed at a time, for recipes that let it be chosen; `"auto"` takes as many as there
            is room for, and what was taken once when the run goes on.
        devices: Of each machine.
        nodes: Machines.
        patience: Instead of the recipe's.
        save_every: Steps between checkpoints; measures are taken as often.
        log_every: Steps between lines of the log; losses are averaged over them.
        progress: Called after every step with steps done, steps in all and the losses of the last line of the log.
        note: Told what was chosen automatically.

    Raises:
        MissingExtra: Lightning or TensorBoard is not installed.
        BadCheckpoint: `last.ckpt` is damaged or belongs to another configuration.
        BadData: No finite loss, whatever the learning rate.
        BadOption: No such device, or a setting that cannot be.
        KeyboardInterrupt: Ctrl-C, after saving. A second Ctrl-C does not wait for the end of the step.
        SystemExit: SIGTERM, after saving.
    """
    try:
        from lightning.pytorch import Trainer

        from mynah.train.callbacks import Keeper, enough, waited
        from mynah.train.lesson import Lesson, Together
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "lightning":
            raise
        raise MissingExtra("lightning", "train") from error
    _sensible(accumulate=accumulate, devices=devices, nodes=nodes, patience=patience, save_every=save_every)
    place, every = _device(device), devices * nodes
    if every > 1 and place.type == "mps":
        raise BadOption("there is one mps device only: leave --devices away")
    home = Path(folder) / recipe.name
    last = home / "last.ckpt"
    state = read(last, GOING_ON) if resume and last.exists() else None
    if patience is not None:
        recipe.patience = patience
    if precision is not None:
        recipe.autocast = precision == "bf16"
    recipe.batches = accumulate * every
    if clips is not None:
        _choose(recipe, clips, (state or {}).get("settings", {}).get("clips"), place, every, note)
    chief = not together.follows(every)
    if state:
        fill(recipe.nets, state["nets"], last)
        done, lost = state["step"] >= recipe.steps, enough(recipe, waited(state))
        if done or lost:
            why = f"all {recipe.steps} steps are done" if done else f"no better figure in {waited(state)} measurements"
            return Ending(last, state["step"], _hold(recipe, home), why, chief)
    gradients = [(parameter, parameter.requires_grad) for parameter in recipe.nets.parameters()]
    settings = {"clips": clips_of(recipe), "batches": recipe.batches}
    keeper = Keeper(
        home, state, settings=settings, max_minutes=max_minutes, save_every=save_every, log_every=log_every,
        progress=progress,
    )  # fmt: skip

    def drawn(step: int) -> list[Batch]:
        """Those of this process at this step, as if one process had drawn all."""
        first = step * recipe.batches + together.rank() * accumulate
        return [recipe.batch(number) for number in range(first, first + accumulate)]

    batches = ahead(drawn, state["step"] if state else 0, recipe.steps)
    try:
        with _quiet():
            trainer = Trainer(
                accelerator={"cuda": "gpu"}.get(place.type, place.type),
                devices=[place.index or 0] if place.type == "cuda" and every == 1 else devices,
                num_nodes=nodes,
                strategy=Together() if every > 1 else "auto",
                max_epochs=1,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                default_root_dir=home,
                callbacks=[keeper],
            )
            trainer.fit(Lesson(recipe), train_dataloaders=batches)
    except SystemExit:
        if len(keeper.signals) > 1:  # what Lightning makes of a KeyboardInterrupt
            raise KeyboardInterrupt from None
        raise
    finally:
        batches.close()
        keeper.close()
        for parameter, wanted in gradients:
            parameter.requires_grad_(wanted)
            parameter.grad = None
    if keeper.asked:
        if not keeper.chief:
            raise SystemExit(0)  # whatever else would make Lightning kill the first process, which is still saving
        if keeper.signals == [signal.SIGINT]:
            raise KeyboardInterrupt
        raise SystemExit(128 + (keeper.signals or [signal.SIGTERM])[0])
    steps = keeper.steps
    return Ending(last, steps, _hold(recipe, home, steps), keeper.why, keeper.chief)


def _sensible(**numbers: int | None) -> None:
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise BadOption(f"{name.replace('_', '-')} is {number}: must be 1 or more")


def _choose(
    recipe: Recipe,
    clips: int | Literal["auto"],
    before: Any,
    place: torch.device,
    every: int,
    note: Callable[[str], None],
) -> None:
    """Set how many examples are computed at a time."""
    sized: Any = recipe
    if clips_of(recipe) is None:
        raise BadOption(f"{recipe.name} does not let the number of clips be chosen")
    if clips != "auto":
        _sensible(clips=clips)
        sized.clips = clips
    elif before is not None:
        sized.clips = int(before)
        note(f"{before} clips at a time, as before")
    elif every > 1:
        raise BadOption("as many clips as there is room for can be found out on one device only: say how many")
    else:
        sized.clips = largest(recipe, place)
        note(f"{sized.clips} clips at a time, as many as there is room for")


def _hold(recipe: Recipe, home: Path, last: int | None = None) -> int:
    """Have the nets hold what is exported, as they do the `last` step's after a run; the step that it is from."""
    if recipe.patience is not None and (home / "best.ckpt").exists():
        return restore(recipe, home / "best.ckpt")
    return restore(recipe, home / "last.ckpt") if last is None else last


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        place = torch.device(name)
    except RuntimeError:
        raise BadOption(f"no device {name!r}: choose auto, cpu, cuda or mps") from None
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (place.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(place.type, False):
        raise BadOption(f"there is no {name} here: choose auto or cpu")
    return place


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning advertises and gives advice that nobody who trains a recipe can follow."""
    from lightning.fabric.utilities.warnings import PossibleUserWarning

    logs = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            warnings.filterwarnings("ignore", "GPU available but not used")
            # Lightning 2.6 asks torch 2.13 in a way that torch 2.13 has given up.
            warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\)", FutureWarning)
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
