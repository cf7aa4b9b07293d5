"""A worker: a process that takes tickets and does jobs, one at a time, until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import traceback
from types import FrameType

from mynah.core.errors import MynahError
from mynah.serve.jobs import Job, Jobs
from mynah.serve.settings import QUEUE, place
from mynah.serve.tickets import Tickets
from mynah.serve.work import Desk, done, prepare

_TELL_SECONDS = 0.2
_IDLE_SECONDS = 0.5  # without a job, after which one gets ready for the first
_log = logging.getLogger("mynah.serve")


class _Cancelled(Exception):
    """Whoever asked for the job does not want it any more."""


class _Stopping(Exception):
    """The worker has to go."""


class _Briefly(logging.Filter):
    """huey tells of a Redis that went away with a page at each try; a line will do."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1]:
            record.msg, record.args = "%s (%s)", (record.getMessage(), record.exc_info[1])
            record.exc_info = None
        return True


class Worker:
    """Does jobs for as long as it is told to."""

    def __init__(self, jobs: Jobs, name: str, device: str) -> None:
        self.jobs, self.name, self.device = jobs, name, device
        self.stopping = threading.Event()

    def work(self) -> None:
        """Do the job whose turn it is, if there is one."""
        if self.stopping.is_set():
            return
        job = self.jobs.claim(self.name)
        if job is None:
            return
        try:
            result = done(job.kind, self._desk(job))
        except _Stopping:
            self.jobs.give_back(job)
        except _Cancelled:
            self.jobs.end(job, "cancelled", {}, {})
        except Exception as error:
            self.jobs.end(job, "failed", {}, self._told(job, error))
        else:
            self.jobs.end(job, "completed", result, {})

    def _desk(self, job: Job) -> Desk:
        steps: dict[str, float] = {}
        last, preview = 0.0, False

        def send() -> None:
            nonlocal last
            last = time.monotonic()
            if self.stopping.is_set():
                raise _Stopping
            if not self.jobs.tell(job, steps, preview=preview):
                raise _Cancelled

        def tell(step: str, fraction: float) -> None:
            new = step not in steps
            steps[step] = round(min(1.0, max(0.0, fraction)), 3)
            if new or time.monotonic() - last > _TELL_SECONDS:
                send()

        def publish() -> None:
            nonlocal preview
            preview = True
            send()

        return Desk(self.jobs.folder(job.id), job.request, self.device, tell, publish)

    def _told(self, job: Job, error: Exception) -> dict[str, str]:
        if isinstance(error, MynahError):
            here = str(self.jobs.folder(job.id))
            message = str(error).replace(f"{here}/", "").replace(str(self.jobs.place.parent), "")
            return {"type": type(error).__name__, "message": message}
        if isinstance(error, MemoryError):
            return {"type": "NoMemory", "message": "memory ran out: try a shorter recording"}
        _log.error("job %s: %s", job.id, "".join(traceback.format_exception(error)))
        return {"type": "Bug", "message": f"a bug in mynah ({type(error).__name__}); the server's log tells more"}


def run(queue: str, device: str, *, with_parent: bool = False) -> None:
    """Work until a signal comes; a job that is being done then waits for the next worker.

    Args:
        queue: Address of a Redis; empty for SQLite.
        device: Where nets run.
        with_parent: Stop, too, when standard input ends, as it does when the server that started this is gone.

    Raises:
        Offline: No Redis answers.
    """
    stop = threading.Event()

    def leave(number: int, frame: FrameType | None) -> None:
        stop.set()

    jobs = Jobs(place())
    try:
        with jobs.alive() as name:
            worker = Worker(jobs, name, device)
            tickets = Tickets(queue, jobs.place, worker.work)
            jobs.reap()
            consumer = tickets.huey.create_consumer(
                workers=1, periodic=False, initial_delay=0.05, max_delay=0.1, check_worker_health=True
            )
            for part in ("", ".Worker", ".Scheduler"):
                logging.getLogger(f"huey.consumer{part}").addFilter(_Briefly())
            consumer.start()
            for number in (signal.SIGINT, signal.SIGTERM):  # after huey, which would let nobody finish
                signal.signal(number, leave)
            if with_parent:
                threading.Thread(target=_until_end_of_input, args=[stop], daemon=True).start()
            if not stop.wait(_IDLE_SECONDS) and not jobs.count("queued") and not jobs.count("in_progress"):
                prepare(device)
            stop.wait()
            worker.stopping.set()
            consumer.stop(graceful=True)
            tickets.close()
    finally:
        jobs.close()


def _until_end_of_input(stop: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    stop.set()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    try:
        run(os.environ.get(QUEUE, ""), sys.argv[1], with_parent=True)
    except MynahError as error:
        sys.exit(f"mynah: {error}")
