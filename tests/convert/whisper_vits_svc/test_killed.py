"""A run that is killed outright goes on as if nothing had been: weights, their average, the best and the patience."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mynah.audio.files import write
from mynah.convert.whisper_vits_svc.recipe import fitted
from mynah.convert.whisper_vits_svc.recipe.sing import SingRecipe
from mynah.convert.whisper_vits_svc.recipe.songs import Songs
from mynah.core.errors import BadCheckpoint
from mynah.core.recipe import Batch
from mynah.train import checkpoint
from mynah.train.checkpoint import read
from mynah.train.data import prepare, scan
from tests.convert.whisper_vits_svc.test_recipe import PLAN, TINY, VOWELS, FewCritics, projections, vowel

pytest.importorskip("lightning")

BEST, KILLED, LAST = 4, 7, 10  # steps; measured at every other one


class Judged(SingRecipe):
    """Its figure is best after step 4, and minds every digit of the average."""

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        self.critics.get_buffer("done").add_(turn == "net")
        return super().losses(turn, batch)

    def measures(self) -> dict[str, float]:
        weights = torch.stack([value.abs().mean() for value in self.net.parameters()]).mean()
        return {"score": 10 - abs(self.critics.get_buffer("done").item() - BEST) + 1e-3 * weights.item()}

    def preview(self, batch: Batch) -> None:  # type: ignore[override]
        return None


def run(data: Path, folder: Path, killed: str = "") -> None:
    """Train, and be killed where it is said: after a step, or between the best checkpoint and the last one."""
    from mynah.train import callbacks
    from mynah.train.run import train

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def stepped(step: int, steps: int, losses: dict[str, float]) -> None:
        if killed == "after a step" and step == KILLED:
            die()

    def writing(state: dict[str, Any], path: Path) -> None:
        if killed == "between" and path.name == "last.ckpt" and state["step"] == BEST:
            die()
        checkpoint.write(state, path)

    callbacks.write = writing  # type: ignore[attr-defined]
    songs = Songs(prepare(scan(data), data.parent / "cache").takes, projections())
    torch.manual_seed(0)
    critics = FewCritics()
    critics.register_buffer("done", torch.zeros(()))
    plan = replace(PLAN, steps=100, clips=2, ema=0.9, patience=(LAST - BEST) // 2)
    train(
        Judged(songs, fitted(TINY, songs.ears), plan, critics=critics), folder, device="cpu", save_every=2,
        progress=stepped,
    )  # fmt: skip
    callbacks.write = checkpoint.write  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs") / "data"
    for number, formants in enumerate(VOWELS[:2]):
        write(vowel(200, formants, 1.0), folder / "anna" / f"{number}.wav")
    return folder


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    run(data, folder)
    return folder / "sing"


def assert_same(one: object, other: object, where: str = "") -> None:
    """Every tensor to the bit, every number."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys(), where
        for name, value in one.items():
            assert_same(value, other[name], f"{where}.{name}")
    elif isinstance(one, Tensor) and isinstance(other, Tensor):
        assert one.equal(other), where
    elif isinstance(one, list) and isinstance(other, list):
        assert_same(dict(enumerate(one)), dict(enumerate(other)), where)
    else:
        assert one == other, where


@pytest.mark.parametrize(("killed", "saved"), [("after a step", KILLED - 1), ("between", BEST - 2)])
def test_a_killed_run_ends_as_one_that_was_not(
    killed: str, saved: int, data: Path, whole: Path, tmp_path: Path
) -> None:
    words = "import sys; from pathlib import Path; from tests.convert.whisper_vits_svc.test_killed import run; "
    words += "run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])"
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-c", words, str(data), str(tmp_path), killed]
    died = subprocess.run(command, cwd=root, env=os.environ | {"PYTHONPATH": root}, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    home = tmp_path / "sing"
    assert read(home / "last.ckpt")["step"] == saved
    assert read(home / "best.ckpt")["step"] == BEST
    run(data, tmp_path)
    ended = read(home / "last.ckpt")
    assert (ended["step"], ended["best_step"], ended["waited"]) == (LAST, BEST, (LAST - BEST) // 2)
    assert ended["dice"]["torch"].equal(read(whole / "last.ckpt")["dice"]["torch"])
    for name in ("last.ckpt", "best.ckpt"):
        ours, theirs = read(home / name), read(whole / name)
        # It takes another time, and the generators of Python and numpy are nobody's here.
        other = {"seconds": 0, "dice": 0}
        assert_same(ours | other, theirs | other, name)


@pytest.mark.parametrize("change", ["a missing key", "a surplus key", "no optimizer"])
def test_a_checkpoint_of_other_keys_is_refused_before_training_and_stays(
    change: str, data: Path, whole: Path, tmp_path: Path
) -> None:
    state = read(whole / "last.ckpt")
    if change == "a missing key":
        del state["nets"]["net.enc_p.pre.bias"]
    elif change == "a surplus key":
        state["nets"]["net.enc_p.strange"] = torch.zeros(1)
    else:
        del state["optimizers"]
    place = tmp_path / "sing" / "last.ckpt"
    place.parent.mkdir()
    checkpoint.write(state, place)
    before = place.read_bytes()
    wanted = {"a missing key": "enc_p.pre.bias", "a surplus key": "enc_p.strange", "no optimizer": "optimizers"}
    with pytest.raises(BadCheckpoint, match=wanted[change]):
        run(data, tmp_path)
    assert place.read_bytes() == before
