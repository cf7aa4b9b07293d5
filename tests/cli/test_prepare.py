"""`mynah prepare`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mynah.core import registry

Run = Callable[..., Any]


@pytest.fixture
def hearer(loud: str, loud_system: type[Any], monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, Path]]:
    """The converter that multiplies, which also wants to hear recordings; what it was asked."""
    asked: list[tuple[Path, Path]] = []

    def hear(data: Path, folder: Path, *, progress: Callable[[float], None]) -> None:
        asked.append((data, folder))
        progress(1.0)

    class Hearing(loud_system):  # type: ignore[misc]
        course = staticmethod(lambda data, folder, teacher="": {})
        prepare = staticmethod(hear)

    class Point:
        value = "hearing:Hearing"

        def load(self) -> type[Any]:
            return Hearing

    monkeypatch.setattr(registry, "_plugins", lambda: {"convert/loud": Point()})
    return asked


def test_a_folder_is_reported_on_and_heard(
    run: Run, hearer: list[tuple[Path, Path]], sung: Callable[..., Path], tmp_path: Path
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    sung(data / "ann" / "a.wav", seconds=12.0)
    ran = run("prepare", data, "--for", "loud", "--out", out)
    assert ran.code == 0, ran.err
    assert hearer == [(data, out)]
    assert ran.out.splitlines()[1].split()[:2] == ["ann", "1"]
    assert "ann: 0.2 minutes of singing; 10 and more are better" in ran.out
    assert json.loads((out / "report.json").read_text("utf-8"))["singers"][0]["name"] == "ann"
    again = run("prepare", data, "--for", "loud", "--out", out, "--json")
    assert again.json["singers"]["ann"]["minutes"] == pytest.approx(0.2)


def test_a_singer_of_three_seconds_stops_it_after_the_report(
    run: Run, hearer: list[tuple[Path, Path]], sung: Callable[..., Path], tmp_path: Path
) -> None:
    sung(tmp_path / "data" / "ann" / "a.wav", seconds=3.0)
    ran = run("prepare", tmp_path / "data", "--for", "loud", "--out", tmp_path / "out")
    assert ran.code == 2 and not hearer
    assert "ann: 3.0 s of singing" in ran.err
    assert (tmp_path / "out" / "report.json").exists()


def test_what_cannot_be_trained_is_not_prepared_for(run: Run, tmp_path: Path) -> None:
    ran = run("prepare", tmp_path, "--for", "hum")
    assert ran.code == 2 and "no recipe" in ran.err


def test_a_folder_without_recordings_is_told(run: Run, hearer: list[tuple[Path, Path]], tmp_path: Path) -> None:
    ran = run("prepare", tmp_path, "--for", "loud", "--out", tmp_path / "out")
    assert ran.code == 2 and "no recordings" in ran.err
