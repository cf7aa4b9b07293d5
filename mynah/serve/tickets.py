"""The queue that wakes workers up: huey, on SQLite in our own folder or on a Redis.

A ticket says that there is work, not which; `Jobs.claim` knows whose turn it is. So a ticket that is lost with a killed
worker, or with the Redis, costs nothing: the server writes another. Messages are JSON: huey's own way, pickles, would
let whoever can write to a Redis run code here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huey import Huey, RedisHuey, SqliteHuey
from huey.registry import Message
from huey.serializer import Serializer

from mynah.core.errors import BadOption, Offline


class _Json(Serializer):  # type: ignore[misc]  # it brings no types
    """Tickets as JSON, which runs nothing when it is read."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps([data.id, data.name]).encode()

    def _deserialize(self, data: bytes) -> Any:
        id, name = json.loads(data)
        return Message(str(id), str(name), args=(), kwargs={}, retries=0, retry_delay=0)


class Tickets:
    """Written by the server, taken by workers."""

    def __init__(self, address: str, place: Path, work: Callable[[], None] = lambda: None) -> None:
        """Where tickets go, and what a worker does with one.

        Args:
            address: Of a Redis (`redis://...`); empty for SQLite.
            place: The folder of all jobs.
            work: Called with each ticket.

        Raises:
            BadOption: Another kind of address.
            Offline: Nobody answers there.
        """
        self.huey = _huey(address, place)

        def ticket() -> None:  # huey names a task by where it is written, which has to be the same on both sides
            work()

        self._write = self.huey.task()(ticket)
        try:
            self.huey.pending_count()
        except OSError as error:
            raise Offline(_silent(address)) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "redis":
                raise
            raise Offline(_silent(address)) from error

    def write(self) -> None:
        """One more job waits."""
        self._write()

    def top_up(self, waiting: int) -> None:
        """As many tickets as there are jobs that wait, at least."""
        for _ in range(waiting - int(self.huey.pending_count())):
            self.write()

    def close(self) -> None:
        """Let go of what is open."""
        self.huey.storage.close()


def _huey(address: str, place: Path) -> Huey:
    settings = {"results": False, "serializer": _Json()}
    name = f"mynah-{hashlib.sha256(str(place).encode()).hexdigest()[:8]}"  # one Redis may serve several folders
    if not address:
        return SqliteHuey(name, filename=str(place / "tickets.sqlite3"), **settings)
    if not address.startswith(("redis://", "rediss://", "unix://")):
        raise BadOption("--queue wants the address of a Redis, such as redis://127.0.0.1:6379/0")
    try:
        return RedisHuey(name, url=address, **settings)
    except ValueError as error:
        raise BadOption(f"--queue: {error}") from None


def _silent(address: str) -> str:
    """Of the address only what is no secret.

    Example:

        >>> _silent("redis://me:secret@10.0.0.1:6379/0")
        'no Redis answers at 10.0.0.1:6379/0: start one, or leave --queue away'
    """
    where = address.partition("://")[2].rpartition("@")[2]
    return f"no Redis answers at {where}: start one, or leave --queue away"
