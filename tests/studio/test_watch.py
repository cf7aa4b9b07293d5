"""A job as a page follows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mynah.serve.jobs import Job, Jobs
from mynah.serve.settings import Settings
from mynah.studio.desk import Desk
from mynah.studio.watch import Watch
from mynah.studio.words import Words

TIMER = -1  # in the answers of a look


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    table = Jobs(tmp_path / "jobs")
    yield table
    table.close()


@pytest.fixture
def watch(jobs: Jobs) -> Watch:
    """What answers, without the parts of the page: gradio's pages leave an event loop behind."""
    made = Watch.__new__(Watch)
    house: Any = SimpleNamespace(settings=Settings(), jobs=jobs)
    made._desk, made._said, made._result = Desk(house), Words("en"), lambda job: "the result"
    return made


def who(owner: str = "") -> Any:
    return SimpleNamespace(request=SimpleNamespace(state=SimpleNamespace(owner=owner, client=owner)))


def begin(jobs: Jobs) -> Job:
    id, _ = jobs.new_folder()
    return jobs.add(id, "cover", {}, owner="", client="", label="song", size=9)


def end(jobs: Jobs) -> None:
    job = jobs.claim("worker")
    assert job is not None
    jobs.end(job, "completed", {"files": []}, {})


def test_a_look_at_the_job_before_is_not_the_last_one(jobs: Jobs, watch: Watch) -> None:
    first = begin(jobs)
    *_, shown = watch.begun(first)[2:4]
    end(jobs)
    # The next job is asked for while this look is under way: its answer comes after that of the button.
    crossed = watch._look(first.id, first.id, "", shown, who())
    assert f"data-job='{first.id}'" in crossed[2]
    assert crossed[TIMER].active
    second = begin(jobs)
    # The page still says the id of the first job, and is told of the second.
    after = watch._look(first.id, second.id, first.id, crossed[1], who())
    assert f"data-job='{second.id}'" in after[2]
    assert after[TIMER].active
    end(jobs)
    done = watch._look(first.id, second.id, first.id, after[1], who())
    assert done[0] == second.id
    assert not watch._look(first.id, second.id, second.id, done[1], who())[TIMER].active


def test_a_page_that_is_opened_anew_goes_on_with_its_job(jobs: Jobs, watch: Watch) -> None:
    job = begin(jobs)
    found = watch._look(job.id, "", "", "", who())
    assert f"data-job='{job.id}'" in found[2]
    assert found[TIMER].active
    for id, asks in ((job.id, who("somebody-else")), ("no-such-job", who())):
        assert watch._look(id, "", "", "", asks)[2] == ""
        assert not watch._look(id, "", "", "", asks)[TIMER].active
