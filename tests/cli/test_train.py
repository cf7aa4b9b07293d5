"""`mynah train`, with a system that learns one number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio, Voice

Run = Callable[..., Any]


class Guess(Recipe):
    """Finds out a number."""

    name = "guess"

    def __init__(self, number: float) -> None:
        self.steps, self.number = 40, number
        self.guess = nn.Parameter(torch.zeros(()))
        self.nets = nn.ModuleDict({"all": nn.ParameterList([self.guess])})

    def batch(self, step: int) -> Batch:
        return {"number": torch.tensor(self.number)}

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return [self.guess]

    def learning_rate(self, turn: str, step: int) -> float:
        return 0.2

    def losses(self, turn: str, batch: Batch) -> dict[str, torch.Tensor]:
        return {"distance": (self.guess - batch["number"]).square()}

    def export(self, folder: str) -> list[str]:
        path = Path(folder) / f"{self.name}.safetensors"
        save_file({"guess": self.guess.detach().clone()}, path)
        return [str(path)]


@pytest.fixture
def learner(loud: str, loud_system: type[Any], monkeypatch: pytest.MonkeyPatch) -> str:
    """The converter that multiplies, with something to learn."""
    pytest.importorskip("lightning")

    def course(
        data: Path, folder: Path, *, teacher: str = "", skip: Sequence[str] = ()
    ) -> dict[str, Callable[[], Recipe]]:
        assert list(skip) in ([], ["noise*"])

        class Again(Guess):
            name = "again"

        return {"guess": lambda: Guess(2.0), "again": lambda: Again(3.0)}

    monkeypatch.setattr(loud_system, "course", staticmethod(course), raising=False)
    monkeypatch.setattr(loud_system, "adapt", lambda self, voice: Guess(5.0), raising=False)
    return loud


def test_every_stage_is_trained_and_exported(run: Run, learner: str, tmp_path: Path) -> None:
    arguments = ("--data", tmp_path, "--out", tmp_path / "runs", "--device", "cpu", "--skip", "noise*", "--json")
    done = run("train", learner, *arguments)
    assert done.code == 0, done.err
    files = {Path(file).stem: load_file(file) for file in done.json["files"]}
    assert list(files) == ["guess", "again"]
    assert files["again"]["guess"] == pytest.approx(3.0, abs=0.5)
    assert done.json["endings"]["again"] == {"steps": 40, "exported": 40, "why": "all 40 steps are done"}


def test_a_run_that_gets_no_better_says_so_and_exports_the_best(
    run: Run, learner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Guess, "measures", lambda self: {"score": -abs(self.guess.item() - 1.0)})
    wanted = ("--stage", "guess", "--every", "2", "--patience", "2", "--accumulate", "2", "--precision", "32")
    done = run("train", learner, "--data", tmp_path, "--out", tmp_path / "runs", "--device", "cpu", *wanted)
    assert done.code == 0, done.err
    told = done.err.splitlines()[-1]
    assert "guess: ended at step" in told and "no better figure in 2 measurements; what is exported is from" in told
    assert load_file(done.out.strip())["guess"].item() == pytest.approx(1.0, abs=0.25)


def test_one_stage_alone_and_going_on_from_a_checkpoint(run: Run, learner: str, tmp_path: Path) -> None:
    arguments = (
        "train",
        learner,
        "--data",
        tmp_path,
        "--out",
        tmp_path / "runs",
        "--stage",
        "again",
        "--device",
        "cpu",
    )
    first = run(*arguments)
    assert first.code == 0, first.err
    assert [Path(line).name for line in first.out.splitlines()] == ["again.safetensors"]
    assert "again: 0 of 40" in first.err or "again: 1 of 40" in first.err
    again = run(*arguments).err  # nothing is left to do
    assert "of 40 steps" not in again and "again: ended at step 40: all 40 steps are done" in again
    assert "of 40 steps" in run(*arguments, "--no-resume").err


def test_a_voice_is_tuned_and_remembers_it(
    run: Run, learner: str, ann: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mynah.core.types import Voice

    monkeypatch.setattr("mynah.voices.library.find", lambda name: Voice(name, range_hz=(200.0, 400.0)))
    done = run("train", learner, "--voice", ann, "--out", tmp_path / "runs", "--device", "cpu")
    assert done.code == 0, done.err
    [voice] = [voice for voice in run("voices", "--json").json["voices"] if voice["name"] == ann]
    assert voice["kind"] == "trained"


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        ("--data", "nowhere"),
        ("--data", ".", "--voice", "ann"),
        ("--data", ".", "--stage", "dance"),
        ("--data", ".", "--minutes", "0"),
        ("--data", ".", "--hold-out", "*9"),
        ("--data", ".", "--clips", "4"),
        ("--data", ".", "--clips", "many"),
        ("--data", ".", "--devices", "0"),
        ("--data", ".", "--lora", "4"),
        ("--voice", "ann", "--lora", "4"),
        ("--data", ".", "--device", "abacus"),
        ("--voice", "nobody"),
        ("--voice", "ann", "--stage", "guess"),
    ],
)
def test_a_mistake_is_one_line(run: Run, learner: str, tmp_path: Path, wrong: tuple[str, ...]) -> None:
    done = run("train", learner, "--out", tmp_path / "runs", *wrong)
    assert (done.code, done.out) == (2, "")
    assert len(done.err.replace("stage guess\n", "").splitlines()) == 1


def test_what_has_no_recipe_says_so(run: Run, tmp_path: Path) -> None:
    done = run("train", "hum", "--data", tmp_path)
    assert done.code == 2
    assert "no recipe" in done.err


def test_a_voice_that_was_enrolled_anew_is_tuned_anew() -> None:
    from mynah.cli.train import _fingerprint

    old, new = (Voice("me", (80.0, 300.0), clips=(Audio(torch.full((1, 8), value), 8000),)) for value in (0.1, 0.2))
    assert _fingerprint(old) != _fingerprint(new) and _fingerprint(old) == _fingerprint(old)
