"""How a server is set up, and what it refuses to be set up as."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from mynah.catalog.home import home
from mynah.core.errors import BadOption, MissingExtra

TOKEN, QUEUE = "MYNAH_TOKEN", "MYNAH_QUEUE"
_TOKEN_LENGTH = 16


@dataclass(frozen=True)
class Settings:
    """All that a person may decide about a server.

    Attributes:
        host: The address to listen at.
        port: 0 takes any free one.
        tokens: Who knows one of them may come in; with none of them, everybody on this machine may.
        queue: Address of a Redis; empty for SQLite in our own folder.
        device: Where nets run, as torch calls it.
        workers: Worker processes that the server starts itself.
        queue_size: Jobs that may wait; one client may hold half of them.
        upload_mb: Most that one request may carry.
        minutes: Longest recording.
        files: Most recordings in one request.
        rate: Requests a minute that one client may make.
        keep_hours: How long a finished job and its results are kept.
        usual: Who does a verb when nobody else is asked for, by verb.
        weights: Of a system, where it is not to take its default ones: a name, a file or a folder.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    tokens: tuple[str, ...] = ()
    queue: str = ""
    device: str = "cpu"
    workers: int = 1
    queue_size: int = 200
    upload_mb: float = 200.0
    minutes: float = 30.0
    files: int = 20
    rate: int = 1200
    keep_hours: float = 24.0
    usual: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def check(self) -> None:
        """Refuse what would be unsafe, or could not work.

        Raises:
            BadOption: An address that others can reach and no token, a token that can be guessed, or a number out of
                its bounds.
            MissingExtra: The libraries of the server are not installed.
        """
        required()
        if not self.loopback and not self.tokens:
            raise BadOption(
                f"{self.host} can be reached by others: set {TOKEN} (or --token) to a secret that they need, "
                'such as one of `python -c "import secrets; print(secrets.token_urlsafe())"`'
            )
        if any(len(token) < _TOKEN_LENGTH or not token.isascii() or not token.isprintable() for token in self.tokens):
            raise BadOption(f"a token needs {_TOKEN_LENGTH} characters of ASCII or more, so that nobody guesses it")
        if not 0 <= self.port < 65_536:
            raise BadOption(f"there is no port {self.port}: from 0 (any free one) to 65535")
        if not 0 <= self.workers <= 64:
            raise BadOption(f"{self.workers} workers: from 0 (started by hand, with `mynah work`) to 64")
        for name in ("queue_size", "upload_mb", "minutes", "files", "rate", "keep_hours"):
            if not 0 < getattr(self, name) < 1e9:
                raise BadOption(f"--{name.replace('_', '-')} must be more than 0")


def required() -> None:
    """Raises `MissingExtra` unless all that the extra `serve` brings is there."""
    for library in ("fastapi", "uvicorn", "python_multipart", "huey", "prometheus_client"):
        if find_spec(library) is None:
            raise MissingExtra(library, "serve")


def place() -> Path:
    """The folder of all jobs."""
    return home() / "jobs"
