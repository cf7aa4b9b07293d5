"""A whole run of a recipe: resumed, saved, logged, measured, and stopped when asked."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from mynah.core.errors import BadOption, MissingExtra
from mynah.core.recipe import Recipe
from mynah.train.ahead import ahead
from mynah.train.checkpoint import fill, read, restore

Progress = Callable[[int, int, dict[str, float]], None]


def train(
    recipe: Recipe,
    folder: Path | str,
    *,
    resume: bool = True,
    max_minutes: float | None = None,
    device: str = "auto",
    save_every: int = 200,
    log_every: int = 20,
    progress: Progress | None = None,
) -> Path:
    """Train until `recipe.steps`, or until the time is up, or until Ctrl-C; the next call goes on from there.

    Under `folder/<recipe.name>/` it keeps `last.ckpt` (everything a resumed run needs to give the same weights as an
    unbroken one), `best.ckpt` (nets with the highest first measure), `log.jsonl` and `tensorboard/`. At the end the
    nets of the recipe hold what should be exported: the average where the recipe has `ema`, else the last weights.

    Args:
        recipe: What to train.
        folder: Where the folder of this recipe is, or will be.
        resume: Go on from `last.ckpt` if there is one; otherwise begin anew and write over it.
        max_minutes: Stop after this long and save.
        device: `"cpu"`, `"cuda"`, `"cuda:1"`, `"mps"`, or `"auto"`: a GPU if there is one.
        save_every: Steps between checkpoints; measures are taken as often.
        log_every: Steps between lines of the log; losses are averaged over them.
        progress: Called after every step with steps done, steps in all and the losses of the last line of the log.

    Returns:
        The path of `last.ckpt`.

    Raises:
        MissingExtra: Lightning or TensorBoard is not installed.
        BadCheckpoint: `last.ckpt` is damaged or belongs to another configuration.
        BadData: No finite loss, whatever the learning rate.
        BadOption: No such device.
        KeyboardInterrupt: Ctrl-C, after saving. A second Ctrl-C does not wait for the end of the step.
        SystemExit: SIGTERM, after saving.
    """
    try:
        from lightning.pytorch import Trainer

        from mynah.train.callbacks import Keeper
        from mynah.train.lesson import Lesson
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "lightning":
            raise
        raise MissingExtra("lightning", "train") from error
    place = _device(device)
    home = Path(folder) / recipe.name
    last = home / "last.ckpt"
    state = read(last) if resume and last.exists() else None
    if state:
        fill(recipe.nets, state["nets"], last)
        if state["step"] >= recipe.steps:
            restore(recipe, last)
            return last
    gradients = [(parameter, parameter.requires_grad) for parameter in recipe.nets.parameters()]
    keeper = Keeper(home, state, max_minutes=max_minutes, save_every=save_every, log_every=log_every, progress=progress)
    batches = ahead(recipe.batch, state["step"] if state else 0, recipe.steps)
    try:
        with _quiet():
            trainer = Trainer(
                accelerator={"cuda": "gpu"}.get(place.type, place.type),
                devices=[place.index or 0] if place.type == "cuda" else 1,
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
    if keeper.signals == [signal.SIGINT]:
        raise KeyboardInterrupt
    if keeper.signals:
        raise SystemExit(128 + keeper.signals[0])
    return last


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
