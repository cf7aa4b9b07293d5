"""A result that is sent while its job still makes it: the file grows, and what is new in it goes out."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from mynah.serve.asking import house
from mynah.serve.jobs import ACTIVE, Job
from mynah.serve.problems import Problem, of_job

_LOOK_SECONDS = 0.02  # so long the first sound waits at most


async def flowing(request: Request, job: Job, path: Path) -> AsyncIterator[bytes]:
    """What a job writes into a file, as it comes; then the job is forgotten. Whoever goes away cancels it.

    A job that is begun again by another worker writes the same bytes again, and is gone on with where it was.

    Args:
        request: Of whoever listens.
        job: In the table.
        path: Of the file, which only ever grows.

    Raises:
        Problem: The job failed, or was cancelled: before the first bytes this is an answer, later the line breaks.
    """
    jobs, at = house(request).jobs, 0
    try:
        while True:
            ended = job.status not in ACTIVE  # looked at before the file: whatever came until then is in it
            if piece := await run_in_threadpool(_from, path, at):
                at += len(piece)
                yield piece
            elif ended:
                break
            elif await request.is_disconnected():
                return
            else:
                await asyncio.sleep(_LOOK_SECONDS)
                found = await run_in_threadpool(jobs.get, job.id)
                if found is None:
                    raise Problem(410, "the job was removed", code="gone")
                job = found
        if job.status == "failed":
            raise of_job(job.error)
        if job.status == "cancelled":
            raise Problem(409, "the job was cancelled", code="cancelled")
    finally:
        # Here nothing may be waited for: the task may be about to end.
        jobs.cancel(job.id)
        jobs.forget(job.id)


def _from(path: Path, at: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(at)
            return file.read()
    except FileNotFoundError:
        return b""


async def begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same, once the first piece is there: what goes wrong before can still be told as an answer."""
    first = await anext(pieces, b"")

    async def all_pieces() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return all_pieces()


async def as_events(pieces: AsyncIterator[bytes], letters: int) -> AsyncIterator[bytes]:
    """Sound as server-sent events, as OpenAI has them: `speech.audio.delta` for each piece, then `speech.audio.done`.

    Args:
        pieces: Of an encoded sound.
        letters: Of the text; as there are no tokens here, they are what is counted.
    """
    try:
        async for piece in pieces:
            yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode("ascii")})
    except Problem as problem:
        yield _event({"type": "error", "error": {"message": problem.message, "code": problem.code}})
        return
    usage = {"input_tokens": letters, "output_tokens": 0, "total_tokens": letters}
    yield _event({"type": "speech.audio.done", "usage": usage})


def _event(data: dict[str, object]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()
