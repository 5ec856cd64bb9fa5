"""Which addresses a pager may be at: public ones, unless the declaration says `allow_private`.

A pager's URL makes the console send requests from inside the network; none of them may reach what only the inside can.
The addresses are looked up once and the connection goes to exactly those: a name can't lead elsewhere in between. Where
a library makes the connections (`public_only`), each is looked at as it is made.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from console.incidents.pagers.message import TransportError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
SLOW_S = 5.0
_WITH_IPV4 = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96")))
"""NAT64, the old compatible form, SIIT: an IPv4 address is at their end."""
_NOT_OUT = tuple(map(ipaddress.IPv6Network, ("64:ff9b:1::/48", "fec0::/10", "3fff::/20", "5f00::/16")))
"""What Python of this version calls global and is not: local NAT64, site-local, documentation, segment routing."""


def is_public(address: Address) -> bool:
    """Is it out on the internet, also once the IPv4 address inside an IPv6 one is looked at?"""
    if isinstance(address, ipaddress.IPv6Address):
        if any(address in network for network in _NOT_OUT):
            return False
        inner = address.ipv4_mapped or address.sixtofour
        if any(address in network for network in _WITH_IPV4):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def resolved(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The addresses to connect to, in order. Raises TransportError: unknown for now, or (permanent) private."""
    began_s = time.monotonic()
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise TransportError(f"{host} has no address (DNS).") from None
    if time.monotonic() - began_s > SLOW_S:  # what is sent must not arrive after the attempt's lease
        raise TransportError(f"DNS took more than {SLOW_S:.0f} s to find {host}.")
    texts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not allow_private:
        for text in texts:
            if not is_public(ipaddress.ip_address(text.partition("%")[0])):
                raise TransportError(
                    f"{host} is at a private address ({text}), which is refused. "
                    "If that is meant, write allow_private: true at this pager in platform.yaml.",
                    permanent=True,
                )
    return texts


_refused: ContextVar[list[str] | None] = ContextVar("refused", default=None)


class PrivateAddress(OSError):
    """A connection to the inside, refused before it was made."""


@contextmanager
def public_only() -> Iterator[list[str]]:
    """Within it no socket of this context connects to a private address, whatever a name or a redirect leads to. Yields
    the addresses that were refused."""
    _watch()
    refused: list[str] = []
    token = _refused.set(refused)
    try:
        yield refused
    finally:
        _refused.reset(token)


def _look(event: str, arguments: tuple[object, ...]) -> None:
    if event not in ("socket.connect", "socket.sendto") or (refused := _refused.get()) is None:
        return
    address = arguments[1]
    host = str(address[0]) if isinstance(address, tuple) and address else str(address)
    try:
        public = is_public(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:  # a name, or a socket of this machine
        public = False
    if not public:
        refused.append(host)
        raise PrivateAddress(f"{host} is a private address")


@cache
def _watch() -> None:
    """Look at every connection from now on: the one place that all libraries' pass. It can't be undone, so that only a
    process that needs it pays for it."""
    sys.addaudithook(_look)
