"""Heartbeats at a MySQL or MariaDB source (InnoDB): one row per DMS task, written in place.

What makes `row_safe_before` true:

- The sessions are looked at before the open transactions, those before the prepared ones: what moves from one list to
  the next meanwhile is seen twice and not never. A transaction leaves InnoDB's list only once it is in the binary log,
  so what has left it is there before this beat, and DMS reads it first.
- A statement stamps its rows with its own begin (NOW()), and may wait for a lock before its transaction begins: so a
  statement that runs counts as much as a transaction, unless it only reads.
- InnoDB's list is a copy, renewed when nobody read it for 0.1 s. It counts once this very reading is named in it as
  what the beat's own transaction does: then it is younger than the beat.
- `trx_started` is a moment of the server's zone without the zone, in whole seconds. The session is in that zone, so
  that the server itself turns it into a moment; in the hour that clocks go through twice the earlier one is taken.

MySQL has no transaction ids in the order of their begin: there is no cross-check by them, as PostgreSQL's beats have.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from console.platform.budget import Budget
from console.platform.heartbeat_ddl import account
from console.platform.mysql import DENIED, NO_PRIVILEGE, NO_TABLE, XA_DENIED, Mysql, MysqlSession, Refused, Row, quoted
from console.platform.ports import PlatformError
from console.platform.readings import BeatOrder, BeatReading, HolderReading, PulseReading

BEAT_S = 6.0
RENEWED_S = 0.12
"""InnoDB renews its list of transactions when it was not read for 0.1 s."""
TRIES = 8

# TIME is cut to whole seconds: the begin is up to one earlier than it says.
_SESSIONS = """
SELECT ID, USER, COMMAND IN ('Sleep', 'Daemon', 'Binlog Dump', 'Binlog Dump GTID'),
    UNIX_TIMESTAMP() - COALESCE(TIME, 0) - 1
FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND USER <> 'system user'"""
_OPEN = """
SELECT trx_mysql_thread_id, trx_is_read_only, UNIX_TIMESTAMP(trx_started),
    FROM_UNIXTIME(UNIX_TIMESTAMP(trx_started) - 3600) = trx_started,
    trx_mysql_thread_id = CONNECTION_ID() AND COALESCE(LOCATE('{reading}', trx_query), 0) > 0
FROM information_schema.INNODB_TRX"""
_LOCK = "SELECT seq FROM {relation} WHERE source_id = %s FOR UPDATE"
_READ = """
SELECT epoch, seq, beat_at, row_safe_before, prepared_count, own_xid, snapshot_xmin
FROM {relation} WHERE source_id = %s"""
# Assignments run from left to right: epoch is decided by what the row said before.
_WRITE = """
INSERT INTO {relation} (source_id, epoch, seq, beat_at, row_safe_before, prepared_count, timeline)
VALUES (%(source)s, %(epoch)s + 1, %(seq)s + 1, %(at)s, %(safe)s, %(prepared)s, %(timeline)s)
ON DUPLICATE KEY UPDATE
    epoch = CASE WHEN seq < %(seq)s OR epoch < %(epoch)s OR timeline <> %(timeline)s
        THEN GREATEST(epoch, %(epoch)s) + 1 ELSE epoch END,
    seq = GREATEST(seq, %(seq)s) + 1, beat_at = %(at)s, row_safe_before = %(safe)s, prepared_count = %(prepared)s,
    own_xid = NULL, snapshot_xmin = NULL, timeline = %(timeline)s"""


@dataclass(frozen=True)
class Opened:
    """A transaction or a statement that may still write. `thread` 0: it outlived its session."""

    thread: int
    user: str
    since: datetime


@dataclass(frozen=True)
class Sight:
    """What is open. `blind`: why that can't be said, with `remedy`."""

    opened: tuple[Opened, ...] = ()
    prepared: int | None = None
    blind: str = ""
    remedy: str = ""


