"""The server as a whole: one process that answers, and worker processes of its own that it keeps alive."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from filelock import FileLock, Timeout

from mynah.core.errors import BadOption
from mynah.serve.jobs import Jobs
from mynah.serve.settings import QUEUE, TOKEN, Settings, place

_LOOK_SECONDS = 1.0
_SWEEP_SECONDS = 600.0
_STOP_SECONDS = 10.0
_log = logging.getLogger("mynah.serve")


def serve(
    settings: Settings,
    ready: Callable[[str], None] = lambda address: None,
    page: Callable[[Any], None] = lambda app: None,
) -> None:
    """Answer until a signal comes. What is being worked on then is gone on with at the next start.

    Args:
        settings: Checked here.
        ready: Told the address when the server answers.
        page: As for `application`.

    Raises:
        BadOption: Settings that would be unsafe; or somebody serves this folder, or listens at this port, already.
        MissingExtra: The libraries of the server are not installed.
        Offline: No Redis answers.
    """
    settings.check()
    import uvicorn

    from mynah.serve.app import application
    from mynah.serve.asking import House
    from mynah.serve.patience import Impatient
    from mynah.serve.tickets import Tickets

    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a line for each broken form would fill a disk
    jobs = Jobs(place())
    lock = FileLock(jobs.place / "server.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        jobs.close()
        raise BadOption(f"a server works on {jobs.place} already: stop it, or set another MYNAH_HOME") from None
    try:
        jobs.clear_uploads()
        tickets = Tickets(settings.queue, jobs.place)
        config = uvicorn.Config(
            _later, host=settings.host, port=settings.port, log_config=None, access_log=False, server_header=False,
            proxy_headers=False, http=Impatient, ws="none", limit_concurrency=1000, timeout_graceful_shutdown=5,
        )  # fmt: skip
        listening = _listening(config, settings)
        server = uvicorn.Server(config)
        name = f"[{settings.host}]" if ":" in settings.host else settings.host
        with listening, _Staff(settings, jobs, tickets.top_up):  # who gets ready while the doors are made
            config.app = application(House(settings, jobs, tickets), page)
            ready(f"http://{name}:{listening.getsockname()[1]}")
            server.run(sockets=[listening])
        tickets.close()
    finally:
        jobs.close()
        lock.release()


async def _later(scope: Any, receive: Any, send: Any) -> None:
    """Stands for the application until that is made."""


def _listening(config: Any, settings: Settings) -> Any:
    try:
        return config.bind_socket()
    except (OSError, SystemExit) as error:
        raise BadOption(f"nobody can listen at {settings.host}:{settings.port}: choose another --port") from error


class _Staff:
    """Keeps workers alive, jobs of dead ones going, and the folder clean."""

    def __init__(self, settings: Settings, jobs: Jobs, top_up: Callable[[int], None]) -> None:
        self._settings, self._jobs, self._top_up = settings, jobs, top_up
        self._stop = threading.Event()
        self._workers: list[subprocess.Popen[bytes]] = []
        self._thread = threading.Thread(target=self._look_after)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        for worker in self._workers:
            if worker.stdin:
                worker.stdin.close()  # its sign to go
        end = time.monotonic() + _STOP_SECONDS
        for worker in self._workers:
            try:
                worker.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def _look_after(self) -> None:
        swept = 0.0
        while True:
            try:
                self._staffed()
                self._jobs.reap()
                self._top_up(self._jobs.count("queued"))
                if time.monotonic() - swept > _SWEEP_SECONDS:
                    swept = time.monotonic()
                    self._jobs.sweep(self._settings.keep_hours)
            except Exception as error:  # such as a Redis that went away: it may come back
                _log.warning("%s: %s", type(error).__name__, error)
            if self._stop.wait(_LOOK_SECONDS):
                return

    def _staffed(self) -> None:
        for worker in [worker for worker in self._workers if worker.poll() is not None]:
            _log.warning("worker %d ended (%s); another takes its place", worker.pid, worker.returncode)
            if worker.stdin:
                worker.stdin.close()
            self._workers.remove(worker)
        while len(self._workers) < self._settings.workers:
            environment = {name: value for name, value in os.environ.items() if name != TOKEN}
            environment[QUEUE] = self._settings.queue
            command = [sys.executable, "-m", "mynah.serve.worker", self._settings.device]
            self._workers.append(subprocess.Popen(command, stdin=subprocess.PIPE, env=environment))
