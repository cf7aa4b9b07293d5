"""How Tacotron 2 learns, on readings whose letters are tones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Generator

from mynah.core.errors import BadCheckpoint, BadOption
from mynah.core.recipe import Batch
from mynah.speak.tacotron2 import Tacotron2
from mynah.speak.tacotron2.net import Config
from mynah.speak.tacotron2.recipe import Plan, Tacotron2Recipe, course
from tests.speak.readings import ljspeech

SMALL = Config(
    size=32, reading_layers=1, prenet=32, attention_units=48, attention=16, location_filters=4, location_kernel=7,
    units=48, finish=24, finish_layers=2,
)  # fmt: skip
PLAN = Plan(steps=2, clips=2, rate=5e-3)
EACH = 3  # frames of every letter


class Patterns:
    """Texts of which every letter is three frames that belong to it."""

    def __init__(self, bands: int) -> None:
        patterns = torch.randn(10, bands, EACH, generator=Generator().manual_seed(1))
        told = [[1, 2, 3], [3, 1, 5], [5, 4]]
        self.symbols = torch.zeros(3, 3, dtype=torch.long)
        self.mel = torch.zeros(3, bands, 3 * EACH)
        for row, text in enumerate(told):
            self.symbols[row, : len(text)] = torch.tensor(text)
            self.mel[row, :, : len(text) * EACH] = torch.cat([patterns[letter] for letter in text], 1)
        self.lengths = torch.tensor([len(text) for text in told])
        self.training = self.held_out = [0, 1, 2]

    def drawn(self, number: int, count: int, seed: int = 0) -> list[int]:
        return self.training

    def batch(self, readings: Sequence[int], *, silence: float) -> Batch:
        return {"symbols": self.symbols, "lengths": self.lengths, "mel": self.mel, "frames": self.lengths * EACH}


class Unheard(Tacotron2Recipe):
    """Of spectra too small to be sounded."""

    def preview(self, batch: Batch) -> None:  # type: ignore[override]
        return None


def test_it_learns_what_is_said_and_when_to_end(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    from mynah.train.run import train

    learner = Unheard(Patterns(8), replace(SMALL, bands=8), replace(PLAN, steps=150, rate=1e-2))  # type: ignore[arg-type]
    batch = learner.batch(0)
    before = sum(learner.losses("net", batch).values())
    train(learner, tmp_path, device="cpu", save_every=1000)
    after = sum(learner.losses("net", batch).values())
    assert after < before / 10, (before, after)
    learner.net.eval()
    dice = [Generator().manual_seed(number) for number in range(3)]
    said = learner.net.speak(batch["symbols"], batch["lengths"], dice, longest=60)
    assert said.lengths.tolist() == pytest.approx(batch["frames"].tolist(), rel=0.2)
    assert learner.measures()["likeness"] > -0.7


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ljspeech(tmp_path_factory.mktemp("data"), 3)


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    from mynah.train.run import train

    def recipe(steps: int) -> Tacotron2Recipe:
        made = course(data, tmp_path, config=SMALL, plan=replace(PLAN, steps=steps))["speak"]()
        assert isinstance(made, Tacotron2Recipe)
        return made

    torch.manual_seed(0)
    whole = recipe(2)
    train(whole, tmp_path / "whole", device="cpu", save_every=1)
    torch.manual_seed(0)
    train(recipe(1), tmp_path / "parts", device="cpu", save_every=1)
    torch.manual_seed(5)
    second = recipe(2)
    train(second, tmp_path / "parts", device="cpu", save_every=1)
    for name, value in whole.nets.state_dict().items():
        assert value.equal(second.nets.state_dict()[name]), name


def test_what_is_exported_speaks_and_learns_on(data: Path, tmp_path: Path) -> None:
    learner = course(data, tmp_path, config=SMALL, plan=PLAN)["speak"]()
    assert isinstance(learner, Tacotron2Recipe)
    with torch.no_grad():
        learner.net.decoder.gate_layer.linear_layer.bias.fill_(9.0)  # so that it ends at once
    [file] = learner.export(str(tmp_path))
    system = Tacotron2.load(file)
    assert system.speak("Hello.", system.own).samples.isfinite().all()
    further = course(data, tmp_path, start=file, plan=PLAN)["speak"]()
    assert all(value.equal(further.nets.state_dict()[name]) for name, value in learner.nets.state_dict().items())
    preview = learner.preview(learner.batch(0))
    assert preview.samples.shape[1] == 2 * learner.readings.training[0].frames * 256


def test_what_would_not_be_used_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="--start"):
        Tacotron2.course(data, tmp_path, teacher="hubert")
    with pytest.raises(BadCheckpoint, match="no such file"):
        Tacotron2.course(data, tmp_path, start="tacotron2_statedict.pt")
