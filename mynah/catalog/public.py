"""Addresses that a stranger wrote down: opened only where they lead to the public internet.

An address in a message could as well mean a service on this machine or in its network. What a name stands for is looked
up once, checked, and that very number is connected to, so that it cannot stand for something else a moment later.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import urllib.request
from typing import Any

# Through these, public numbers can stand for private ones.
_TUNNELS = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))


def is_public(number: str) -> bool:
    """Whether an address belongs to the public internet, as far as its number tells.

    Example:

        >>> [is_public(number) for number in ("1.1.1.1", "127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1")]
        [True, False, False, False]
    """
    address = ipaddress.ip_address(number.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            address = address.ipv4_mapped
        elif any(address in network for network in _TUNNELS):
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


class PublicHandler(urllib.request.HTTPSHandler):
    """Opens https addresses, redirections included, and refuses those that are not public."""

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


class _Connection(http.client.HTTPSConnection):
    def connect(self) -> None:
        self._create_connection = _connected
        super().connect()


def _connected(place: tuple[str, int], timeout: Any = None, source: Any = None) -> socket.socket:
    host, port = place
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise OSError(f"nobody knows the address {host[:100]!r}") from error
    numbers = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if private := [number for number in numbers if not is_public(number)]:
        raise OSError(f"{host[:100]!r} is {private[0]}, which is not on the public internet")
    failure: OSError = OSError("no address")
    for number in numbers:
        try:
            return socket.create_connection((number, port), timeout, source)
        except OSError as error:
            failure = error
    raise failure
