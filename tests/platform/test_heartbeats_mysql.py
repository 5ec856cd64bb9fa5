"""Heartbeats at a real MySQL or MariaDB server: open, waiting, prepared and hidden transactions; grants; restores."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from console.platform import heartbeat_ddl
from console.platform.declared import TaskDeclared
from console.platform.heartbeats_mysql import MysqlPulse
from console.platform.mysql import Mysql
from console.platform.ports import PlatformError
from console.platform.readings import BeatOrder, BeatReading, PulseReading
from tests.mysql.server import KINDS, MysqlServer, server
from tests.mysql.wire import refusing

TASKS = (TaskDeclared("shop-cdc", "shop", "shop-cdc"), TaskDeclared("shop-archive", "shop", "shop-archive"))
ORDERS = tuple(BeatOrder(task.name, task.beats) for task in TASKS)
SECOND = timedelta(seconds=1)
TRUTH_S = float(os.environ.get("TRUTH_S", "6"))


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest) -> Iterator[MysqlServer]:
    with server(request.param) as found:
        yield found


@pytest.fixture
def db(made: MysqlServer) -> Iterator[MysqlServer]:
    made.run(
        "CREATE DATABASE shop",
        "CREATE TABLE shop.orders (id int AUTO_INCREMENT PRIMARY KEY, at datetime(6)) ENGINE=InnoDB",
        "INSERT INTO shop.orders (at) VALUES (UTC_TIMESTAMP(6))",
        "CREATE USER console@'127.0.0.%' IDENTIFIED BY 'p@ss'",
        *heartbeat_ddl.at_source(TASKS, "mysql", "console@127.0.0.%"),
    )
    try:
        yield made
    finally:
        made.run("DROP DATABASE shop", "DROP DATABASE quarterdeck", "DROP USER console@'127.0.0.%'")


@pytest.fixture
def pulse(db: MysqlServer) -> MysqlPulse:
    return pulse_at(db)


def pulse_at(db: MysqlServer, query: str = "", port: int = 0) -> MysqlPulse:
    address = f"127.0.0.1:{port or db.port}"
    return MysqlPulse(Mysql("the source shop", f"mysql://console:p%40ss@{address}/{query}", "SHOP_URL"))


def beat(pulse: MysqlPulse, last: BeatReading | None = None) -> PulseReading:
    order = BeatOrder("shop-cdc", TASKS[0].beats, last.epoch if last else 0, last.seq if last else 0)
    return pulse.beat("shop", (order,))


class Session:
    """A session of the shop's own."""

    def __init__(self, db: MysqlServer) -> None:
        self.connection = db.connect(database="shop")
        self.id = self.connection.thread_id()

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
def session(db: MysqlServer) -> Iterator[Callable[[], Session]]:
    made: list[Session] = []

    def begin() -> Session:
        made.append(Session(db))
        return made[-1]

    yield begin
    for one in made:
        if one.connection.open:
            one.close()


def test_each_task_has_a_row_of_its_own_and_its_moment_is_utc_whatever_the_servers_zone(
    pulse: MysqlPulse, db: MysqlServer
) -> None:
    first, second = pulse.beat("shop", ORDERS), pulse.beat("shop", ORDERS)
    assert [beat.task for beat in first.beats] == ["shop-cdc", "shop-archive"]
    assert {(beat.epoch, beat.seq) for beat in first.beats} == {(1, 1)}
    assert {(beat.epoch, beat.seq) for beat in second.beats} == {(1, 2)}
    assert first.beats[0].beat_at == first.beats[1].beat_at < second.beats[0].beat_at
    assert abs(datetime.now(UTC) - second.beats[0].beat_at) < 5 * SECOND
    (row,) = db.run("SELECT beat_at, row_safe_before FROM quarterdeck.heartbeat_shop_cdc")
    assert row[0].replace(tzinfo=UTC) == second.beats[0].beat_at
    assert (first.blind, first.missing, first.mark) == ("", (), None)
    assert [(beat.own_xid, beat.xmin) for beat in first.beats] == [(None, None)] * 2


