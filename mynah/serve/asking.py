"""From a request to a job, and from a job to an answer: what all doors share."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from mynah.core.errors import NoSpace
from mynah.core.registry import find
from mynah.core.verbs import options_of
from mynah.serve.jobs import ACTIVE, Job, Jobs
from mynah.serve.knobs import refuse_places
from mynah.serve.problems import Problem, no_system, of_job
from mynah.serve.settings import Settings
from mynah.serve.sound import accept
from mynah.serve.tickets import Tickets
from mynah.serve.uploads import Form, received
from mynah.serve.work import default, those_who

_LOOK_SECONDS = 0.1
_log = logging.getLogger("mynah.serve")


@dataclass(frozen=True)
class House:
    """What every door needs."""

    settings: Settings
    jobs: Jobs
    tickets: Tickets
    listening: Counter[str] = field(default_factory=Counter)  # streams of events that a client has open


def house(request: Request) -> House:
    """Of the application that a request came to."""
    found: House = request.app.state.house
    return found


async def asked(
    request: Request, kind: str, read: Callable[[Form], dict[str, Any]], *, files: int = 1, sound: bool = True
) -> Job:
    """Receive a form with files and make it a job.

    Args:
        request: The form is its body.
        kind: Of the job.
        read: Turns the fields into what the worker is asked for; raises where they make no sense.
        files: How many files there may be; one there must be.
        sound: Whether they are recordings, and are refused where they are not.

    Raises:
        Full, Problem, MynahError: No job comes of it, and no file stays.
    """
    here = house(request)
    await run_in_threadpool(here.jobs.room, request.state.client, here.settings.queue_size)
    if shutil.disk_usage(here.jobs.place).free < 2e6 * here.settings.upload_mb:
        raise NoSpace("the disk of the server is nearly full: ask whoever runs it")
    id, folder = here.jobs.new_folder()
    try:
        form = await received(request, folder, files=files)
        if not form.files:
            raise Problem(400, "file: send one as `file`", code="missing_file", param="file")

        def checked() -> dict[str, Any]:
            recordings = form.files if sound else []
            for file in recordings:
                accept(file, here.settings.minutes, whole=False)
            return read(form) | {"sources": len(recordings), "minutes": here.settings.minutes}

        label = form.label
        return await _added(request, id, kind, await run_in_threadpool(checked), label)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


async def ordered(request: Request, kind: str, what: dict[str, Any]) -> Job:
    """Make a job of a request without files."""
    here = house(request)
    id, folder = here.jobs.new_folder()
    try:
        return await _added(request, id, kind, what, kind)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


async def _added(request: Request, id: str, kind: str, what: dict[str, Any], label: str) -> Job:
    state = request.state
    return await run_in_threadpool(
        added, house(request), id, kind, what, owner=state.owner, client=state.client, label=label
    )


def added(here: House, id: str, kind: str, what: dict[str, Any], *, owner: str, client: str, label: str) -> Job:
    """A job that waits from now on, with its ticket; its folder must be there."""
    one = ("system", what.get("verb", ""), "options")
    for system, verb, options in (one, ("separator", "separate", "separate"), ("converter", "convert", "convert")):
        if system in what:
            refuse_places(options_of(find(what[system]), verb), what[options])
    if "system" in what:
        what = what | {"weights": here.settings.weights.get(what["system"], "default")}
    job = here.jobs.add(id, kind, what, owner=owner, client=client, label=label, size=here.settings.queue_size)
    try:
        here.tickets.write()
    except Exception as error:  # the job is in the table: a ticket is written as soon as the queue is there again
        _log.warning("no ticket for job %s: %s", id, type(error).__name__)
    return job


async def finished(request: Request, job: Job) -> Job:
    """Wait for a job that somebody waits for; if they go away, it is cancelled.

    Raises:
        Problem: It failed, or was cancelled.
    """
    here = house(request)
    while job.status in ACTIVE:
        if await request.is_disconnected():
            await run_in_threadpool(here.jobs.cancel, job.id)
        await asyncio.sleep(_LOOK_SECONDS)
        found = await run_in_threadpool(here.jobs.get, job.id)
        if found is None:
            raise Problem(410, "the job was removed", code="gone")
        job = found
    if job.status == "failed":
        raise of_job(job.error)
    if job.status == "cancelled":
        raise Problem(409, "the job was cancelled", code="cancelled")
    return job


async def changes(request: Request, job: Job) -> AsyncIterator[Job]:
    """A job now, and again whenever something about it changed, until it has ended or nobody listens."""
    here = house(request)
    last: Job | None = None
    while True:
        if job != last:
            yield job
            last = job
        if job.status not in ACTIVE or await request.is_disconnected():
            return
        await asyncio.sleep(2 * _LOOK_SECONDS)
        found = await run_in_threadpool(here.jobs.get, job.id)
        if found is None:
            return
        job = found


THEIRS = ("whisper-1", "tts-1")
"""What OpenAI's clients call whoever does it there; here, whoever does it here."""


def system_for(verb: str, model: str, usual: Mapping[str, str] | None = None) -> str:
    """The system that a request means, as the registry names it.

    Args:
        verb: What it has to do.
        model: Its name, with or without the verb; empty, `"default"`, or OpenAI's own for whoever does it here.
        usual: Who does a verb here, where whoever runs the server has decided that.

    Raises:
        Problem: Nobody can do that here (501), or nobody of that name (404).
    """
    able = those_who(verb)
    if not able:
        raise no_system(verb)
    if model in ("", "default", *THEIRS):
        return (usual or {}).get(verb) or default(verb)
    name = next((name for name in able if model in (name, name.partition("/")[2])), None)
    if name is None:
        message = f"no model {model[:100]!r} can {verb}: choose `default` or among {', '.join(able)}"
        raise Problem(404, message, code="model_not_found", param="model")
    return name


def document(job: Job) -> dict[str, Any]:
    """What a program is told of a job."""
    address = f"/v1/jobs/{job.id}"
    request = job.request
    named = ("system", "separator", "converter", "voice", "name", "format", "options", "separate", "convert")
    return {
        "id": job.id,
        "object": "job",
        "kind": job.kind,
        "label": job.label,
        "status": "cancelling" if job.cancelling and job.status == "in_progress" else job.status,
        "created_at": job.created,
        "started_at": job.started,
        "finished_at": job.finished,
        "tries": job.tries,
        "steps": [{"name": name, "fraction": fraction} for name, fraction in job.steps.items()],
        "request": {name: request[name] for name in named if name in request},
        "results": [
            {"name": file["name"], "bytes": file["bytes"], "url": f"{address}/result?name={file['name']}"}
            for file in job.result.get("files", [])
        ],
        "about": {name: job.result[name] for name in ("seconds", "semitones", "remarks") if name in job.result},
        "preview": f"{address}/preview" if job.preview else None,
        "error": job.error or None,
    }
