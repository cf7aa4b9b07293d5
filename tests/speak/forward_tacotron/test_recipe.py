"""How ForwardTacotron learns: on made-up sounds, on readings whose letters are tones, and through the command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor
from torch.nn.utils.rnn import pad_sequence

from mynah.core.errors import BadCheckpoint, BadData, BadOption
from mynah.core.recipe import Batch
from mynah.speak.forward_tacotron import ForwardTacotron
from mynah.speak.forward_tacotron.aligner import AlignerConfig
from mynah.speak.forward_tacotron.net import Config, SeriesConfig
from mynah.speak.forward_tacotron.recipe import course
from mynah.speak.forward_tacotron.recipe.align import AlignRecipe
from mynah.speak.forward_tacotron.recipe.plan import AlignPhase, Plan, SpeakPhase
from mynah.speak.forward_tacotron.recipe.prosody import Sounded
from mynah.speak.forward_tacotron.recipe.speak import SpeakRecipe
from mynah.speak.forward_tacotron.symbols import Front
from mynah.train.data import Clip, Take
from mynah.train.transcripts import Reading
from tests.speak.readings import ljspeech

SERIES = SeriesConfig(24, 8, 0.3)
SMALL = Config(
    size=16, series_size=16, duration=SERIES, pitch=SERIES, energy=SERIES, prenet=24, prenet_kernels=3,
    prenet_highways=1, prenet_dropout=0.1, units=24, postnet=16, postnet_kernels=2, postnet_highways=1,
)  # fmt: skip
ALIGNER = AlignerConfig(
    size=16, reading=16, reading_kernels=2, prenet=16, attention=32, filters=4, kernel=7, units=16, finish=8,
    finish_kernels=2, finish_projection=8, highways=1,
)  # fmt: skip
PLAN = Plan(
    align=(AlignPhase(1, 3, 1e-3, 2), AlignPhase(2, 1, 1e-3, 2)), speak=(SpeakPhase(2, 1e-3, 2),), monotone=0, sharp=0,
    ones=1000, longest=1000,
)  # fmt: skip
FRONT = Front(sounds=False)


class Patterns:
    """Readings of which every sound has a spectrum, a length of two to six frames, and a pitch of its own."""

    def __init__(self, count: int, bands: int) -> None:
        dice = Generator().manual_seed(1)
        self.patterns, self.pitches = torch.randn(8, bands, generator=dice), torch.randn(8, generator=dice)
        self.mels: dict[int, Tensor] = {}
        self.sounded = [self._made(dice) for _ in range(count)]
        self.training = [each.reading for each in self.sounded]
        self.held_out: list[Reading] = []

    def _made(self, dice: Generator) -> Sounded:
        symbols = torch.randint(8, (8,), generator=dice)
        lasting, pitch = 2 + symbols % 5, self.pitches[symbols]
        mel = (self.patterns[symbols] + 0.5 * pitch[:, None]).repeat_interleave(lasting, 0).T
        reading = Reading(Take(Clip(Path("x"), ""), Path("x"), 0, 0.0), symbols, 0, mel.shape[1])
        self.mels[id(reading)] = mel
        return Sounded(reading, lasting.float(), pitch, pitch / 2)

    def drawn(self, number: int, count: int, seed: int = 0) -> list[Reading]:
        which = torch.randint(len(self.training), (count,), generator=Generator().manual_seed(number))
        return [self.training[place] for place in which.tolist()]

    def batch(self, readings: Sequence[Reading], *, silence: float, more: int = 0) -> Batch:
        longest = max(reading.frames for reading in readings) + more
        mels = [self.mels[id(reading)] for reading in readings]
        return {
            "symbols": pad_sequence([reading.symbols for reading in readings], True),
            "lengths": torch.tensor([len(reading.symbols) for reading in readings]),
            "mel": torch.stack([F.pad(mel, (0, longest - mel.shape[1]), value=silence) for mel in mels]),
            "frames": torch.tensor([reading.frames for reading in readings]),
        }


class Unheard(SpeakRecipe):
    """Of spectra too small to be sounded."""

    def preview(self, batch: Batch) -> None:  # type: ignore[override]
        return None


def test_it_learns_spectra_durations_and_pitch(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    from mynah.train.run import train

    made = Patterns(40, 8)
    parts = made.sounded[:36], made.sounded[36:]
    plan = replace(PLAN, speak=(SpeakPhase(80, 1e-2, 8), SpeakPhase(120, 2e-3, 8)), told=1.0)
    learner = Unheard(made, parts, replace(SMALL, bands=8), plan)  # type: ignore[arg-type]
    before = learner.measures()
    train(learner, tmp_path, device="cpu", save_every=1000)
    after = learner.measures()
    assert after["likeness"] > before["likeness"] / 2, (before, after)
    assert after["durations"] < 0.5 and after["pitch"] < 0.25, after


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ljspeech(tmp_path_factory.mktemp("data"), 3)


def test_both_stages_follow_each_other_and_what_they_export_speaks(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    from mynah.train.run import train

    stages = course(data, tmp_path, front=FRONT, sizes=(ALIGNER, SMALL), plan=PLAN)
    with pytest.raises(BadCheckpoint, match="train the stage align first"):
        stages["speak"]()
    align = stages["align"]()
    assert isinstance(align, AlignRecipe)
    assert [int(align.batch(step)["each"]) for step in range(3)] == [3, 1, 1]
    assert all(align.batch(step)["mel"].shape[-1] % int(align.batch(step)["each"]) == 0 for step in range(2))
    train(align, tmp_path, device="cpu", save_every=1)
    align.export(str(tmp_path))
    speak = stages["speak"]()
    assert isinstance(speak, SpeakRecipe)
    batch = speak.batch(0)
    assert batch["durations"].sum(1).long().tolist() == batch["frames"].tolist()
    assert len(list(tmp_path.rglob("durations-*.json"))) == 3
    train(speak, tmp_path, device="cpu", save_every=1)
    [file] = speak.export(str(tmp_path))
    system = ForwardTacotron.load(file)
    assert system.config is not None and system.config.front == FRONT
    assert system.speak("abc", system.own).samples.isfinite().all()
    further = course(data, tmp_path, sizes=(ALIGNER, SMALL), plan=PLAN, start=file)["speak"]()
    assert all(value.equal(further.nets.state_dict()[name]) for name, value in speak.nets.state_dict().items())


def test_readings_that_the_aligner_is_not_sure_of_are_left_out(data: Path, tmp_path: Path) -> None:
    stages = course(data, tmp_path, front=FRONT, sizes=(ALIGNER, SMALL), plan=replace(PLAN, sharp=0.99))
    stages["align"]().export(str(tmp_path))
    with pytest.raises(BadData, match="the aligner is sure of none: train the stage align longer"):
        stages["speak"]()


def test_what_would_not_be_used_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="--start"):
        ForwardTacotron.course(data, tmp_path, teacher="hubert")
    with pytest.raises(BadCheckpoint, match="no such file"):
        ForwardTacotron.course(data, tmp_path, start="forward_step90k.pt")


def test_the_command_trains_it_and_speaks_with_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lightning")
    from mynah.cli.main import main

    monkeypatch.setattr("mynah.speak.forward_tacotron.recipe.USUAL", PLAN)
    monkeypatch.setattr("mynah.speak.forward_tacotron.recipe.SIZES", (ALIGNER, SMALL))
    out, text = tmp_path / "run", "abc, def!"
    assert main(["train", "speak/forward_tacotron", "--data", str(data), "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [Path(file).name for file in told["files"]] == ["aligner.safetensors", "forward_tacotron.safetensors"]
    weights, wave = str(out / "forward_tacotron.safetensors"), str(tmp_path / "said.wav")
    assert main(["speak", text, "--system", "forward_tacotron", "--weights", weights, "-o", wave]) == 0
    assert Path(wave).stat().st_size > 1000