def test_alone_it_is_safe_up_to_its_own_begin(pulse: MysqlPulse) -> None:
    found = beat(pulse)
    assert (found.beats[0].row_safe_before, found.beats[0].prepared_count) == (found.beats[0].beat_at, 0)
    assert found.holder is None


def test_an_open_transaction_holds_the_rows_back_and_is_named_by_thread_user_and_begin(
    pulse: MysqlPulse, session: Callable[[], Session]
) -> None:
    holding = session()
    beat(pulse)
    before = datetime.now(UTC)
    holding.run("BEGIN", "INSERT INTO orders (at) VALUES (UTC_TIMESTAMP(6))")
    time.sleep(1.2)
    held = beat(pulse)
    safe = held.beats[0].row_safe_before
    assert safe is not None
    assert before - SECOND <= safe <= before + SECOND
    assert held.holder is not None
    assert (held.holder.pid, held.holder.user) == (holding.id, "root")
    assert safe <= held.holder.since <= before + SECOND
    holding.run("COMMIT")
    after = beat(pulse)
    assert (after.beats[0].row_safe_before, after.holder) == (after.beats[0].beat_at, None)


def test_a_transaction_that_has_only_read_so_far_may_still_write_and_one_that_can_not_write_holds_nothing(
    pulse: MysqlPulse, session: Callable[[], Session]
) -> None:
    reading, may_write = session(), session()
    reading.run("START TRANSACTION READ ONLY", "SELECT * FROM orders")
    time.sleep(1.1)
    free = beat(pulse)
    assert (free.beats[0].row_safe_before, free.holder) == (free.beats[0].beat_at, None)
    may_write.run("BEGIN", "SELECT * FROM orders")
    held = beat(pulse)
    assert held.holder is not None
    assert held.holder.pid == may_write.id


def test_a_long_report_holds_nothing_back(pulse: MysqlPulse, session: Callable[[], Session]) -> None:
    report = session()
    running = threading.Thread(target=report.run, args=("SELECT SLEEP(2.5), at FROM orders LIMIT 1",))
    running.start()
    time.sleep(1.2)
    try:
        found = beat(pulse)
        assert (found.beats[0].row_safe_before, found.holder) == (found.beats[0].beat_at, None)
    finally:
        running.join()


def test_a_statement_that_waits_for_a_lock_before_its_transaction_begins_holds_with_the_stamp_that_it_will_write(
    pulse: MysqlPulse, session: Callable[[], Session]
) -> None:
    altering, waiting, watch = session(), session(), session()
    altering.run("LOCK TABLES orders WRITE")
    running = threading.Thread(target=waiting.run, args=("INSERT INTO orders (at) VALUES (NOW(6))",))
    running.start()
    time.sleep(1.5)
    try:
        trx = "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = "
        assert watch.run(f"{trx}{waiting.id}") == [(0,)]  # InnoDB does not know of it yet
        time.sleep(0.2)
        held = beat(pulse)
    finally:
        altering.run("UNLOCK TABLES")
        running.join()
    assert held.holder is not None
    assert held.holder.pid == waiting.id
    watch.run("SET time_zone = 'SYSTEM'")
    ((stamp,),) = watch.run("SELECT UNIX_TIMESTAMP(at) FROM orders ORDER BY id DESC LIMIT 1")
    safe = held.beats[0].row_safe_before
    assert safe is not None
    assert safe <= datetime.fromtimestamp(float(stamp), UTC)
    assert held.beats[0].beat_at - safe > SECOND


def test_a_statement_that_had_waited_before_its_transaction_began_still_counts_from_its_stamp(
    pulse: MysqlPulse, db: MysqlServer, session: Callable[[], Session]
) -> None:
    """InnoDB calls a begin what came after the wait, and no beat saw it. A process that remembers none knows too."""
    altering, holding = session(), session()
    beat(pulse)
    altering.run("LOCK TABLES orders WRITE")
    holding.run("BEGIN")
    running = threading.Thread(target=holding.run, args=("INSERT INTO orders (at) VALUES (UTC_TIMESTAMP(6))",))
    running.start()
    time.sleep(2.5)
    altering.run("UNLOCK TABLES")
    running.join()
    ((stamp,),) = holding.run("SELECT MAX(at) FROM orders")
    ((began,),) = db.run(
        "SELECT UNIX_TIMESTAMP(trx_started) FROM information_schema.INNODB_TRX"
        f" WHERE trx_mysql_thread_id = {holding.id}"
    )
    assert datetime.fromtimestamp(began, UTC) > stamp.replace(tzinfo=UTC) + SECOND  # what must not be believed
    for one in (pulse_at(db), pulse, pulse_at(db), pulse):
        safe = beat(one).beats[0].row_safe_before
        assert safe is not None
        assert stamp.replace(tzinfo=UTC) - 2 * SECOND < safe <= stamp.replace(tzinfo=UTC)
    holding.run("COMMIT")
    after = beat(pulse).beats[0]
    assert after.row_safe_before == after.beat_at


