"""Jobs on disk: a table that server and workers share, and a folder for the files of each job.

The table is the truth; the queue only wakes workers up. Whoever is woken takes the job whose client was served longest
ago, so that somebody with one job does not wait behind somebody with a hundred.

A worker holds a lock for as long as it lives, which the operating system lets go of even when the worker is killed.
So a job whose worker's lock is free was abandoned, whatever the clocks say.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

Status = Literal["queued", "in_progress", "completed", "failed", "cancelled"]
ACTIVE: tuple[Status, ...] = ("queued", "in_progress")
TRIES = 3
_UPLOAD_SECONDS = 3600.0  # after which a folder without a job is no upload that is still coming in
_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    client TEXT NOT NULL,
    status TEXT NOT NULL,
    label TEXT NOT NULL,
    request TEXT NOT NULL,
    steps TEXT NOT NULL DEFAULT '{}',
    result TEXT NOT NULL DEFAULT '{}',
    error TEXT NOT NULL DEFAULT '{}',
    tries INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    worker TEXT NOT NULL DEFAULT '',
    cancelling INTEGER NOT NULL DEFAULT 0,
    preview INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status, client);
CREATE TABLE IF NOT EXISTS turns (client TEXT PRIMARY KEY, turn INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS totals (
    kind TEXT, status TEXT, count INTEGER NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (kind, status)
);
"""
_LOST = {
    "type": "WorkerLost",
    "message": f"{TRIES} workers died in the middle of this job; perhaps memory ran out: try a shorter recording",
}


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Attributes:
        number: In the order of arrival.
        id: Not to be guessed.
        kind: What is to be done, such as `"cover"`.
        owner: Who may see it: a mark of the token, or empty.
        client: For whom turns are taken: the owner, and the address.
        status: Where it is.
        label: What the person's file was called; shown, and never used as a path.
        request: What was asked for, in words of JSON.
        steps: How far each step is, 0 to 1, in the order in which they began.
        result: What came of it, in words of JSON.
        error: What went wrong: a type and one line.
        tries: How many workers began it.
        created: Unix time; so are `started` and `finished`.
        worker: Who has it.
        cancelling: It was cancelled, and its worker has not heard of it yet.
        preview: There is something to listen to already.
    """

    number: int
    id: str
    kind: str
    owner: str
    client: str
    status: Status
    label: str
    request: dict[str, Any]
    steps: dict[str, float]
    result: dict[str, Any]
    error: dict[str, str]
    tries: int
    created: float
    started: float | None
    finished: float | None
    worker: str
    cancelling: bool
    preview: bool


class Full(Exception):
    """No more jobs may wait now; `seconds` until it is worth asking again."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class Jobs:
    """The table and the folders. One connection for the whole process, used by one thread at a time."""

    def __init__(self, place: Path) -> None:
        (place / "files").mkdir(parents=True, exist_ok=True)
        (place / "workers").mkdir(exist_ok=True)
        place.chmod(0o700)  # recordings of people
        self.place = place
        self._lock = threading.RLock()
        self._table = sqlite3.connect(place / "jobs.sqlite3", timeout=30, check_same_thread=False, isolation_level=None)
        self._table.row_factory = sqlite3.Row
        self._table.execute("PRAGMA journal_mode=WAL")
        self._table.execute("PRAGMA synchronous=NORMAL")
        self._table.executescript(_TABLES)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._table.close()

    def folder(self, id: str) -> Path:
        """Where the files of a job lie; only ever called with an id of ours."""
        return self.place / "files" / id

    # What the server does.

    def new_folder(self) -> tuple[str, Path]:
        """An id that nobody guesses, and an empty folder for what is uploaded."""
        id = secrets.token_hex(16)
        self.folder(id).mkdir()
        return id, self.folder(id)

    def room(self, client: str, size: int) -> None:
        """Raises `Full` when no more jobs may wait, or none of this client."""
        with self._lock:
            [waiting] = self._one("SELECT COUNT(*) FROM jobs WHERE status = 'queued'")
            [own] = self._one("SELECT COUNT(*) FROM jobs WHERE status = 'queued' AND client = ?", client)
            [mean] = self._one(
                "SELECT AVG(finished - started) FROM (SELECT finished, started FROM jobs "
                "WHERE status = 'completed' ORDER BY number DESC LIMIT 20)"
            )
        seconds = max(1, min(60, round(mean or 5)))
        if waiting >= size:
            raise Full(f"{waiting} jobs are waiting already: try again in {seconds} s", seconds)
        if own >= max(1, size // 2):
            raise Full(f"{own} jobs of yours are waiting already: try again in {seconds} s", seconds)

    def add(
        self, id: str, kind: str, request: Mapping[str, Any], *, owner: str, client: str, label: str, size: int
    ) -> Job:
        """Let a job wait for its turn; its folder must be there.

        Raises:
            Full: Meanwhile others came; nothing was added.
        """
        with self._writing():
            self.room(client, size)
            self._table.execute(
                "INSERT INTO jobs (id, kind, owner, client, status, label, request, created) "
                "VALUES (?, ?, ?, ?, 'queued', ?, ?, ?)",
                (id, kind, owner, client, label, json.dumps(request), time.time()),
            )
        job = self.get(id)
        assert job is not None
        return job

    def get(self, id: str) -> Job | None:
        """A job, if there is one of that id."""
        with self._lock:
            row = self._table.execute("SELECT * FROM jobs WHERE id = ?", (id,)).fetchone()
        return None if row is None else _job(row)

    def listed(self, owner: str, *, limit: int, after: str = "") -> list[Job]:
        """Jobs of one owner, newest first, from the one after the id `after` on."""
        with self._lock:
            [newest] = self._one("SELECT MIN(number) FROM jobs WHERE id = ?", after) if after else [None]
            rows = self._table.execute(
                "SELECT * FROM jobs WHERE owner = ? AND number < ? ORDER BY number DESC LIMIT ?",
                (owner, 1 << 62 if newest is None else newest, limit),
            ).fetchall()
        return [_job(row) for row in rows]

    def count(self, status: Status) -> int:
        """How many jobs are at that point."""
        with self._lock:
            [count] = self._one("SELECT COUNT(*) FROM jobs WHERE status = ?", status)
        return int(count)

    def totals(self) -> list[tuple[str, str, int, float]]:
        """Kind, status, number and seconds of work of all jobs that ever ended."""
        with self._lock:
            rows = self._table.execute("SELECT kind, status, count, seconds FROM totals").fetchall()
        return [tuple(row) for row in rows]

    def cancel(self, id: str) -> None:
        """A waiting job is cancelled at once, a running one as soon as its worker hears of it."""
        with self._writing():
            self._table.execute("UPDATE jobs SET cancelling = 1 WHERE id = ? AND status = 'in_progress'", (id,))
            waiting = self._one("SELECT COUNT(*) FROM jobs WHERE id = ? AND status = 'queued'", id)[0]
            if waiting:
                self._end(id, "cancelled", {}, {})
        if waiting:
            shutil.rmtree(self.folder(id), ignore_errors=True)

    def forget(self, id: str) -> None:
        """Drop a job that has ended, with its files."""
        with self._writing():
            self._table.execute("DELETE FROM jobs WHERE id = ? AND status NOT IN ('queued', 'in_progress')", (id,))
        if self.get(id) is None:
            shutil.rmtree(self.folder(id), ignore_errors=True)

    def sweep(self, keep_hours: float) -> None:
        """Drop jobs that ended long ago, and folders that belong to no job."""
        with self._writing():
            self._table.execute("DELETE FROM jobs WHERE finished < ?", (time.time() - 3600 * keep_hours,))
            self._table.execute(
                "DELETE FROM turns WHERE client NOT IN "
                "(SELECT client FROM jobs WHERE status IN ('queued', 'in_progress'))"
            )
            known = {row["id"] for row in self._table.execute("SELECT id FROM jobs")}
        for folder in (self.place / "files").iterdir():
            # A folder whose job is not in the table yet is one that is being uploaded, or was when a server died.
            if folder.name not in known and self._age(folder) > _UPLOAD_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def clear_uploads(self) -> None:
        """Drop every folder without a job: called at the start, when nothing can be coming in."""
        with self._lock:
            known = {row["id"] for row in self._table.execute("SELECT id FROM jobs")}
        for folder in (self.place / "files").iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)

    def reap(self) -> int:
        """Let jobs whose workers died wait once more, or fail after so many tries; how many there were."""
        with self._lock:
            rows = self._table.execute("SELECT DISTINCT worker FROM jobs WHERE status = 'in_progress'").fetchall()
        dead = [row["worker"] for row in rows if self._is_dead(row["worker"])]
        found = 0
        for worker in dead:
            with self._writing():
                lost = self._table.execute(
                    "SELECT id, tries, cancelling FROM jobs WHERE status = 'in_progress' AND worker = ?", (worker,)
                ).fetchall()
                for id, tries, cancelling in lost:
                    found += 1
                    if cancelling:
                        self._end(id, "cancelled", {}, {})
                    elif tries >= TRIES:
                        self._end(id, "failed", {}, _LOST)
                    else:
                        self._wait_again(id)
            for id, tries, cancelling in lost:
                if cancelling or tries >= TRIES:
                    shutil.rmtree(self.folder(id), ignore_errors=True)
            (self.place / "workers" / f"{worker}.lock").unlink(missing_ok=True)
        return found

    # What a worker does.

    @contextmanager
    def alive(self) -> Iterator[str]:
        """A name for this worker; it counts as alive while the block runs, and not a moment longer."""
        worker = secrets.token_hex(8)
        lock = FileLock(self.place / "workers" / f"{worker}.lock")
        with lock:
            yield worker
        Path(lock.lock_file).unlink(missing_ok=True)

    def claim(self, worker: str) -> Job | None:
        """The job whose turn it is, from now on this worker's; `None` when none waits."""
        with self._writing():
            row = self._table.execute(
                "SELECT jobs.id, jobs.client FROM jobs LEFT JOIN turns USING (client) WHERE status = 'queued' "
                "ORDER BY COALESCE(turn, 0), number LIMIT 1"
            ).fetchone()
            if row is None:
                return None
            self._table.execute(
                "INSERT OR REPLACE INTO turns VALUES (?, (SELECT COALESCE(MAX(turn), 0) + 1 FROM turns))",
                (row["client"],),
            )
            self._table.execute(
                "UPDATE jobs SET status = 'in_progress', worker = ?, tries = tries + 1, steps = '{}', preview = 0, "
                "started = ? WHERE id = ?",
                (worker, time.time(), row["id"]),
            )
        return self.get(row["id"])

    def tell(self, job: Job, steps: Mapping[str, float], *, preview: bool) -> bool:
        """Note how far a job is; whether it should go on."""
        with self._writing():
            row = self._table.execute(
                "UPDATE jobs SET steps = ?, preview = ? WHERE id = ? AND worker = ? AND status = 'in_progress' "
                "RETURNING cancelling",
                (json.dumps(steps), preview, job.id, job.worker),
            ).fetchone()
        return row is not None and not row["cancelling"]

    def end(self, job: Job, status: Status, result: Mapping[str, Any], error: Mapping[str, str]) -> None:
        """A job is over; what is left of one that came to nothing is removed."""
        with self._writing():
            mine = self._one(
                "SELECT COUNT(*) FROM jobs WHERE id = ? AND worker = ? AND status = 'in_progress'", job.id, job.worker
            )[0]
            if mine:
                self._end(job.id, status, result, error)
        if mine and status != "completed":
            shutil.rmtree(self.folder(job.id), ignore_errors=True)

    def give_back(self, job: Job) -> None:
        """The worker has to stop: the job waits again, and this try does not count."""
        with self._writing():
            self._wait_again(job.id)
            self._table.execute("UPDATE jobs SET tries = tries - 1 WHERE id = ?", (job.id,))

    # Inside.

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """All of the block, or nothing of it, and nobody else writes meanwhile."""
        with self._lock:
            self._table.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._table.execute("ROLLBACK")
                raise
            self._table.execute("COMMIT")

    def _one(self, query: str, *values: Any) -> Any:
        return self._table.execute(query, values).fetchone()

    def _end(self, id: str, status: Status, result: Mapping[str, Any], error: Mapping[str, str]) -> None:
        now = time.time()
        self._table.execute(
            "UPDATE jobs SET status = ?, result = ?, error = ?, finished = ?, worker = '' WHERE id = ?",
            (status, json.dumps(result), json.dumps(error), now, id),
        )
        kind, started = self._one("SELECT kind, started FROM jobs WHERE id = ?", id)
        self._table.execute(
            "INSERT INTO totals VALUES (?, ?, 1, ?) "
            "ON CONFLICT DO UPDATE SET count = count + 1, seconds = seconds + excluded.seconds",
            (kind, status, now - started if started else 0.0),
        )

    def _wait_again(self, id: str) -> None:
        self._table.execute(
            "UPDATE jobs SET status = 'queued', worker = '', steps = '{}', preview = 0, started = NULL WHERE id = ?",
            (id,),
        )

    def _is_dead(self, worker: str) -> bool:
        lock = FileLock(self.place / "workers" / f"{worker}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        lock.release()
        return True

    @staticmethod
    def _age(folder: Path) -> float:
        try:
            return time.time() - folder.stat().st_mtime
        except FileNotFoundError:
            return 0.0


def _job(row: sqlite3.Row) -> Job:
    fields = dict(row)
    for name in ("request", "steps", "result", "error"):
        fields[name] = json.loads(fields[name])
    for name in ("cancelling", "preview"):
        fields[name] = bool(fields[name])
    return Job(**fields)
