"""What was read from the source's log, and how much of it has reached the warehouse. Pure: bytes and numbers in.

The log comes from a slot of its own in pgoutput's binary form (PostgreSQL manual, "Logical Replication Message
Formats"). A transaction counts as applied when the warehouse's replication origin is at or past its end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
KINDS = {b"I": "inserts", b"U": "updates", b"D": "deletes"}


@dataclass(frozen=True)
class Changes:
    """Row changes of one table."""

    inserts: int = 0
    updates: int = 0
    deletes: int = 0

    def __add__(self, other: Changes) -> Changes:
        return Changes(self.inserts + other.inserts, self.updates + other.updates, self.deletes + other.deletes)

    @property
    def rows(self) -> int:
        return self.inserts + self.updates + self.deletes


@dataclass(frozen=True)
class Transaction:
    """One committed transaction of the source: where its commit ends in the log, when, and what it changed."""

    end_lsn: int
    committed_at: datetime
    changes: dict[str, Changes] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(changes.rows for changes in self.changes.values())


def lsn(text: str | None) -> int:
    """A log position such as `0/16B3748` as a number; 0 for none."""
    if not text:
        return 0
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def lsn_text(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def transactions(messages: Iterable[bytes]) -> list[Transaction]:
    """The committed transactions in a stream of pgoutput messages, in commit order. Empty ones are left out."""
    names: dict[int, str] = {}
    found: list[Transaction] = []
    changes: dict[str, Changes] = {}
    for message in messages:
        kind = message[:1]
        if kind == b"B":
            changes = {}
        elif kind == b"R":
            (relation,) = struct.unpack_from(">I", message, 1)
            schema, table = message[5:].split(b"\0", 2)[:2]
            names[relation] = f"{schema.decode() or 'pg_catalog'}.{table.decode()}"
        elif kind in KINDS:
            (relation,) = struct.unpack_from(">I", message, 1)
            name = names.get(relation, str(relation))
            changes[name] = changes.get(name, Changes()) + Changes(**{KINDS[kind]: 1})
        elif kind == b"C":
            end, microseconds = struct.unpack_from(">QQ", message, 10)
            if changes:
                found.append(Transaction(end, EPOCH + timedelta(microseconds=microseconds), changes))
            changes = {}
    return found


@dataclass(frozen=True)
class Standing:
    """Where the replication stands: totals per table since the load, and what is still on its way."""

    read: dict[str, Changes]
    applied: dict[str, Changes]
    through: int
    """The log position up to which `applied` counts."""
    pending_rows: int = 0
    oldest_pending_at: datetime | None = None
    oldest_unread_at: datetime | None = None

    def latency_s(self, now: datetime) -> float:
        """Age of the oldest committed change that the warehouse does not have: CDCLatencyTarget."""
        return _age_s(self.oldest_pending_at, now)

    def read_latency_s(self, now: datetime) -> float:
        """Age of the oldest committed change that was not even sent: CDCLatencySource."""
        return _age_s(self.oldest_unread_at, now)


def _age_s(at: datetime | None, now: datetime) -> float:
    return 0.0 if at is None else max(0.0, (now - at).total_seconds())


def _total(counted: Iterable[dict[str, Changes]]) -> dict[str, Changes]:
    total: dict[str, Changes] = {}
    for changes in counted:
        for table, more in changes.items():
            total[table] = total.get(table, Changes()) + more
    return total


def settle(before: Standing, log: Iterable[Transaction], applied_lsn: int, sent_lsn: int) -> Standing:
    """The standing after reading `log` (everything past `before.through`, perhaps more).

    A transaction that ends at or before `applied_lsn` is in the warehouse; one past `sent_lsn` has not been sent.
    Counting twice is impossible: what ends at or before `before.through` was counted and is skipped.
    """
    fresh = [transaction for transaction in log if transaction.end_lsn > before.through]
    arrived = [transaction for transaction in fresh if transaction.end_lsn <= applied_lsn]
    pending = [transaction for transaction in fresh if transaction.end_lsn > applied_lsn]
    unread = [transaction for transaction in pending if transaction.end_lsn > sent_lsn]
    applied = _total([before.applied, *(transaction.changes for transaction in arrived)])
    return Standing(
        read=_total([applied, *(transaction.changes for transaction in pending)]),
        applied=applied,
        through=max([before.through, *(transaction.end_lsn for transaction in arrived)]),
        pending_rows=sum(transaction.rows for transaction in pending),
        oldest_pending_at=min((t.committed_at for t in pending), default=None),
        oldest_unread_at=min((t.committed_at for t in unread), default=None),
    )
