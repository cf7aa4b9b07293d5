from __future__ import annotations

import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor

from mynah.core.errors import BadOption, MissingExtra, Offline
from mynah.core.types import Audio
from mynah.features import ge2e, whisper
from mynah.metrics import naturalness
from mynah.metrics.evaluate import Listeners, evaluate, listeners
from mynah.metrics.naturalness import Opinion
from mynah.metrics.report import Figure, Report

RATE = 16_000


def sung(hz: float, seconds: float = 1.0, tilt: float = 1.0, rate: int = RATE) -> Audio:
    """A tone with vibrato; `tilt` is whose voice it is."""
    t = torch.arange(int(seconds * rate), dtype=torch.float64) / rate
    phase = 2 * torch.pi * (hz * t + hz / 60 * torch.sin(2 * torch.pi * 2 * t))
    return Audio((0.2 * sum(torch.sin(k * phase) / k**tilt for k in range(1, 9))).float()[None], rate)


class Tilt:
    """An ear that tells voices by how peaked their waves are, which the pitch does not change."""

    def embed(self, clips: Sequence[Audio]) -> Tensor:
        flat = torch.stack([clip.samples.abs().mean() / clip.samples.abs().max() for clip in clips]).mean()
        return F.normalize(torch.stack([(6 * flat).cos(), (6 * flat).sin()]), dim=0)


class Envelope:
    """An ear that takes the level of every 20 ms, and of the 20 ms before, for words."""

    def encode(self, audio: Audio) -> Tensor:
        level = audio.samples.mean(0).unfold(0, audio.rate // 50, audio.rate // 50).square().mean(1)
        return torch.stack([level, level.roll(1), level.roll(2)], 1)


JUDGES = Listeners(
    speaker=Tilt(), words=Envelope(), opinion=lambda audio: Opinion(3, 3, 1 + audio.samples.abs().max().item())
)
SOURCES = {"low": sung(150.0), "high": sung(220.0, 1.5)}
TARGET = [sung(180.0, 6.0, tilt=2.0)]


def to_target(source: Audio) -> Audio:
    return sung(150.0 if source.seconds == 1 else 220.0, source.seconds, tilt=2.0)


@pytest.fixture(scope="module")
def report() -> Report:
    return evaluate(SOURCES, to_target, TARGET, own_voice=lambda source: source, judges=JUDGES, title="tilt")


def test_a_good_conversion_is_found_good(report: Report) -> None:
    correlation, median = report.figure("pitch correlation"), report.figure("median pitch error")
    assert correlation.value is not None
    assert correlation.value > 0.99
    assert median.value is not None
    assert median.value < 10
    assert report.figure("voiced/unvoiced F1").value == pytest.approx(1, abs=0.05)
    voice = report.figure("speaker similarity")
    assert voice.share == pytest.approx(1, abs=0.1)
    words = report.figure("content similarity")
    assert words.ceiling == pytest.approx(1, abs=1e-5)
    assert words.share == pytest.approx(words.value, abs=1e-4)
    factor, memory = report.figure("real-time factor").value, report.figure("peak memory").value
    assert factor is not None
    assert 0 < factor < 1
    assert memory is not None
    assert memory > 50e6


def test_doing_nothing_keeps_the_melody_and_not_the_voice() -> None:
    idle = evaluate(SOURCES, lambda source: source, TARGET, judges=JUDGES)
    assert idle.figure("speaker similarity").share == pytest.approx(0, abs=1e-3)
    assert idle.figure("pitch RMSE").value == pytest.approx(0, abs=1e-3)
    assert idle.figure("content similarity").share is None


def test_a_known_transposition_is_taken_off() -> None:
    def up(source: Audio) -> Audio:
        return sung(300.0 if source.seconds == 1 else 440.0, source.seconds)

    octave = evaluate(SOURCES, up, judges=JUDGES, transpose=12)
    assert octave.figure("transposed").value == 12
    error = octave.figure("median pitch error").value
    assert error is not None
    assert error < 10
    fourth = evaluate(SOURCES, up, judges=JUDGES, transpose=5).figure("median pitch error").value
    assert fourth == pytest.approx(700, abs=10)


def test_who_is_missing_is_missed_with_the_reason() -> None:
    report = evaluate(
        SOURCES, to_target, TARGET, judges=Listeners(absent={"words": "no network", "opinion": "mynah[x]"})
    )
    assert report.figure("content similarity") == Figure("content similarity", None, why="no network")
    assert report.figure("speaker similarity").value is None
    assert report.figure("naturalness (DNSMOS)").why == "mynah[x]"
    shown = StringIO()
    Console(width=160, file=shown).print(report.table())
    assert "no content similarity: no network" in shown.getvalue()
    assert "mynah[x]" in shown.getvalue()


def test_no_target_no_similarity() -> None:
    report = evaluate(SOURCES, to_target, judges=JUDGES)
    assert "no recordings of the target" in report.figure("speaker similarity").why
    short = evaluate(SOURCES, to_target, [sung(200.0, 1.0)], judges=JUDGES)
    assert "too little" in short.figure("speaker similarity").why


def test_a_source_without_a_pitch_is_told() -> None:
    silent = {"silence": Audio(torch.zeros(1, RATE), RATE)}
    report = evaluate(silent, lambda source: source, judges=JUDGES)
    for name in ("pitch correlation", "median pitch error", "pitch RMSE"):
        assert report.figure(name).value is None
        assert "no frame has a pitch" in report.figure(name).why


def test_progress_is_told() -> None:
    told: list[float] = []
    evaluate(SOURCES, to_target, judges=JUDGES, progress=told.append)
    assert told == pytest.approx([1 / 3, 2 / 3, 1])


def test_it_needs_sources() -> None:
    with pytest.raises(BadOption, match="no recordings"):
        evaluate({}, to_target, judges=JUDGES)


# The report


def test_json_holds_every_figure(report: Report, tmp_path: Path) -> None:
    stored = json.loads(report.write_json(tmp_path / "report.json").read_text())
    assert stored["title"] == "tilt"
    assert [source["name"] for source in stored["sources"]] == ["low", "high"]
    by_name = {figure["name"]: figure for figure in stored["figures"]}
    assert by_name["speaker similarity"]["floor"] < by_name["speaker similarity"]["ceiling"]
    assert by_name["pitch correlation"]["value"] == report.figure("pitch correlation").value


def test_the_table_and_the_picture_show_it(report: Report, tmp_path: Path) -> None:
    assert report.table().row_count == len(report.figures)
    assert report.picture(tmp_path / "report.png").stat().st_size > 10_000


def test_an_unknown_figure_is_an_error(report: Report) -> None:
    with pytest.raises(KeyError):
        report.figure("beauty")


# Whom this machine has


def test_whoever_cannot_be_had_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise Offline("cannot fetch it")

    def missing() -> Path:
        raise MissingExtra("speechmos", "naturalness")

    monkeypatch.setattr(ge2e, "load", unreachable)
    monkeypatch.setattr(whisper, "load", unreachable)
    monkeypatch.setattr(naturalness, "model_file", missing)
    found = listeners()
    assert (found.speaker, found.words, found.opinion) == (None, None, None)
    assert found.absent["speaker"] == found.absent["words"] == "cannot fetch it"
    assert "mynah[naturalness]" in found.absent["opinion"]


def test_a_wrong_file_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="absent"):
        listeners(speaker_weights=str(tmp_path / "absent.pt"))
