"""What a MySQL source refuses or hides: grants, tables, restores, locks, replicas, encryption; each with its remedy."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from console.platform.heartbeats_mysql import MysqlPulse
from console.platform.mysql import Mysql
from console.platform.ports import PlatformError
from console.platform.readings import BeatOrder
from tests.mysql.server import MysqlServer
from tests.mysql.wire import refusing
from tests.platform.mysql_heartbeats.pulse import ORDERS, Session, beat, pulse_at


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
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"mysql://console@127.0.0.1:{silent.getsockname()[1]}/"
        began_s = time.monotonic()
        with pytest.raises(PlatformError) as raised:
            beat(MysqlPulse(Mysql("the source shop", url, "SHOP_URL")))
        assert raised.value.code == "timeout"
        assert time.monotonic() - began_s < 8
