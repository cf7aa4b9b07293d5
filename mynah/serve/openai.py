"""OpenAI's own doors: speech, transcriptions, translations, models. Speech is sent as it comes, texts when done."""

from __future__ import annotations

import asyncio
import math
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from mynah.audio.flow import FLOWING
from mynah.core.registry import find, names
from mynah.core.types import Line, Transcript, Word
from mynah.core.verbs import Options, options_of
from mynah.serve import knobs
from mynah.serve.asking import asked, finished, house, ordered, system_for
from mynah.serve.flowing import as_events, begun, flowing
from mynah.serve.people import parts
from mynah.serve.problems import Problem
from mynah.serve.uploads import Form
from mynah.text.subtitles import FORMATS

router = APIRouter()
TEXTS = ("json", "text", "srt", "verbose_json", "vtt")
_KINDS = {
    "mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav",
    "pcm": "audio/pcm",
}  # fmt: skip


class VoiceOf(BaseModel):
    """A voice as OpenAI's newer clients name it."""

    id: Annotated[str, Field(max_length=500)]


class Speech(BaseModel):
    """What is to be spoken."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(max_length=200, description="a system, or `default`")] = "default"
    input: Annotated[str, Field(min_length=1, max_length=4096, description="what to say")]
    voice: Annotated[str, Field(max_length=500)] | VoiceOf
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    stream_format: Annotated[Literal["audio", "sse"], Field(description="the sound itself, or events")] = "audio"
    speed: Annotated[float | None, Field(ge=0.25, le=4, description="for systems that can be told")] = None
    instructions: Annotated[str | None, Field(max_length=4096, description="for systems that can be told")] = None
    options: Annotated[dict[str, Any], Field(description="of the system")] = {}


@router.post("/v1/audio/speech", response_class=Response)
async def speech(request: Request, said: Speech) -> Response:
    """Speak a text. The first sentence is sent while the next is made; a flac is sent when it is whole."""
    here = house(request)
    system = system_for("speak", said.model, here.settings.usual)
    voice = said.voice if isinstance(said.voice, str) else said.voice.id
    parts(voice)
    told = {name: value for name in ("speed", "instructions") if (value := getattr(said, name)) is not None}
    if told.get("speed") == 1.0:
        del told["speed"]
    options = options_of(find(system), "speak").of(**{**said.options, **told})
    kind = said.response_format
    what = {
        "system": system,
        "verb": "speak",
        "voice": voice,
        "text": said.input,
        "format": kind,
        "flowing": kind in FLOWING,
        "options": options.model_dump(mode="json", exclude_unset=True),
    }
    job = await ordered(request, "speech", what)
    path = here.jobs.folder(job.id) / "out" / f"speech.{kind}"
    if kind not in FLOWING:
        await finished(request, job)
    pieces = await begun(flowing(request, job, path))
    if said.stream_format == "sse":
        return StreamingResponse(as_events(pieces, len(said.input)), media_type="text/event-stream")
    return StreamingResponse(pieces, media_type=_KINDS[kind])


def _text_form() -> Any:
    own = {
        "model": {"type": "string", "description": "a system, or `default`"},
        "response_format": {"type": "string", "enum": list(TEXTS), "default": "json"},
        "stream": {"type": "boolean", "enum": [False], "default": False},
    }
    return knobs.form_schema(own)


@router.post("/v1/audio/transcriptions", openapi_extra=_text_form(), response_class=Response)
async def transcriptions(request: Request) -> Response:
    """Write down what is said or sung, in its own language."""
    return await _written(request, "transcribe", "transcription")


@router.post("/v1/audio/translations", openapi_extra=_text_form(), response_class=Response)
async def translations(request: Request) -> Response:
    """Write down what is said or sung, in English."""
    return await _written(request, "translate", "translation")


async def _written(request: Request, verb: str, kind: str) -> Response:
    usual = house(request).settings.usual
    system_for(verb, "", usual)  # before anything is uploaded to nobody
    format = "json"

    def read(form: Form) -> dict[str, Any]:
        nonlocal format
        system = system_for(verb, form.take("model"), usual)
        format = form.take("response_format", "json")
        if format not in TEXTS:
            raise Problem(400, f"response_format: choose among {', '.join(TEXTS)}", code="invalid_value")
        if form.take_yes("stream", default=False):
            raise Problem(400, "stream: texts come whole here", code="invalid_value", param="stream")
        options = options_of(find(system), verb)
        fine = form.fields.pop("timestamp_granularities", [])  # lines always have times
        if "word" in fine and "words" in options.model_fields:
            form.fields.setdefault("words", ["true"])
        knobs.unpacked(form)
        given = knobs.chosen(form, options)
        knobs.nothing_left(form, knobs.known(("", options, ())))
        return {"system": system, "verb": verb, "format": format, "options": given}

    job = await finished(request, await asked(request, kind, read))
    transcript = job.result["transcript"]
    await asyncio.to_thread(house(request).jobs.forget, job.id)
    if format == "json":
        return JSONResponse({"text": transcript["text"]})
    if format == "verbose_json":
        return JSONResponse(_verbose(transcript, verb))
    return PlainTextResponse(transcript["text"] if format == "text" else _subtitles(transcript, format))


def _verbose(transcript: dict[str, Any], verb: str) -> dict[str, Any]:
    lines = transcript["lines"]
    told = {
        "task": verb,
        "language": transcript["language"],
        "duration": transcript["seconds"],
        "text": transcript["text"],
        "segments": [_segment(number, line) for number, line in enumerate(lines)],
    }
    if words := [word for line in lines for word in line["words"]]:
        told["words"] = [
            {"word": word["text"], "start": word["start_seconds"], "end": word["end_seconds"]} for word in words
        ]
    return told


def _segment(number: int, line: dict[str, Any]) -> dict[str, Any]:
    told = {"id": number, "start": line["start_seconds"], "end": line["end_seconds"], "text": line["text"]}
    if line["confidence"]:
        told["avg_logprob"] = math.log(line["confidence"])
    if line["silence"] is not None:
        told["no_speech_prob"] = line["silence"]
    return told


def _subtitles(transcript: dict[str, Any], format: str) -> str:
    lines = tuple(
        Line(**{**line, "words": tuple(Word(**word) for word in line["words"])}) for line in transcript["lines"]
    )
    return FORMATS[format](Transcript(**{**transcript, "lines": lines}))


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "mynah"}


@router.get("/v1/models")
def models() -> dict[str, Any]:
    """Every system; when it was made is not known, so `created` is 0."""
    return {"object": "list", "data": [_model(name) for name in names()]}


@router.get("/v1/models/{name:path}")
def model(name: str) -> dict[str, Any]:
    """One system."""
    if name not in names():
        raise Problem(404, f"there is no model {name[:100]!r}", code="model_not_found", param="model")
    return _model(name)


@router.get("/v1/systems")
def systems() -> dict[str, Any]:
    """Every system with what it does and its options, as JSON schemas, from which a page can make its sliders."""
    return {"object": "list", "data": [_system(name, about) for name, about in names().items()]}


def _system(name: str, about: str) -> dict[str, Any]:
    system = find(name)
    schemas: dict[str, type[Options]] = {verb: options_of(system, verb) for verb in system.card.verbs}
    return {
        "id": name,
        "object": "system",
        "about": about,
        "paper": system.card.paper,
        "origin": system.card.origin,
        "extra": system.card.extra,
        "options": {verb: options.model_json_schema() for verb, options in schemas.items()},
    }