class MysqlPulse:
    """A MySQL or MariaDB source. Safe for threads. Raises PlatformError."""

    def __init__(self, database: Mysql, *, beat_s: float = BEAT_S) -> None:
        self._database = database
        self._beat_s = beat_s

    def beat(self, source: str, orders: Sequence[BeatOrder]) -> PulseReading:
        """Write them. A row that went back, was restored or is of another server begins a new epoch by itself."""
        budget = Budget(self._database.system, self._beat_s)
        with self._database.session(budget) as session:
            ((user, at, timeline),) = self._identity(session)
            session.rows("START TRANSACTION")
            there = self._locked(session, source, orders, user)
            missing = tuple(order.task for order in orders if order not in there)
            if not there:
                return PulseReading((), missing)
            sight = self._sight(session, there, user)
            try:
                beats = tuple(self._written(session, source, order, at, timeline, sight) for order in there)
            except Refused as error:
                raise self._forbidden(orders, user) if error.number in DENIED else error from None
            session.rows("COMMIT")
        named = [one for one in sight.opened if one.thread]
        oldest = min(named, key=lambda one: one.since, default=None)
        holder = HolderReading(oldest.thread, oldest.user, oldest.since) if oldest else None
        return PulseReading(beats, missing, holder, blind=sight.blind, remedy=sight.remedy)

    def _identity(self, session: MysqlSession) -> list[Row]:
        """The account, now, and what names this server's data: MariaDB has no server_uuid."""
        query = "SELECT CURRENT_USER(), UTC_TIMESTAMP(6), {}"
        try:
            return session.rows(query.format("@@server_uuid"))[0]
        except Refused:
            return session.rows(query.format("CONCAT('server ', @@server_id)"))[0]

    def _locked(
        self, session: MysqlSession, source: str, orders: Sequence[BeatOrder], user: str
    ) -> tuple[BeatOrder, ...]:
        """Those whose table is there; their rows are locked, by which the transaction has begun for InnoDB."""
        there = []
        for order in orders:
            try:
                session.rows(_LOCK.format(relation=quoted(order.relation)), [source])
            except Refused as error:
                if error.number in DENIED:
                    raise self._forbidden(orders, user) from None
                if error.number not in NO_TABLE:
                    raise
            else:
                there.append(order)
        return tuple(there)

    def _sight(self, session: MysqlSession, there: Sequence[BeatOrder], user: str) -> Sight:
        who = f"the console's user {user}"
        ((me,),) = session.rows("SELECT CONNECTION_ID()")[0]
        sessions: list[Row] = []
        transactions: list[Row] = []
        for _ in range(TRIES):
            sessions = session.rows(_SESSIONS)[0]
            try:
                transactions, warnings = session.rows(_OPEN.format(reading=secrets.token_hex(8)))
            except Refused as error:
                if error.number != NO_PRIVILEGE:
                    raise
                return Sight(
                    blind=f"{who} may not see when other sessions' transactions began",
                    remedy=f"GRANT PROCESS ON *.* TO {account(user)};",
                )
            if warnings:
                return Sight(blind="InnoDB's list of open transactions is cut off: there are too many")
            if any(row[4] for row in transactions):
                break
            time.sleep(RENEWED_S)
        else:
            return self._not_in_the_list(session, there)
        try:
            prepared = len(session.rows("XA RECOVER")[0])
        except Refused as error:
            if error.number not in {XA_DENIED, NO_PRIVILEGE}:
                raise
            return Sight(
                blind=f"{who} may not see prepared (XA) transactions",
                remedy=f"GRANT XA_RECOVER_ADMIN ON *.* TO {account(user)};",
            )
        return Sight(opened(me, sessions, [row[:4] for row in transactions]), prepared)

    def _not_in_the_list(self, session: MysqlSession, there: Sequence[BeatOrder]) -> Sight:
        for order in there:
            found, _ = session.rows(
                "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
                order.relation.split(".", 1),
            )
            if found and found[0][0] != "InnoDB":
                return Sight(
                    blind=f"the heartbeat table {order.relation} is not of InnoDB: it has no transactions",
                    remedy=f"ALTER TABLE {order.relation} ENGINE=InnoDB;",
                )
        return Sight(
            blind="InnoDB's list of open transactions is not renewed: somebody reads it all the time",
            remedy="Let monitoring read information_schema.INNODB_TRX less often than every 0.1 s.",
        )

    def _written(
        self, session: MysqlSession, source: str, order: BeatOrder, at: datetime, timeline: str, sight: Sight
    ) -> BeatReading:
        known = not sight.blind
        began = [at, *(one.since.replace(tzinfo=None) for one in sight.opened)]
        relation = quoted(order.relation)
        session.rows(
            _WRITE.format(relation=relation),
            {
                "source": source,
                "epoch": order.last_epoch,
                "seq": order.last_seq,
                "at": at,
                "safe": min(began) if known else None,
                "prepared": sight.prepared if known else None,
                "timeline": timeline,
            },
        )
        ((epoch, seq, beat_at, safe, prepared, own_xid, xmin),) = session.rows(
            _READ.format(relation=relation), [source]
        )[0]
        return BeatReading(order.task, epoch, seq, _utc(beat_at), _utc(safe) if safe else None, prepared, own_xid, xmin)

    def _forbidden(self, orders: Sequence[BeatOrder], user: str) -> PlatformError:
        relations = [order.relation for order in orders]
        grants = " ".join(
            f"GRANT SELECT, INSERT, UPDATE ON {quoted(relation)} TO {account(user)};" for relation in relations
        )
        return PlatformError(
            self._database.system,
            "forbidden",
            f"the console's user {user} may not write its heartbeats into {', '.join(relations)}",
            remedy=grants,
            permanent=True,
        )


def opened(me: int, sessions: Sequence[Row], transactions: Sequence[Row]) -> tuple[Opened, ...]:
    """What may still write rows: transactions, and statements that run, but those that only read. Pure.

    `sessions`: (id, user, whether it is idle, begin of its statement); `transactions`: (thread, read only, begin,
    whether an hour earlier has the same name). Begins are seconds since 1970, by the server's clock.
    """
    reading = {row[0] for row in transactions if row[1]}
    users = {row[0]: str(row[1]) for row in sessions}
    running = {row[0]: _moment(row[3]) for row in sessions if not row[2]}
    found = []
    for thread, read_only, since, twice in transactions:
        if thread == me or read_only:
            continue
        began = _moment(since) - timedelta(hours=1 if twice else 0)
        found.append(Opened(thread, users.get(thread, ""), min(began, running.pop(thread, began))))
    found += [Opened(thread, users[thread], at) for thread, at in running.items() if thread not in reading]
    return tuple(found)


def _moment(seconds: object) -> datetime:
    return datetime.fromtimestamp(float(str(seconds)), UTC)


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
