"""Our doors for voices: the list, one of them, enrolment, import of a file that another Mynah exported."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from mynah.catalog.home import home
from mynah.serve import knobs
from mynah.serve.asking import asked, finished, house
from mynah.serve.jobs import Job
from mynah.serve.problems import Problem
from mynah.serve.uploads import Form
from mynah.voices import library
from mynah.voices.sheet import fit_name

router = APIRouter()
_NAME = {"type": "string", "minLength": 1, "maxLength": 64, "description": "what to call the voice"}
_REPLACE = {"type": "boolean", "default": False, "description": "take the place of an older voice of that name"}
_MOST = 2000
_TERMS = {field: {"type": "string", "maxLength": _MOST} for field in ("license", "attribution")}


def _voice(about: library.Summary) -> dict[str, Any]:
    advice = [sentence.replace(str(home()), "") for sentence in about.advice]
    return {"id": about.name, "object": "voice", **asdict(about), "advice": advice}


@router.get("/v1/voices")
def voices() -> dict[str, Any]:
    """Every voice, one's own first."""
    return {"object": "list", "data": [_voice(about) for about in library.names()]}


@router.get("/v1/voices/{name}")
def voice(name: str) -> dict[str, Any]:
    """One voice."""
    return _voice(library.describe(name))


@router.delete("/v1/voices/{name}")
def remove(name: str) -> dict[str, Any]:
    """Forget a voice, recordings and all."""
    found = library.describe(name).name
    library.remove(found)
    return {"id": found, "object": "voice", "deleted": True}


@router.post(
    "/v1/voices",
    status_code=201,
    openapi_extra=knobs.form_schema(
        {
            "name": _NAME,
            **_TERMS,
            "replace": _REPLACE,
        },
        files=True,
    ),
)
async def enrol(request: Request) -> dict[str, Any]:
    """Make a voice from recordings of somebody who agreed to it; answers when it is there."""

    def read(form: Form) -> dict[str, Any]:
        return _named(form, form.take("name"))

    files = house(request).settings.files
    return await _made(request, await asked(request, "enrolment", read, files=files))


@router.post(
    "/v1/voices/imports",
    status_code=201,
    openapi_extra=knobs.form_schema({"name": {**_NAME, "minLength": 0}, **_TERMS, "replace": _REPLACE}),
)
async def import_(request: Request) -> dict[str, Any]:
    """Take in a voice that somebody else trained or exported; answers when it is there. Nothing in it is run."""
    label = ""

    def read(form: Form) -> dict[str, Any]:
        nonlocal label
        label = form.label
        return _named(form, form.take("name") or label) | {"origin": label}

    return await _made(request, await asked(request, "adoption", read, sound=False))


def _named(form: Form, name: str) -> dict[str, Any]:
    what: dict[str, Any] = {"name": fit_name(name), "replace": form.take_yes("replace", default=False)}
    for field in _TERMS:
        what[field] = form.take(field)
        if len(what[field]) > _MOST:
            raise Problem(400, f"{field}: too long", code="invalid_value", param=field)
    knobs.nothing_left(form, ("name", "replace", *_TERMS))
    return what


async def _made(request: Request, job: Job) -> dict[str, Any]:
    job = await finished(request, job)
    await run_in_threadpool(house(request).jobs.forget, job.id)
    return _voice(await run_in_threadpool(library.describe, job.result["voice"]))
