"""The audit's chain: each row's hash covers its content and the hash before it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

GENESIS = "0" * 64
"""What the first link names as the one before it."""


@dataclass(frozen=True)
class Link:
    """One row of the audit. `hash` is "" until `sealed`."""

    seq: int
    at: datetime
    actor: str
    actor_id: int | None
    via: str
    action: str
    target: str
    reason: str
    details: str  # canonical JSON
    ip: str
    request_id: str
    previous: str
    hash: str = ""


@dataclass(frozen=True)
class Head:
    """Where the chain ends."""

    seq: int
    hash: str


@dataclass(frozen=True)
class Broken:
    """The first place at which the chain does not hold, and why (one sentence)."""

    seq: int
    reason: str


def digest(link: Link) -> str:
    """SHA-256 over everything but the hash itself, as JSON with sorted keys and the time in UTC microseconds."""
    fields = asdict(link)
    del fields["hash"]
    fields["at"] = link.at.astimezone(UTC).isoformat(timespec="microseconds")
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def sealed(link: Link) -> Link:
    return replace(link, hash=digest(link))


def verify(links: Iterable[Link], head: Head | None, noted: Head | None = None) -> Broken | None:
    """The first fault of a chain (its links in order of seq), or None when it holds.

    `head` is the end that was stored beside it; `noted` an end that somebody wrote down elsewhere. Without `noted`,
    a chain that was rewritten from some row to its end *together with* the stored head can't be told from a true one.
    """
    last = Head(0, GENESIS)
    for link in links:
        if link.seq != last.seq + 1:
            return Broken(last.seq + 1, f"it is missing: after {last.seq} comes {link.seq}")
        if link.previous != last.hash:
            return Broken(link.seq, "it does not continue the row before it")
        if link.hash != digest(link):
            return Broken(link.seq, "its content does not match its hash")
        last = Head(link.seq, link.hash)
        if noted and noted.seq == link.seq and noted.hash != link.hash:
            return Broken(link.seq, "its hash is not the one that was noted: the chain was rewritten")
    if noted and noted.seq > last.seq:
        return Broken(last.seq + 1, f"it is missing: the chain ends at {last.seq}, {noted.seq} was noted")
    if head is None:
        return Broken(1, "the stored end of the chain is missing") if last.seq else None
    if head.seq > last.seq:
        return Broken(last.seq + 1, f"it is missing: the chain ends at {last.seq}, its stored end is {head.seq}")
    if head != last:
        return Broken(last.seq, f"the stored end of the chain is {head.seq}, with another hash or further back")
    return None