def test_a_prepared_transaction_is_counted_with_its_session_and_when_that_has_gone(
    pulse: MysqlPulse, session: Callable[[], Session]
) -> None:
    preparing, after = session(), session()
    preparing.run("XA START 'held'", "INSERT INTO orders (at) VALUES (NOW(6))")
    assert beat(pulse).beats[0].prepared_count == 0
    preparing.run("XA END 'held'", "XA PREPARE 'held'")
    assert beat(pulse).beats[0].prepared_count == 1
    preparing.close()
    time.sleep(1.1)
    alone = beat(pulse)
    assert (alone.beats[0].prepared_count, alone.holder) == (1, None)
    safe = alone.beats[0].row_safe_before
    assert safe is not None
    assert alone.beats[0].beat_at - safe > SECOND
    after.run("XA ROLLBACK 'held'")
    assert beat(pulse).beats[0].prepared_count == 0


def test_a_list_that_somebody_else_reads_all_the_time_is_not_believed_while_it_is_old(
    pulse: MysqlPulse, session: Callable[[], Session]
) -> None:
    """InnoDB renews it only when nobody has read it for 0.1 s: an old one lacks what has begun since."""
    monitor, holding = session(), session()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.01):
            monitor.run("SELECT COUNT(*) FROM information_schema.INNODB_TRX")

    watching = threading.Thread(target=watch)
    beat(pulse)  # its transaction may be in the old list, under the same thread
    watching.start()
    try:
        holding.run("BEGIN", "INSERT INTO orders (at) VALUES (NOW(6))")
        found = beat(pulse)
    finally:
        stop.set()
        watching.join()
    if found.blind:
        assert (found.beats[0].row_safe_before, found.beats[0].prepared_count) == (None, None)
        assert "not renewed" in found.blind
    else:  # this server renewed it all the same
        assert found.holder is not None
        assert found.holder.pid == holding.id
    assert beat(pulse).blind == ""


def test_without_the_grant_nothing_is_said_of_open_transactions_and_the_grant_is_named(
    pulse: MysqlPulse, db: MysqlServer
) -> None:
    db.run("REVOKE PROCESS ON *.* FROM console@'127.0.0.%'")
    blind = beat(pulse)
    assert (blind.beats[0].row_safe_before, blind.beats[0].prepared_count, blind.holder) == (None, None, None)
    assert "console@127.0.0.% may not see" in blind.blind
    assert blind.remedy == "GRANT PROCESS ON *.* TO 'console'@'127.0.0.%';"
    db.run(blind.remedy)
    assert beat(pulse_at(db)).blind == ""


def test_prepared_transactions_that_may_not_be_seen_name_mysqls_own_grant(db: MysqlServer) -> None:
    if db.mariadb:  # where everybody sees them: MySQL's word to XA RECOVER is put in on the wire
        with refusing(db.port, b"XA RECOVER", 1401, b"XAE07", b"XAER_RMERR: Fatal error occurred") as port:
            blind = beat(pulse_at(db, port=port))
    else:
        db.run("REVOKE XA_RECOVER_ADMIN ON *.* FROM console@'127.0.0.%'")
        blind = beat(pulse_at(db))
    assert blind.beats[0].prepared_count is None
    assert blind.beats[0].row_safe_before is None
    assert blind.remedy == "GRANT XA_RECOVER_ADMIN ON *.* TO 'console'@'127.0.0.%';"
    if not db.mariadb:
        db.run(blind.remedy)
    assert beat(pulse_at(db)).blind == ""


