"""`mynah demo`, and the song that it converts."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mynah.audio.files import probe, read
from mynah.cli.demo import SONG
from mynah.features.pitch import pitch

Run = Callable[..., Any]
EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_song_is_sung_as_the_score_has_it() -> None:
    melody = pitch(read(SONG / "voice.ogg"))
    with (EXAMPLES / "score.csv").open(encoding="utf-8", newline="") as file:
        notes = list(csv.DictReader(file))
    assert len(notes) == 28
    for note in notes:
        start, length = float(note["start_seconds"]), float(note["seconds"])
        wanted_hz = 440 * 2 ** ((int(note["midi_note"]) - 69) / 12)
        first, last = (round(second / melody.hop_seconds) for second in (start + 0.12, start + 0.7 * length))
        sung_hz = melody.values[first:last].nanmedian()
        assert abs(1200 * torch.log2(sung_hz / wanted_hz)) < 30, note  # cents


def test_everything_that_is_announced_is_there(run: Run, loud: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = run("demo", "--voice", "ann", "--system", loud, "--out", tmp_path / "demo", "--json")
    assert done.code == 0, done.err
    names = {Path(file).name for file in done.json["files"]}
    assert names == {"source.wav", "source-song.wav", "ann.wav", "ann-song.wav", "ann.json", "ann.png"}
    assert {file.name for file in (tmp_path / "demo").iterdir()} == names
    assert probe(tmp_path / "demo" / "ann-song.wav").channels == 2
    figures = {figure["name"]: figure for figure in done.json["voices"][0]["figures"]}
    assert figures["pitch correlation"]["value"] > 0.999  # what is multiplied keeps its melody
    assert figures["median pitch error"]["value"] < 1


def test_people_are_told_figures_and_files(run: Run, ann: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mynah.core.errors import MissingExtra
    from mynah.metrics.report import Report

    def blind(self: Report, path: Path) -> Path:
        raise MissingExtra("matplotlib", "pictures")

    monkeypatch.setattr(Report, "picture", blind)
    done = run("demo", "--voice", ann, "--system", "hum", "--out", tmp_path / "demo")
    assert done.code == 0, done.err
    assert "pitch correlation" in done.out
    assert str(tmp_path / "demo" / "ann.wav") in done.out
    assert "mynah[pictures]" in done.err
    assert "ann.png" not in done.out


def test_the_most_different_voices_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    from mynah.cli.demo import contrasting
    from mynah.core.errors import BadVoice
    from mynah.voices.library import Summary

    library = [
        Summary("mine", "enrolled", (50.0, 60.0)),
        Summary("middle", "shipped", (150.0, 300.0)),
        Summary("high", "shipped", (200.0, 400.0)),
        Summary("low", "shipped", (80.0, 200.0)),
        Summary("broken", "damaged"),
    ]
    monkeypatch.setattr("mynah.voices.library.names", lambda: library)
    assert contrasting() == ["low", "high"]
    del library[1:4]
    assert contrasting() == ["mine"]
    del library[0]
    with pytest.raises(BadVoice, match="enrol"):
        contrasting()
