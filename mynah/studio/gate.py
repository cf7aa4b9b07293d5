"""What a page may hand in: files that were uploaded to it, while there is room for them.

Gradio's own check of that is off where it is mounted on a server, and it fetches whatever address it is given.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from fastapi.responses import JSONResponse

from mynah.serve.guard import App, Message, Receive, Send
from mynah.serve.problems import body
from mynah.studio.words import LANGUAGES


class Gate:
    """Stands before the pages."""

    def __init__(self, app: App, place: Path, upload_mb: float) -> None:
        """Before `app`, whose uploads lie in `place`, each of `upload_mb` at most."""
        self.app, self._place, self._most = app, place.resolve(), upload_mb

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        parts: list[str] = [*scope.get("path", "").split("/"), ""]
        language, rest = parts[1], parts[2:]
        if scope["type"] != "http" or scope["method"] != "POST" or language not in LANGUAGES:
            await self.app(scope, receive, send)
        elif rest[:2] == ["gradio_api", "upload"]:
            if shutil.disk_usage(self._place).free < 2e6 * self._most:
                told = body(507, "the disk of the server is nearly full: ask whoever runs it", "no_space")
                await JSONResponse(told, 507)(scope, receive, send)
            else:
                await self.app(scope, receive, send)
        else:
            await self._checked(scope, receive, send)

    async def _checked(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Read the whole of a request, which the guard keeps short, and look at every file that it names."""
        messages: list[Message] = []
        while not messages or messages[-1].get("more_body"):
            messages.append(await receive())
            if messages[-1]["type"] != "http.request":
                return  # gone
        try:
            told = json.loads(b"".join(message.get("body", b"") for message in messages) or b"null")
            fine = all(map(self._ours, _paths(told)))
        except (ValueError, RecursionError):
            fine = False
        if not fine:
            refused = body(400, "a file has to be uploaded first", "bad_file")
            await JSONResponse(refused, 400)(scope, receive, send)
            return
        again = iter(messages)

        async def repeated() -> Message:
            return next(again, None) or await receive()

        await self.app(scope, repeated, send)

    def _ours(self, path: Any) -> bool:
        """Whether a file is one of those that were uploaded."""
        if not isinstance(path, str) or "://" in path or "\0" in path:
            return False
        return Path(path).is_absolute() and Path(path).resolve().is_relative_to(self._place)


def _paths(told: Any) -> Iterator[Any]:
    """Every `path` of an object anywhere in what was told: that is how gradio names files."""
    todo = [told]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            if "path" in part:
                yield part["path"]
            todo += part.values()
        elif isinstance(part, list):
            todo += part
