"""Our doors for voices: the list, one of them, enrolment, import of a file that another Mynah exported."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from mynah.catalog.home import home
from mynah.serve import knobs
from mynah.serve.asking import asked, finished, house
from mynah.serve.problems import Problem
from mynah.serve.sound import named
from mynah.serve.uploads import Form, received
from mynah.voices import library
from mynah.voices.sheet import fit_name

router = APIRouter()
_NAME = {"type": "string", "minLength": 1, "maxLength": 64, "description": "what to call the voice"}
_REPLACE = {"type": "boolean", "default": False, "description": "take the place of an older voice of that name"}
_TERMS = 2000


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
            "license": {"type": "string", "maxLength": _TERMS},
            "attribution": {"type": "string", "maxLength": _TERMS},
            "replace": _REPLACE,
        },
        files=True,
    ),
)
async def enrol(request: Request) -> dict[str, Any]:
    """Make a voice from recordings of somebody who agreed to it; answers when it is there."""

    def read(form: Form) -> dict[str, Any]:
        what: dict[str, Any] = {"name": fit_name(form.take("name")), "replace": form.take_yes("replace", default=False)}
        for field in ("license", "attribution"):
            what[field] = form.take(field)
            if len(what[field]) > _TERMS:
                raise Problem(400, f"{field}: too long", code="invalid_value", param=field)
        knobs.nothing_left(form, ("name", "license", "attribution", "replace"))
        return what

    job = await asked(request, "enrolment", read, files=house(request).settings.files)
    job = await finished(request, job)
    await run_in_threadpool(house(request).jobs.forget, job.id)
    return _voice(await run_in_threadpool(library.describe, job.result["voice"]))


@router.post(
    "/v1/voices/imports",
    status_code=201,
    openapi_extra=knobs.form_schema({"name": {**_NAME, "minLength": 0}, "replace": _REPLACE}),
)
async def import_(request: Request) -> dict[str, Any]:
    """Take in a voice that `mynah voices export` wrote."""
    _, folder = house(request).jobs.new_folder()
    try:
        form = await received(request, folder, files=1)
        if not form.files:
            raise Problem(400, "file: send the voice as `file`", code="missing_file", param="file")
        name, replace = form.take("name") or None, form.take_yes("replace", default=False)
        knobs.nothing_left(form, ("name", "replace"))

        def taken() -> str:
            with named(form.files[0]):
                return library.import_(form.files[0], name=name, replace=replace).name

        return _voice(library.describe(await run_in_threadpool(taken)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
