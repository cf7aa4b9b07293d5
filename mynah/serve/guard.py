"""What every request passes before anything else: where it comes from, who sends it, how often, how much.

- Host: on loopback only our own names, or a page whose name was rebound to 127.0.0.1 could read our answers.
- Origin: a page of another site can send forms to us without being able to read the answer; it is refused.
- Token: compared by digests of equal length, in constant time; from a browser it comes as the password of HTTP's own
  dialogue, which needs no cookie and no page of ours.
- Rate: a bucket for each client, that fills up again.
- Size: no request body that is not an upload may be long.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mynah.serve.problems import Problem, body
from mynah.serve.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

OPEN = {"/health"}  # without a token: whether somebody is there is no secret
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=()",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}
_BODY_BYTES = 1 << 20
_BUCKETS = 10_000
_LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}


class Refused(Exception):
    """A request that goes no further."""

    def __init__(self, status: int, message: str, code: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers or {}


class Guard:
    """Stands before the application."""

    def __init__(self, app: App, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self._digests = [hashlib.sha256(token.encode()).digest() for token in settings.tokens]
        self._rates = Rates(settings.rate)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no sockets yet
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                own = ((name.encode(), value.encode()) for name, value in HEADERS.items())
                message["headers"] = [*message["headers"], *(pair for pair in own if pair[0] not in given)]
            await send(message)

        try:
            self._admit(scope)
            await self.app(scope, self._bounded(scope, receive), guarded)
        except Refused as refused:
            text = json.dumps(body(refused.status, str(refused), refused.code)).encode()
            headers = {"content-type": "application/json", "content-length": str(len(text))} | refused.headers
            pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
            await guarded({"type": "http.response.start", "status": refused.status, "headers": pairs})
            await guarded({"type": "http.response.body", "body": text})

    def _admit(self, scope: MutableMapping[str, Any]) -> None:
        """Note in the scope who it is, or raise."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if self.settings.loopback and _without_port(host).lower() not in _LOOPBACK:
            raise Refused(421, "this server answers to localhost and 127.0.0.1 only", "wrong_host")
        origin = headers.get("origin")
        foreign = origin is not None and origin.partition("://")[2] != host
        if foreign or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Refused(403, "pages of other sites may not use this server", "wrong_origin")
        address = _household((scope.get("client") or ("", 0))[0])
        if not self._rates.allow(address):
            raise Refused(
                429, f"more than {self.settings.rate} requests in a minute", "rate_limit_exceeded", {"retry-after": "1"}
            )
        owner = ""
        if self._digests and scope["path"] not in OPEN:
            owner = self._owner(headers.get("authorization", ""))
        scope.setdefault("state", {})
        scope["state"]["owner"], scope["state"]["client"] = owner, f"{owner}@{address}"

    def _owner(self, authorization: str) -> str:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "basic":
            token = _password(token)
        given = hashlib.sha256(token.strip().encode("latin-1", "replace")).digest()
        known = [digest for digest in self._digests if hmac.compare_digest(digest, given)]  # all of them, always
        if scheme.lower() not in ("bearer", "basic") or not known:
            message = "this server wants a token: send `Authorization: Bearer TOKEN`"
            raise Refused(401, message, "invalid_api_key", {"www-authenticate": 'Basic realm="mynah"'})
        return known[0].hex()[:16]

    def _bounded(self, scope: MutableMapping[str, Any], receive: Receive) -> Receive:
        kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        most = self.settings.upload_mb * 1e6 if kind.lower().startswith(b"multipart/") else _BODY_BYTES
        too_much = f"more than {most / 1e6:g} MB in one request"
        told = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if told.isdigit() and int(told) > most:
            raise Refused(413, too_much, "too_large", {"connection": "close"})
        got = 0

        async def counted() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > most:  # raised inside the application, which answers
                raise Problem(413, too_much, code="too_large", headers={"connection": "close"})
            return message

        return counted


class Rates:
    """How often each client may come: so many times a minute, at most a quarter of them at once.

    Example:

        >>> rates = Rates(4)
        >>> [rates.allow("ann", now=0.0) for _ in range(3)], rates.allow("ann", now=15.0)
        ([True, False, False], True)
    """

    def __init__(self, minute: int) -> None:
        self._minute, self._burst = minute, max(1.0, minute / 4)
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, client: str, now: float | None = None) -> bool:
        """Whether one more request may pass."""
        now = time.monotonic() if now is None else now
        left, then = self._left.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._minute / 60)
        self._left[client] = (max(left - 1, 0.0) if left >= 1 else left, now)
        while len(self._left) > _BUCKETS:
            self._left.popitem(last=False)
        return left >= 1


def _household(address: str) -> str:
    """An address; of IPv6 the network, within which everybody has as many addresses as they like.

    Example:

        >>> _household("192.0.2.7"), _household("2001:db8:1:2:3:4:5:6"), _household("::ffff:192.0.2.7")
        ('192.0.2.7', '2001:db8:1:2::', '192.0.2.7')
    """
    try:
        number = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a socket of Unix
        return address
    if isinstance(number, ipaddress.IPv4Address) or number.is_loopback:
        return str(number)
    if number.ipv4_mapped:
        return str(number.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(number) >> 64 << 64))


def _password(credentials: str) -> str:
    """Of HTTP's basic scheme; the name before it does not matter.

    Example:

        >>> _password("YW5uOnNlY3JldA=="), _password("nonsense")
        ('secret', '')
    """
    try:
        return base64.b64decode(credentials, validate=True).decode("latin-1").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _without_port(host: str) -> str:
    """Example:

    >>> _without_port("[::1]:8000"), _without_port("localhost")
    ('[::1]', 'localhost')
    """
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
