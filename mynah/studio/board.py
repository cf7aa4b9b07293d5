"""TensorBoard of all trainings, under an address of ours: behind the same guard, and loaded when somebody looks."""

from __future__ import annotations

import threading
import warnings
from collections.abc import MutableMapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from a2wsgi import WSGIMiddleware
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from mynah.serve.guard import App, Message, Receive, Send

ADDRESS = "/tensorboard/"


def there() -> bool:
    """Whether TensorBoard is installed: the extra `train` brings it."""
    return find_spec("tensorboard") is not None


def put(app: FastAPI, trainings: Path, policy: str) -> None:
    """Put it on a server, if it is installed; its own policy lets it ask other sites, ours does not."""
    if there():
        app.mount(ADDRESS.rstrip("/"), _Later(trainings, policy.encode()))


class _Later:
    """Makes the application with the first request; a server whose trainings nobody looks at does without."""

    def __init__(self, trainings: Path, policy: bytes) -> None:
        self._trainings, self._policy, self._lock = trainings, policy, threading.Lock()
        self._app: App | None = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if self._app is None:
            await run_in_threadpool(self._make)
        assert self._app is not None
        name = b"content-security-policy"

        async def local(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [pair for pair in message["headers"] if pair[0].lower() != name]
                message = {**message, "headers": [*others, (name, self._policy)]}
            await send(message)

        await self._app(scope, receive, local)

    def _make(self) -> None:
        with self._lock:
            if self._app is None:
                self._app = WSGIMiddleware(application(self._trainings), workers=4)  # type: ignore[assignment]


def application(trainings: Path) -> Any:
    """TensorBoard of a folder, in the manner of WSGI; it reads again every few seconds."""
    made: list[Any] = []

    class Taken:
        """Instead of a server of its own."""

        def __init__(self, app: Any, flags: Any) -> None:
            made.append(app)

        def serve_forever(self) -> None:
            """We serve."""

        def get_url(self) -> str:
            """Ours."""
            return ADDRESS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tensorboard about what it imports
        from tensorboard import default, program

        trainings.mkdir(parents=True, exist_ok=True)
        board = program.TensorBoard(plugins=default.get_plugins(), server_class=Taken)
        board.configure(argv=["mynah", "--logdir", str(trainings), "--load_fast", "false", "--reload_interval", "5"])
        board.launch()
    return made[0]