def test_a_table_that_is_not_installed_is_named_and_the_others_are_written(pulse: MysqlPulse, db: MysqlServer) -> None:
    db.run("GRANT SELECT, INSERT, UPDATE ON quarterdeck.* TO console@'127.0.0.%'")
    found = pulse.beat("shop", (*ORDERS, BeatOrder("shop-new", "quarterdeck.heartbeat_shop_new")))
    assert found.missing == ("shop-new",)
    assert [beat.task for beat in found.beats] == ["shop-cdc", "shop-archive"]
    assert pulse.beat("shop", [BeatOrder("shop-new", "quarterdeck.heartbeat_shop_new")]).missing == ("shop-new",)


def test_a_missing_grant_on_the_table_is_named_with_the_statement_to_run(pulse: MysqlPulse, db: MysqlServer) -> None:
    for privilege in ("UPDATE", "INSERT"):
        db.run(f"REVOKE {privilege} ON quarterdeck.heartbeat_shop_cdc FROM console@'127.0.0.%'")
        with pytest.raises(PlatformError) as raised:
            beat(pulse)
        assert raised.value.code == "forbidden"
        assert raised.value.remedy == (
            "GRANT SELECT, INSERT, UPDATE ON `quarterdeck`.`heartbeat_shop_cdc` TO 'console'@'127.0.0.%';"
        )
        db.run(raised.value.remedy)
        assert beat(pulse).beats


def test_a_heartbeat_table_without_transactions_proves_nothing_and_says_what_to_do(
    pulse: MysqlPulse, db: MysqlServer
) -> None:
    db.run("ALTER TABLE quarterdeck.heartbeat_shop_cdc ENGINE=MyISAM")
    found = beat(pulse)
    assert found.beats[0].row_safe_before is None
    assert found.remedy == "ALTER TABLE quarterdeck.heartbeat_shop_cdc ENGINE=InnoDB;"
    db.run(found.remedy)
    assert beat(pulse).blind == ""


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE quarterdeck.heartbeat_shop_cdc SET seq = 1",
        "UPDATE quarterdeck.heartbeat_shop_cdc SET timeline = 'another server'",
        "DELETE FROM quarterdeck.heartbeat_shop_cdc",
        "UPDATE quarterdeck.heartbeat_shop_cdc SET epoch = 0",
    ],
)
def test_a_source_that_was_restored_begins_a_new_epoch_and_its_count_never_goes_back(
    pulse: MysqlPulse, db: MysqlServer, damage: str
) -> None:
    last = None
    for _ in range(3):
        last = beat(pulse, last).beats[0]
    assert last is not None
    db.run(damage)
    after = beat(pulse, last).beats[0]
    assert (after.epoch, after.seq) == (2, 4)
    again = beat(pulse, after).beats[0]
    assert (again.epoch, again.seq) == (2, 5)


def test_a_console_that_remembers_less_than_the_row_takes_it_as_it_is(pulse: MysqlPulse) -> None:
    first = beat(pulse).beats[0]
    beat(pulse, first)
    assert (beat(pulse).beats[0].epoch, beat(pulse, first).beats[0].seq) == (1, 4)


def test_a_kept_connection_that_was_cut_is_made_anew(pulse: MysqlPulse, db: MysqlServer) -> None:
    first = beat(pulse).beats[0]
    for (thread,) in db.run("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'console'"):
        db.run(f"KILL {thread}")
    assert beat(pulse, first).beats[0].seq == 2


def test_a_heartbeat_that_another_session_locks_is_told_within_its_time(
    pulse: MysqlPulse, session: Callable[[], Session]
) -> None:
    beat(pulse)
    other = session()
    other.run("BEGIN", "SELECT * FROM quarterdeck.heartbeat_shop_cdc FOR UPDATE")
    began_s = time.monotonic()
    with pytest.raises(PlatformError, match="another session locks the heartbeat"):
        beat(pulse)
    assert time.monotonic() - began_s < 5
    other.run("ROLLBACK")
    assert beat(pulse).beats[0].seq == 2


