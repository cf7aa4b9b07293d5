"""Whose turn it is, and what becomes of jobs whose workers die: the table alone, without a network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mynah.serve.jobs import TRIES, Full, Job, Jobs
from mynah.serve.worker import Worker


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    jobs = Jobs(tmp_path / "jobs")
    yield jobs
    jobs.close()


def asked(jobs: Jobs, client: str, *, size: int = 1000, kind: str = "conversion") -> Job:
    id, _ = jobs.new_folder()
    return jobs.add(id, kind, {}, owner="", client=client, label=client, size=size)


def served(jobs: Jobs, worker: str, times: int) -> str:
    return "".join(job.client for _ in range(times) if (job := jobs.claim(worker)))


def test_clients_take_turns(jobs: Jobs) -> None:
    for client in "aaaaaabbc":
        asked(jobs, client)
    with jobs.alive() as worker:
        assert served(jobs, worker, 9) == "abcabaaaa"
        for client in "ad":  # who comes later does not wait for what others asked before, nor goes twice before them
            asked(jobs, client)
        assert served(jobs, worker, 2) == "da"
        assert jobs.claim(worker) is None


def test_a_queue_has_an_end(jobs: Jobs) -> None:
    for _ in range(3):
        asked(jobs, "a", size=6)
    with pytest.raises(Full, match="3 jobs of yours"):
        asked(jobs, "a", size=6)
    for client in "bcd":
        asked(jobs, client, size=6)
    with pytest.raises(Full, match="6 jobs are waiting"):
        asked(jobs, "e", size=6)
    assert jobs.count("queued") == 6


def test_a_job_whose_workers_die_fails_in_the_end(jobs: Jobs) -> None:
    job = asked(jobs, "a")
    with jobs.alive() as honest:
        for number in range(1, TRIES + 1):
            claimed = jobs.claim(f"dead{number}")
            assert claimed
            assert claimed.tries == number
            other = asked(jobs, "b")
            mine = jobs.claim(honest)
            assert mine
            assert mine.id == other.id
            assert jobs.reap() == 1  # and not the one whose worker lives
    failed = jobs.get(job.id)
    assert failed
    assert (failed.status, failed.error["type"]) == ("failed", "WorkerLost")
    assert not jobs.folder(job.id).exists()


def test_a_worker_that_was_given_up_changes_nothing_any_more(jobs: Jobs) -> None:
    asked(jobs, "a")
    slow = jobs.claim("slow")
    assert slow
    jobs.reap()
    quick = jobs.claim("quick")
    assert quick
    assert not jobs.tell(slow, {"convert": 0.5}, preview=False)
    jobs.end(slow, "failed", {}, {"type": "Bug", "message": ""})
    assert jobs.tell(quick, {"convert": 0.1}, preview=False)


def test_stopping_a_worker_costs_no_try(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    job = asked(jobs, "a")
    with jobs.alive() as name:
        worker = Worker(jobs, name, "cpu")

        def done(kind: str, desk: object) -> dict[str, object]:
            worker.stopping.set()
            desk.tell("convert", 0.5)  # type: ignore[attr-defined]
            raise AssertionError("went on")

        monkeypatch.setattr("mynah.serve.worker.done", done)
        worker.work()
    again = jobs.get(job.id)
    assert again
    assert (again.status, again.tries) == ("queued", 0)


def test_what_is_old_or_belongs_to_nobody_is_swept(jobs: Jobs) -> None:
    old, new = asked(jobs, "a"), asked(jobs, "a")
    with jobs.alive() as worker:
        claimed = jobs.claim(worker)
        assert claimed
        jobs.end(claimed, "completed", {}, {})
    _, uploading = jobs.new_folder()
    time.sleep(0.01)
    jobs.sweep(keep_hours=1e-9)
    assert jobs.get(old.id) is None
    assert jobs.get(new.id)
    assert uploading.exists()  # somebody may still be sending
    jobs.clear_uploads()
    assert {folder.name for folder in (jobs.place / "files").iterdir()} == {new.id}
