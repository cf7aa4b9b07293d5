"""A training from the page: begun, paused, gone on with, ended, thrown away; each time the command line's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mynah.core.errors import BadOption
from mynah.studio.training import Trainings, curves
from tests.studio.line import line_system

PATIENCE = 400.0  # of a busy machine; a quiet one needs ten seconds


@pytest.fixture
def trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainings:
    """With a system of milliseconds, as a package of somebody else would bring it."""
    monkeypatch.setenv("PYTHONPATH", str(line_system(tmp_path / "plugins")))
    return Trainings(tmp_path / "trainings", "cpu")


def until(happened: Callable[[], bool], said: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, said()
        time.sleep(0.1)


def test_from_beginning_to_end(trainings: Trainings, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    name = trainings.new("first", "convert/line", data=str(data))

    def course() -> object:
        return trainings.course(name)

    assert trainings.course(name).status == "new"
    trainings.go_on(name)
    with pytest.raises(BadOption, match="already"):
        trainings.go_on(name)
    until(lambda: len(trainings.course(name).losses) > 1, course)
    assert trainings.course(name).status == "running"
    trainings.pause(name)
    paused = trainings.course(name)
    assert paused.status == "paused", paused
    assert {loss for _, loss, _ in paused.losses} == {"error"}
    trainings.finish(name)
    until(lambda: trainings.course(name).status != "running", course)
    done = trainings.course(name)
    assert done.status == "done", done
    assert done.losses[-1][0] >= paused.losses[-1][0]
    assert (trainings.place / name / "run" / "line.txt").exists()
    again = Trainings(trainings.place, "cpu")
    assert again.names() == ["first"]
    assert again.course(name).losses == done.losses
    again.discard(name)
    assert not (trainings.place / name).exists()


def test_what_goes_wrong_is_shown(trainings: Trainings, tmp_path: Path) -> None:
    name = trainings.new("lost", "convert/line", data=str(tmp_path / "nowhere"))
    trainings.go_on(name)
    until(lambda: trainings.course(name).status != "running", lambda: trainings.course(name))
    course = trainings.course(name)
    assert course.status == "failed"
    assert "not a folder" in " ".join(course.lines)


@pytest.mark.parametrize("name", ["../elsewhere", "no such one", ""])
def test_only_a_name_of_ours_is_looked_for(trainings: Trainings, name: str) -> None:
    for deed in (trainings.course, trainings.discard, trainings.go_on):
        with pytest.raises(BadOption):
            deed(name)


def test_a_name_is_taken_once(trainings: Trainings) -> None:
    trainings.new("one", "convert/line", voice="me")
    with pytest.raises(BadOption, match="already"):
        trainings.new("one", "convert/line", voice="me")
    with pytest.raises(BadOption):
        trainings.new("../one", "convert/line", voice="me")


def test_a_log_that_is_being_written_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(
        '{"step": 1, "seconds": 0.5, "error": 2.0}\n{"step": 2, "seconds": 1.0, "measures": {"score": 0.5}}\n'
        '{"step": 2, "seconds": 1.0, "event": "resumed"}\n{"step": 3, "err'
    )
    assert curves(log) == (((1, "error", 2.0),), ((2, "score", 0.5),))
