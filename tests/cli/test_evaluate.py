"""`mynah evaluate`, with a listener for the melody alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mynah.metrics.evaluate import Listeners

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def musician(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"speaker": "away", "words": "away", "opinion": "away"}
    monkeypatch.setattr("mynah.metrics.evaluate.listeners", lambda **settings: Listeners(absent=absent))


def value(report: Any, name: str) -> Any:
    return {figure["name"]: figure["value"] for figure in report["figures"]}[name]


def test_every_figure_is_there_or_why_it_is_not(run: Run, loud: str, song: Path) -> None:
    done = run("evaluate", song, "--voice", "ann", "--system", loud)
    assert done.code == 0, done.err
    for figure in ("median pitch error", "voiced/unvoiced F1", "real-time factor", "speaker similarity"):
        assert figure in done.out
    assert "away" in done.err


def test_options_are_those_of_the_system(run: Run, loud: str, song: Path) -> None:
    report = run("evaluate", song, "--voice", "ann", "--system", loud, "--gain", 2, "--flip-sign", "--json").json
    assert value(report, "median pitch error") < 2
    assert report["title"] == "convert/loud as ann"


def test_a_report_and_a_picture_are_written(run: Run, loud: str, song: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    places = "--out", tmp_path / "report.json", "--picture", tmp_path / "song.png"
    assert run("evaluate", song, "--voice", "ann", "--system", loud, *places).code == 0
    assert json.loads((tmp_path / "report.json").read_text())["sources"][0]["name"] == str(song)
    assert (tmp_path / "song.png").read_bytes().startswith(b"\x89PNG")


def test_a_result_of_anything_else_can_be_measured(
    run: Run, loud: str, song: Path, tmp_path: Path, sung: Callable[..., Path]
) -> None:
    fifth = sung(tmp_path / "fifth.wav", hz=330.0)
    report = run("evaluate", song, "--result", fifth, "--voice", "ann", "--system", loud, "--json").json
    assert value(report, "transposed") == pytest.approx(7.02, abs=0.1)
    assert "real-time factor" not in {figure["name"] for figure in report["figures"]}
    other = sung(tmp_path / "other.wav")
    assert run("evaluate", song, other, "--result", fifth, "--voice", "ann", "--system", loud).code == 2
