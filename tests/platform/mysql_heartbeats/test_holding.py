"""What holds a heartbeat of MySQL back: open, waiting, reading and prepared transactions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from console.platform.heartbeats_mysql import MysqlPulse
from tests.mysql.server import MysqlServer
from tests.platform.mysql_heartbeats.pulse import ORDERS, SECOND, Session, beat, pulse_at


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
