"""What goes wrong, told as OpenAI tells it: `{"error": {"message", "type", "param", "code"}}`, and nothing of ours."""

from __future__ import annotations

import logging
import secrets
import traceback
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mynah.core import errors
from mynah.serve.jobs import Full

_log = logging.getLogger("mynah.serve")

# By the name of an error of the house: which status, and OpenAI's word for that kind.
_STATUS = {
    "BadOption": 400,
    "BadAudio": 400,
    "BadVoice": 400,
    "BadText": 400,
    "BadCheckpoint": 400,
    "BadData": 400,
    "UnknownVoice": 404,
    "UnknownSystem": 404,
    "MissingExtra": 501,
    "NoSpace": 507,
    "Offline": 503,
    "NoMemory": 507,
    "WorkerLost": 503,
    "Bug": 500,
}
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class Problem(Exception):
    """Something to be told to whoever asked.

    Attributes:
        status: Of HTTP.
        message: One line.
        code: For programs, such as `"queue_full"`.
        param: Which part of the request is meant, if one is.
        headers: To go with it.
    """

    def __init__(
        self, status: int, message: str, *, code: str, param: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.headers = status, message, code, param, headers


def body(status: int, message: str, code: str | None, param: str | None = None) -> dict[str, Any]:
    """The shape."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def of_job(error: dict[str, str]) -> Problem:
    """What went wrong in a worker, for somebody who waited for it."""
    return Problem(_STATUS.get(error["type"], 500), error["message"], code=_code(error["type"]))


def no_system(verb: str) -> Problem:
    """A verb that the house has a door for and nobody behind it."""
    return Problem(
        501, f"no system of this mynah can {verb} yet; `mynah systems` lists what there is", code="verb_not_available"
    )


def install(app: FastAPI) -> None:
    """Tell whatever goes wrong in that shape."""

    def answer(
        status: int, message: str, code: str | None, param: str | None = None, headers: Any = None
    ) -> JSONResponse:
        return JSONResponse(body(status, message, code, param), status, headers)

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> JSONResponse:
        return answer(error.status, error.message, error.code, error.param, error.headers)

    @app.exception_handler(Full)
    async def full(request: Request, error: Full) -> JSONResponse:
        return answer(429, str(error), "queue_full", headers={"Retry-After": str(error.seconds)})

    @app.exception_handler(errors.MynahError)
    async def mistake(request: Request, error: errors.MynahError) -> JSONResponse:
        name = type(error).__name__
        param = str(error).partition(":")[0] if isinstance(error, errors.BadOption) else ""
        return answer(_STATUS.get(name, 400), str(error), _code(name), param if param.isidentifier() else None)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        param = ".".join(str(part) for part in first["loc"][1:])
        return answer(400, f"{param or 'the request'}: {first['msg'].lower()}", "invalid_value", param or None)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        message = {404: "there is nothing here", 405: "this cannot be done here"}.get(error.status_code, error.detail)
        return answer(error.status_code, message, None, headers=error.headers)

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> JSONResponse:
        number = secrets.token_hex(4)
        _log.error("bug %s: %s", number, "".join(traceback.format_exception(error)))
        return answer(500, f"a bug in mynah; the server's log tells more under {number}", "bug")


def _code(name: str) -> str:
    """An error's name as codes are written.

    Example:

        >>> _code("UnknownVoice")
        'unknown_voice'
    """
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
