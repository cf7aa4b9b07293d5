"""`mynah import`, and the system that follows the voice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mynah.core.types import Voice
from mynah.voices import library, store

Run = Callable[..., Any]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Whatever is imported is a voice of Hum; which system takes which files is tested with the library."""
    asked: list[tuple[Any, ...]] = []

    def adopt(source: str, name: str, *, range_hz: Any, terms: Any, replace: bool, progress: Any) -> Voice:
        asked.append((source, range_hz, terms.license, replace))
        voice = Voice(name, range_hz or (0.0, 0.0), system="convert/hum", terms=terms)
        with store.shelved(name, replace=replace) as folder:
            store.write_voice(voice, store.sheet_for(voice, "imported", 0.0, origin=source), folder)
        return voice

    monkeypatch.setattr("mynah.voices.adoption.adopt", adopt)
    return asked


def test_a_voice_is_imported_shown_used_and_deleted(run: Run, taken: list[Any], song: Path, tmp_path: Path) -> None:
    done = run("import", "singer.zip", "--name", "singer", "--license", "CC0-1.0", "--range", "100", "400")
    assert done.code == 0, done.err
    assert taken == [("singer.zip", (100.0, 400.0), "CC0-1.0", False)]
    assert "convert/hum" in run("voices").out
    assert "singer.zip" in run("voices", "show", "singer").out
    out = tmp_path / "out.wav"
    converted = run("convert", song, "--voice", "singer", "--out", out, "--json")
    assert converted.code == 0, converted.err
    assert converted.json["system"] == "convert/hum"
    assert "of convert/hum" in run("convert", "--voice", "singer", "--help").out
    assert run("voices", "delete", "singer").code == 0
    assert "singer" not in {voice.name for voice in library.names()}


def test_another_system_than_the_voices_own_is_refused(run: Run, taken: list[Any], song: Path) -> None:
    run("import", "singer.zip", "--name", "singer")
    refused = run("convert", song, "--voice", "singer", "--system", "mynah")
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert "convert/hum" in refused.err


def test_an_unknown_range_is_said(run: Run, taken: list[Any]) -> None:
    assert "range is unknown" in run("import", "singer.zip", "--name", "singer").err
    assert "unknown" in run("voices", "show", "singer").out
    assert run("import", "singer.zip", "--name", "singer", "--json", "--replace").json["name"] == "singer"


def test_what_cannot_be_read_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "singer.pth").write_text("hello")
    refused = run("import", tmp_path / "singer.pth")
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert "singer.pth" in refused.err