def test_a_source_that_is_read_only_is_told_as_a_replica(pulse: MysqlPulse, db: MysqlServer) -> None:
    db.run("SET GLOBAL read_only = 1")
    try:
        with pytest.raises(PlatformError, match="is read only") as raised:
            beat(pulse)
        assert "primary" in raised.value.remedy
    finally:
        db.run("SET GLOBAL read_only = 0")


def test_why_it_can_not_be_reached_is_told_without_the_password(db: MysqlServer) -> None:
    cases = {
        f"mysql://console:wrong-one@127.0.0.1:{db.port}/": "unauthorised",
        "mysql://console:wrong-one@127.0.0.1:9/": "refused",
        f"mysql://console:p%40ss@127.0.0.1:{db.port}/nowhere": "unauthorised|not_found",
        f"mysql://console:p%40ss@127.0.0.1:{db.port}/?ssl=1": "malformed",
    }
    for url, code in cases.items():
        with pytest.raises(PlatformError) as raised:
            beat(MysqlPulse(Mysql("the source shop", url, "SHOP_URL")))
        assert raised.value.code in code, url
        assert raised.value.remedy
        assert "wrong-one" not in f"{raised.value.message} {raised.value.remedy}"


def test_encryption_that_is_asked_for_is_never_gone_without(db: MysqlServer) -> None:
    ((has_tls,),) = db.run("SELECT @@have_ssl") if db.mariadb else [("YES",)]
    if has_tls == "YES":
        assert beat(pulse_at(db, "?ssl-mode=required")).beats
        return
    with pytest.raises(PlatformError, match="offers no encryption"):
        beat(pulse_at(db, "?ssl-mode=required"))
    assert beat(pulse_at(db, "?ssl-mode=preferred")).beats


def test_a_frozen_server_costs_its_time_and_no_more() -> None:
    """A port that takes connections and never speaks."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"mysql://console@127.0.0.1:{silent.getsockname()[1]}/"
        began_s = time.monotonic()
        with pytest.raises(PlatformError) as raised:
            beat(MysqlPulse(Mysql("the source shop", url, "SHOP_URL")))
        assert raised.value.code == "timeout"
        assert time.monotonic() - began_s < 8


# --- the truth -----------------------------------------------------------------------------------------------------


def test_no_row_stamped_before_what_a_beat_calls_safe_comes_after_it_and_the_beats_own_moment_would_be_wrong(
    pulse: MysqlPulse, db: MysqlServer, session: Callable[[], Session]
) -> None:
    """Writers stamp rows by the server's clock and commit later, some by XA; locks make statements wait."""
    ends_s = time.monotonic() + TRUTH_S
    insert = "INSERT INTO orders (at) VALUES (UTC_TIMESTAMP(6))"

    def write(number: int) -> None:
        mine, pick = session(), random.Random(number)
        while time.monotonic() < ends_s:
            match pick.choice((0, 0, 0, 1, 1, 1, 1, 2, 3)):
                case 0:
                    mine.run(insert)
                case 1:
                    mine.run("BEGIN", insert, f"DO SLEEP({pick.random() / 2:.3f})", insert, "COMMIT")
                case 2:
                    name = f"'{number}'"
                    mine.run(f"XA START {name}", insert, f"XA END {name}", f"XA PREPARE {name}")
                    time.sleep(pick.random() / 4)
                    mine.run(f"XA COMMIT {name}")
                case 3:
                    mine.run("LOCK TABLES orders WRITE", f"DO SLEEP({pick.random() / 20:.3f})", "UNLOCK TABLES")

    def arrived(before: datetime) -> int:
        ((number,),) = look.run(f"SELECT COUNT(*) FROM orders WHERE at < '{before:%Y-%m-%d %H:%M:%S.%f}'")
        return int(number)

    look = session()
    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    claims, claims_naive = [], []
    while time.monotonic() < ends_s:
        only = beat(pulse).beats[0]
        if only.row_safe_before is not None and only.prepared_count == 0:
            claims.append((only.row_safe_before, arrived(only.row_safe_before)))
        claims_naive.append((only.beat_at, arrived(only.beat_at)))
    for writer in writers:
        writer.join()
    assert len(claims) > 3
    assert [(at, then) for at, then in claims if arrived(at) != then] == []
    assert [at for at, then in claims_naive if arrived(at) != then] != []
