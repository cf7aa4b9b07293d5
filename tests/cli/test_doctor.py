"""`mynah doctor`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mynah.cli import doctor
from mynah.core.system import Weights

Run = Callable[..., Any]


@pytest.fixture
def weights(loud_system: type[Any], monkeypatch: pytest.MonkeyPatch) -> Callable[[Weights], None]:
    """Puts weights on the card of the only system there is."""
    from dataclasses import replace

    def put(weights: Weights) -> None:
        monkeypatch.setattr(loud_system, "card", replace(loud_system.card, weights={"default": weights}))

    monkeypatch.setattr("mynah.core.registry.names", lambda: {"convert/loud": "Loud."})
    return put


def test_all_that_a_bug_report_needs_is_there(run: Run, loud: str, weights: Any) -> None:
    told = run("doctor", "--json").json
    assert told["devices"]["cpu"]
    assert told["libraries"]["torch"]
    assert set(told["extras"]) >= {"pictures", "train", "world"}
    assert all(place["free_bytes"] > 0 for place in told["places"])
    assert told["troubles"] == []


def test_home_is_where_the_variable_says(run: Run, loud: str, weights: Any, tmp_path: Path) -> None:
    [place] = [place for place in run("doctor", "--json").json["places"] if place["set_by"] == "MYNAH_HOME"]
    assert place["path"] == str(tmp_path / "home")


def test_people_get_the_same_in_words(run: Run, loud: str, weights: Any) -> None:
    done = run("doctor")
    assert done.code == 0
    assert "All is well." in done.out


def test_damaged_weights_are_a_trouble(run: Run, loud: str, weights: Any, tmp_path: Path) -> None:
    put = Weights("https://example.org/net.safetensors", sha256="0" * 64, bytes=3, license="MIT")
    weights(put)
    assert run("doctor", "--json").json["weights"][0]["state"] == "will be fetched when needed"
    from mynah.catalog.weights import place_of

    place_of(put).parent.mkdir(parents=True)
    place_of(put).write_bytes(b"bad")
    done = run("doctor", "--json")
    assert done.code == 2
    assert "convert/loud" in done.json["troubles"][0]


def test_a_library_that_is_missing_is_a_trouble(
    run: Run, loud: str, weights: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "installed", lambda library: "" if library in ("soxr", "matplotlib") else "1.0")
    done = run("doctor", "--json")
    assert done.code == 2
    assert done.json["extras"]["pictures"] == ["matplotlib"]
    assert len(done.json["troubles"]) == 1
    assert "soxr" in done.err
