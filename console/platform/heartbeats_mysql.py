"""Heartbeats at a MySQL or MariaDB source (InnoDB): one row per DMS task, written in place.

What makes `row_safe_before` true:

- The sessions are looked at before the open transactions, those before the prepared ones: what moves from one list to
  the next meanwhile is seen twice and not never. A transaction leaves InnoDB's list only once it is in the binary log,
  so what has left it is there before this beat, and DMS reads it first.
- A statement stamps its rows with its own begin (NOW()), and may wait for a lock before its transaction begins: so a
  statement that runs counts as much as a transaction, unless it only reads; and a transaction counts from the look
  before, if it was not there yet (`mysql_open`). There are two looks to each beat, so that this costs little for those
  that are short; the last one is remembered for the next beat. A process that remembers none has the row itself.
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
from console.platform.mysql import DENIED, NO_PRIVILEGE, NO_TABLE, XA_DENIED, Mysql, MysqlSession, Refused, quoted
from console.platform.mysql_open import Look, look
from console.platform.ports import PlatformError
from console.platform.readings import BeatOrder, BeatReading, HolderReading, PulseReading

BEAT_S = 6.0
AHEAD_S = 0.3
"""Between the two looks: most transactions that run beside the second one are younger than the first."""
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
_LOCK = "SELECT timeline, row_safe_before FROM {relation} WHERE source_id = %s FOR UPDATE"
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
class Server:
    """Where a beat is written: the account, what names the server's data, its clock, and since when it has been up."""

    user: str
    timeline: str
    now: datetime
    up_since: datetime


@dataclass(frozen=True)
class Sight:
    """What is open. `blind`: why that can't be said, with `remedy`."""

    look: Look | None = None
    prepared: int | None = None
    blind: str = ""
    remedy: str = ""


class MysqlPulse:
    """A MySQL or MariaDB source. Safe for threads. Raises PlatformError."""

    def __init__(self, database: Mysql, *, beat_s: float = BEAT_S, ahead_s: float = AHEAD_S) -> None:
        self._database = database
        self._beat_s = beat_s
        self._ahead_s = ahead_s
        self._before: tuple[str, Look] | None = None  # with the timeline that it was of

    def beat(self, source: str, orders: Sequence[BeatOrder]) -> PulseReading:
        """Write them. A row that went back, was restored or is of another server begins a new epoch by itself."""
        budget = Budget(self._database.system, self._beat_s)
        with self._database.session(budget) as session:
            server = self._server(session)
            session.rows("START TRANSACTION")
            there, floor = self._locked(session, source, orders, server)
            missing = tuple(order.task for order in orders if order not in there)
            if not there:
                return PulseReading((), missing)
            sight = self._sight(session, there, server, floor)
            at = sight.look.at if sight.look else server.now
            try:
                beats = tuple(self._written(session, source, order, at, server, sight) for order in there)
            except Refused as error:
                raise self._forbidden(orders, server.user) if error.number in DENIED else error from None
            session.rows("COMMIT")
        named = [one for one in sight.look.opened if one.thread] if sight.look else []
        oldest = min(named, key=lambda one: one.since, default=None)
        holder = HolderReading(oldest.thread, oldest.user, oldest.since) if oldest else None
        return PulseReading(beats, missing, holder, blind=sight.blind, remedy=sight.remedy)

    def _server(self, session: MysqlSession) -> Server:
        query = "SELECT CURRENT_USER(), {}, UTC_TIMESTAMP(6)"
        try:
            ((user, timeline, now),) = session.rows(query.format("@@server_uuid"))[0]
        except Refused:  # MariaDB has none
            ((user, timeline, now),) = session.rows(query.format("CONCAT('server ', @@server_id)"))[0]
        ((_, uptime),) = session.rows("SHOW GLOBAL STATUS LIKE 'Uptime'")[0]
        return Server(user, timeline, _utc(now), _utc(now) - timedelta(seconds=int(uptime) + 1))

    def _locked(
        self, session: MysqlSession, source: str, orders: Sequence[BeatOrder], server: Server
    ) -> tuple[tuple[BeatOrder, ...], datetime]:
        """Those whose table is there; their rows are locked, by which the transaction has begun for InnoDB.

        With it: before when no transaction that is open has stamped a row. The last beat says so, whoever wrote it:
        what is open now was open or waiting then, and it counted that; or it came later.
        """
        there, floor = [], server.up_since
        for order in orders:
            try:
                rows, _ = session.rows(_LOCK.format(relation=quoted(order.relation)), [source])
            except Refused as error:
                if error.number in DENIED:
                    raise self._forbidden(orders, server.user) from None
                if error.number not in NO_TABLE:
                    raise
            else:
                there.append(order)
                floor = max([floor, *(_utc(safe) for timeline, safe in rows if safe and timeline == server.timeline)])
        return tuple(there), floor

    def _sight(self, session: MysqlSession, there: Sequence[BeatOrder], server: Server, floor: datetime) -> Sight:
        known = self._before[1] if self._before and self._before[0] == server.timeline else None
        first = self._look(session, there, server, floor, known)
        if first.look is None:
            return first
        time.sleep(self._ahead_s)
        second = self._look(session, there, server, floor, first.look)
        if second.look is None:
            return second
        self._before = (server.timeline, second.look)
        try:
            prepared = len(session.rows("XA RECOVER")[0])
        except Refused as error:
            if error.number not in {XA_DENIED, NO_PRIVILEGE}:
                raise
            return Sight(
                blind=f"the console's user {server.user} may not see prepared (XA) transactions",
                remedy=f"GRANT XA_RECOVER_ADMIN ON *.* TO {account(server.user)};",
            )
        return Sight(second.look, prepared)

    def _look(
        self, session: MysqlSession, there: Sequence[BeatOrder], server: Server, floor: datetime, before: Look | None
    ) -> Sight:
        ((me, now),) = session.rows("SELECT CONNECTION_ID(), UTC_TIMESTAMP(6)")[0]
        for _ in range(TRIES):
            sessions = session.rows(_SESSIONS)[0]
            try:
                transactions, warnings = session.rows(_OPEN.format(reading=secrets.token_hex(8)))
            except Refused as error:
                if error.number != NO_PRIVILEGE:
                    raise
                return Sight(
                    blind=f"the console's user {server.user} may not see when other sessions' transactions began",
                    remedy=f"GRANT PROCESS ON *.* TO {account(server.user)};",
                )
            if warnings:
                return Sight(blind="InnoDB's list of open transactions is cut off: there are too many")
            if any(row[4] for row in transactions):
                return Sight(look(before, floor, _utc(now), me, sessions, [row[:4] for row in transactions]))
            time.sleep(RENEWED_S)
        return self._not_in_the_list(session, there)

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
        self, session: MysqlSession, source: str, order: BeatOrder, at: datetime, server: Server, sight: Sight
    ) -> BeatReading:
        relation = quoted(order.relation)
        session.rows(
            _WRITE.format(relation=relation),
            {
                "source": source,
                "epoch": order.last_epoch,
                "seq": order.last_seq,
                "at": at.replace(tzinfo=None),
                "safe": sight.look.safe.replace(tzinfo=None) if sight.look else None,
                "prepared": sight.prepared,
                "timeline": server.timeline,
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


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
