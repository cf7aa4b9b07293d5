"""One recording after another: what is wrong with one does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mynah.cli.recordings import Job
from mynah.cli.screen import Screen
from mynah.core.errors import MynahError


def each(
    jobs: Sequence[Job], work: Callable[[Job], dict[str, Any]], screen: Screen, *, done: str
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Work on each recording, and say of which it came to nothing.

    Args:
        jobs: What to work on.
        work: Gives what machines are told of a recording.
        screen: To complain on.
        done: What happens to a recording, such as `"converted"`.

    Returns:
        What `work` gave, and what failed, for machines.

    Raises:
        MynahError: There is but one recording, and something is wrong with it.
    """
    from mynah.cli.main import explain

    told: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for job in jobs:
        try:
            told.append(work(job))
        except (MynahError, FileNotFoundError, PermissionError, IsADirectoryError) as error:
            if len(jobs) == 1:
                raise
            message = explain(error)
            screen.complaint(message if str(job.source) in message else f"{job.source}: {message}")
            screen.trace(error)
            failed.append({"source": str(job.source), "kind": type(error).__name__, "message": message})
    if failed:
        screen.complaint(f"{len(failed)} of {len(jobs)} recordings were not {done}")
    return told, failed
