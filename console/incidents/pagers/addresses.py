"""Which addresses a pager may be at: public ones, unless the declaration says `allow_private`.

A pager's URL makes the console send requests from inside the network; none of them may reach what only the inside can.
The addresses are looked up once and the connection goes to exactly those: a name can't lead elsewhere in between.
"""

from __future__ import annotations

import ipaddress
import socket
import time

from console.incidents.pagers.message import TransportError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
SLOW_S = 5.0
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Is it out on the internet, also once the IPv4 address inside an IPv6 one is looked at?"""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
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
