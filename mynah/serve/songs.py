"""Our doors for recordings: conversions, covers, separations. They answer with a job at once."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Request, Response

from mynah.core.errors import BadVoice
from mynah.core.registry import find
from mynah.core.verbs import Options, options_of
from mynah.scenes.cover.options import CoverOptions
from mynah.serve import knobs
from mynah.serve.asking import asked, document, system_for
from mynah.serve.jobs import Job
from mynah.serve.people import parts
from mynah.serve.problems import Problem
from mynah.serve.uploads import Form
from mynah.serve.work import default

router = APIRouter()
_VOICE = {"type": "string", "minLength": 1, "maxLength": 500, "description": "a name, or a mixture such as a:0.7,b:0.3"}
_FORMAT = {"type": "string", "enum": list(knobs.FORMATS), "default": "wav"}
_PREVIEW = {"type": "boolean", "default": True, "description": "publish ten seconds before the rest"}
_MODEL = {"type": "string", "default": "default", "description": "a system, or `default`"}
_PREFIXES = {"separate": "separate_", "convert": "convert_"}


def _options(verb: str, system: str = "") -> type[Options]:
    return options_of(find(system or default(verb)), verb)


@router.post(
    "/v1/audio/conversions",
    status_code=202,
    openapi_extra=knobs.form_schema(
        {"voice": _VOICE, "model": _MODEL, "response_format": _FORMAT, "preview": _PREVIEW},
        ("", _options("convert"), ()),
    ),
)
async def conversions(request: Request, response: Response) -> dict[str, Any]:
    """Give a recording of one voice another voice."""

    def read(form: Form) -> dict[str, Any]:
        system = system_for("convert", form.take("model"))
        what = _common(form) | {"system": system, "verb": "convert", "voice": _voice(form, system)}
        options = _options("convert", system)
        knobs.unpacked(form)
        what["options"] = knobs.chosen(form, options)
        knobs.nothing_left(form, knobs.known(("", options, ())))
        return what

    return _accepted(await asked(request, "conversion", read), response)


@router.post(
    "/v1/audio/separations",
    status_code=202,
    openapi_extra=knobs.form_schema(
        {
            "model": _MODEL,
            "response_format": _FORMAT,
            "two": {"type": "boolean", "default": False, "description": "vocals and accompaniment, whoever separates"},
            "stems": {"type": "string", "description": "these only, such as vocals,drums"},
        },
        ("", _options("separate"), ()),
    ),
)
async def separations(request: Request, response: Response) -> dict[str, Any]:
    """Take a song apart."""

    def read(form: Form) -> dict[str, Any]:
        system = system_for("separate", form.take("model"))
        what = _common(form) | {"system": system, "verb": "separate", "two": form.take_yes("two", default=False)}
        stems = [stem.strip() for stem in form.take("stems").split(",") if stem.strip()]
        if wrong := [stem for stem in stems if not re.fullmatch(r"\w{1,40}", stem)]:
            raise Problem(400, f"stems: {wrong[0][:40]!r} is no name of a stem", code="invalid_value", param="stems")
        what["stems"] = list(dict.fromkeys(stems))
        options = _options("separate", system)
        knobs.unpacked(form)
        what["options"] = knobs.chosen(form, options)
        knobs.nothing_left(form, knobs.known(("", options, ())))
        return what

    return _accepted(await asked(request, "separation", read), response)


@router.post(
    "/v1/audio/covers",
    status_code=202,
    openapi_extra=knobs.form_schema(
        {
            "voice": _VOICE,
            "separator": _MODEL,
            "converter": _MODEL,
            "response_format": _FORMAT,
            "preview": _PREVIEW,
        },
        ("", CoverOptions, ()),
        (_PREFIXES["separate"], _options("separate"), ()),
        (_PREFIXES["convert"], _options("convert"), ("transpose",)),
    ),
)
async def covers(request: Request, response: Response) -> dict[str, Any]:
    """Give a whole song another voice."""

    def read(form: Form) -> dict[str, Any]:
        separator = system_for("separate", form.take("separator"))
        converter = system_for("convert", form.take("converter"))
        what = _common(form) | {"separator": separator, "converter": converter, "voice": _voice(form, converter)}
        knobs.unpacked(form, _PREFIXES)
        groups: dict[str, tuple[str, type[Options], tuple[str, ...]]] = {
            "options": ("", CoverOptions, ()),
            "separate": (_PREFIXES["separate"], _options("separate", separator), ()),
            "convert": (_PREFIXES["convert"], _options("convert", converter), ("transpose",)),
        }
        for name, (prefix, options, without) in groups.items():
            what[name] = knobs.chosen(form, options, prefix=prefix, without=without)
        knobs.nothing_left(form, knobs.known(*groups.values()))
        return what

    return _accepted(await asked(request, "cover", read), response)


def _common(form: Form) -> dict[str, Any]:
    format = form.take("response_format", "wav")
    if format not in knobs.FORMATS:
        message = f"response_format: choose among {', '.join(knobs.FORMATS)}"
        raise Problem(400, message, code="invalid_value", param="response_format")
    return {"format": format, "preview": form.take_yes("preview", default=True)}


def _voice(form: Form, system: str) -> str:
    """The voice that a form asks for: one of the library that this system can take."""
    from mynah.voices import library
    from mynah.voices.store import read_sheet

    spec = form.take("voice")
    if not spec:
        raise Problem(400, "voice: say whose", code="missing_voice", param="voice")
    known = parts(spec)
    made_for = read_sheet(library.path(known[0][0])).system if len(known) == 1 else ""
    if made_for not in ("", system):
        raise BadVoice(f"the voice {spec!r} was made for {made_for}: ask for that model")
    return spec


def _accepted(job: Job, response: Response) -> dict[str, Any]:
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return document(job)
