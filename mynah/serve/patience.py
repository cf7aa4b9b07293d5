"""Connections that ask for nothing are hung up on: a thousand of them would keep everybody else out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as Protocol
else:
    from uvicorn.protocols.http.auto import AutoHTTPProtocol as Protocol

SECONDS = 20.0  # for the head of a request, from its first byte or the connection on


class Impatient(Protocol):
    """uvicorn's own way to speak HTTP, which waits for the rest of a head as long as the other side likes."""

    _alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Somebody has called."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """They said something: the alarm stays until it is a request."""
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """They have gone."""
        self._rest()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if not self._idle():
            self._rest()
        elif self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(SECONDS, self._hang_up)

    def _rest(self) -> None:
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None

    def _idle(self) -> bool:
        cycle: Any = self.cycle  # none before the first request
        return cycle is None or bool(cycle.response_complete)

    def _hang_up(self) -> None:
        self._alarm = None
        if self._idle():
            self.transport.close()
