"""Our doors for jobs: the list, one of them, its events, what came of it."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, StreamingResponse

from mynah.serve.asking import changes, document, house
from mynah.serve.jobs import ACTIVE, Job
from mynah.serve.problems import Problem
from mynah.serve.work import PREVIEW

STREAMS = 64  # of events that one client may have open; a page needs one for each job that it shows

router = APIRouter()


@router.get("/v1/jobs")
def jobs(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str, Query(max_length=64)] = "",
) -> dict[str, Any]:
    """Jobs of whoever asks, newest first; `after` is the last id of the page before."""
    found = house(request).jobs.listed(request.state.owner, limit=limit + 1, after=after)
    return {"object": "list", "data": [document(job) for job in found[:limit]], "has_more": len(found) > limit}


@router.get("/v1/jobs/{id}")
def job(request: Request, id: str) -> dict[str, Any]:
    """How far a job is."""
    return document(_own(request, id))


@router.get("/v1/jobs/{id}/events", response_class=StreamingResponse)
async def events(request: Request, id: str) -> StreamingResponse:
    """The job whenever something about it changes, as server-sent events; ends with the job."""
    first = _own(request, id)
    listening, client = house(request).listening, request.state.client
    if listening[client] >= STREAMS:
        raise Problem(429, f"more than {STREAMS} streams of events are open", code="rate_limit_exceeded")

    async def told() -> AsyncIterator[str]:
        listening[client] += 1  # here and not above: a stream that never begins is never closed
        try:
            async for state in changes(request, first):
                yield f"event: job\ndata: {json.dumps(document(state))}\n\n"
        finally:
            listening[client] -= 1
            if not listening[client]:
                del listening[client]

    return StreamingResponse(told(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


@router.get("/v1/jobs/{id}/result", response_class=FileResponse)
def result(request: Request, id: str, name: Annotated[str, Query(max_length=100)] = "") -> FileResponse:
    """What came of a job; `name` says which, where there are several."""
    found = _own(request, id)
    files = {file["name"]: file["file"] for file in found.result.get("files", [])}
    if found.status != "completed":
        raise Problem(409, f"there is no result: the job is {found.status}", code="not_completed")
    if not files:
        raise Problem(404, "no file came of this job", code="no_file")
    if name and name not in files:
        raise Problem(404, f"choose among {', '.join(files)}", code="no_file", param="name")
    name = name or next(iter(files))
    path = house(request).jobs.folder(id) / "out" / files[name]
    return _file(path, f"{found.label}-{name}{path.suffix}", _kind(path))


@router.get("/v1/jobs/{id}/preview", response_class=FileResponse)
def preview(request: Request, id: str) -> FileResponse:
    """About ten seconds of what will come, converted by themselves, as soon as they are there."""
    found = _own(request, id)
    path = house(request).jobs.folder(id) / PREVIEW
    if not found.preview or not path.exists():
        raise Problem(404, "there is no preview, or none yet", code="no_preview")
    return _file(path, f"{found.label}-preview{path.suffix}", _kind(path))


@router.get("/v1/jobs/{id}/source", response_class=FileResponse)
def source(request: Request, id: str) -> FileResponse:
    """What was uploaded, to be heard beside the result."""
    found = _own(request, id)
    path = house(request).jobs.folder(id) / "source-0"
    if not path.exists():
        raise Problem(404, "nothing was uploaded, or it is gone", code="no_file")
    return _file(path, found.label)


@router.post("/v1/jobs/{id}/cancel")
def cancel(request: Request, id: str) -> dict[str, Any]:
    """Give a job up. A running one stops at its next sign of life, and leaves no file."""
    _own(request, id)
    house(request).jobs.cancel(id)
    return document(_own(request, id))


@router.delete("/v1/jobs/{id}")
def delete(request: Request, id: str) -> dict[str, Any]:
    """Drop a job that has ended, and its files."""
    if _own(request, id).status in ACTIVE:
        raise Problem(409, "the job has not ended: cancel it first", code="not_ended")
    house(request).jobs.forget(id)
    return {"id": id, "object": "job", "deleted": True}


def _own(request: Request, id: str) -> Job:
    """A job of whoever asks; those of others do not exist for them."""
    found = house(request).jobs.get(id)
    if found is None or found.owner != request.state.owner:
        raise Problem(404, "there is no such job", code="job_not_found", param="id")
    return found


def _file(path: Path, name: str, kind: str = "application/octet-stream") -> FileResponse:
    """A file to be kept, never shown as a page: its sender may have made it look like one."""
    return FileResponse(path, media_type=kind, filename=name)


def _kind(path: Path) -> str:
    """What a file of ours is, so that browsers play it without guessing."""
    return mimetypes.types_map.get(path.suffix, "application/octet-stream")
