"""From when on a MySQL source's open transactions may have stamped rows. Pure.

`trx_started` does not say it: a statement stamps its rows with its own begin, and InnoDB's transaction begins only
once it has got past table and metadata locks (LOCK TABLES, ALTER TABLE, the FLUSH TABLES of a backup). While it waits
it is seen as a statement that runs. Afterwards, in a transaction that stays open, nothing tells how long it had waited.
So each look remembers what it saw: a transaction that has come since began by a statement that was waiting at the look
before, or by one that began after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Opened:
    """A transaction, or a statement outside of one, that may still write. `thread` 0: it outlived its session.

    `since`: its begin, or that of its statement, as the server says it; `safe`: it stamps no row before.
    """

    thread: int
    user: str
    since: datetime
    safe: datetime
    started: datetime | None = None  # what the server calls the transaction's begin, which stays the same


@dataclass(frozen=True)
class Look:
    """What was seen of the source. A statement that is not among what was seen began after `at`."""

    at: datetime
    opened: tuple[Opened, ...] = ()

    @property
    def safe(self) -> datetime:
        """No row that is still to be committed is stamped before."""
        return min([self.at, *(one.safe for one in self.opened)])


def look(
    before: Look | None, floor: datetime, at: datetime, me: int, sessions: Sequence[Row], transactions: Sequence[Row]
) -> Look:
    """What may still write rows: transactions, and statements that run, but those that only read.

    `before`: an earlier look at this server, the newer the better. `floor`: no transaction that is open has stamped a
    row before. `at`: a moment before the sessions were read, which were before the transactions. `sessions`: (id, user,
    whether it is idle, begin of its statement); `transactions`: (thread, read only, begin, whether an hour earlier has
    the same name). Begins are seconds since 1970, by the server's clock.
    """
    reading = {row[0] for row in transactions if row[1]}
    users = {row[0]: str(row[1]) for row in sessions}
    running = {row[0]: _moment(row[3]) for row in sessions if not row[2]}
    found = []
    for thread, read_only, begin, twice in transactions:
        if thread == me or read_only:
            continue
        started = _moment(begin) - timedelta(hours=1 if twice else 0)
        since = min(started, running.pop(thread, started))
        safe = min(since, max(floor, _earliest(before, thread, started, floor)))
        found.append(Opened(thread, users.get(thread, ""), since, safe, started))
    found += [Opened(thread, users[thread], at, at) for thread, at in running.items() if thread not in reading]
    return Look(at, tuple(found))


def _earliest(before: Look | None, thread: int, started: datetime, floor: datetime) -> datetime:
    """When the first statement of this transaction may have begun, as far as the look before knows.

    It was seen then; or its statement was, waiting; or that began later. A prepared transaction changes its thread, so
    one is known again by its begin alone: another one of the same second only makes it earlier.
    """
    if before is None:
        return floor
    seen = [one.safe for one in before.opened if (one.started == started if one.started else thread in (0, one.thread))]
    return min([before.at, *seen])


def _moment(seconds: object) -> datetime:
    return datetime.fromtimestamp(float(str(seconds)), UTC)
