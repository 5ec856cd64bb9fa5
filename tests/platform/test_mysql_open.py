"""From when on open transactions of MySQL may have stamped rows: pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from console.platform.mysql_open import Look, Row, look

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
FLOOR = NOON - timedelta(days=3)  # the server began then


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def seen(before: Look | None, seconds: float, *, sessions: tuple[Row, ...] = (), open_: tuple[Row, ...] = ()) -> Look:
    """`sessions`: (thread, begin of its statement or None); `open_`: (thread, begin); both in seconds from noon."""
    rows = [(thread, "app", begin is None, at(begin or 0).timestamp()) for thread, begin in sessions]
    transactions = [(thread, 0, at(begin).timestamp(), 0) for thread, begin in open_]
    return look(before, FLOOR, at(seconds), 1, rows, [(1, 0, at(seconds).timestamp(), 0), *transactions])


def test_alone_it_is_safe_up_to_the_look() -> None:
    assert seen(None, 0).safe == NOON
    assert seen(None, 0).opened == ()


def test_a_running_statement_of_an_open_transaction_counts_from_the_earlier_of_both() -> None:
    (only,) = seen(None, 0, sessions=((7, -60),), open_=((7, -30),)).opened
    assert (only.thread, only.user, only.since) == (7, "app", at(-60))


def test_in_the_hour_that_clocks_go_through_twice_the_earlier_one_is_taken() -> None:
    found = look(seen(None, -4000), FLOOR, NOON, 1, [], [(7, 0, NOON.timestamp(), 1)])
    assert found.opened[0].since == NOON - timedelta(hours=1)
    assert found.safe <= NOON - timedelta(hours=1)


def test_what_only_reads_and_the_beat_itself_are_left_out() -> None:
    sessions = [(7, "report", 0, NOON.timestamp()), (8, "idle", 1, NOON.timestamp())]
    transactions = [(1, 0, NOON.timestamp(), 0), (7, 1, NOON.timestamp(), 0)]
    assert look(None, FLOOR, NOON, 1, sessions, transactions).opened == ()


def test_what_is_open_at_the_first_look_may_have_waited_since_the_server_began() -> None:
    assert seen(None, 0, open_=((7, -5),)).safe == FLOOR


def test_the_last_beat_is_a_floor_where_no_look_is_remembered() -> None:
    found = look(None, at(-10), NOON, 1, [], [(7, 0, at(-5).timestamp(), 0)])
    assert found.safe == at(-10)


def test_one_that_has_come_since_the_look_before_stamped_nothing_before_that() -> None:
    before = seen(None, -10, sessions=((7, None),))
    found = seen(before, 0, sessions=((7, None),), open_=((7, -1),))
    assert found.safe == at(-10)
    assert found.opened[0].since == at(-1)


def test_one_whose_statement_was_waiting_then_counts_from_that_as_long_as_it_is_open() -> None:
    waiting = seen(None, -10, sessions=((7, -45),))
    assert waiting.safe == at(-45)
    through = seen(waiting, 0, sessions=((7, None),), open_=((7, -1),))
    assert through.safe == at(-45)
    assert seen(through, 10, sessions=((7, None),), open_=((7, -1),)).safe == at(-45)
    assert seen(through, 10, sessions=((7, None),)).safe == at(10)


def test_a_session_that_is_never_idle_holds_no_longer_than_each_transaction() -> None:
    before = seen(None, -10, sessions=((7, -10.5),), open_=((7, -11),))
    again = seen(before, 0, sessions=((7, -0.5),), open_=((7, -1),))
    assert again.safe == at(-10)
    assert seen(again, 10, sessions=((7, 9.5),), open_=((7, 9),)).safe == at(0)


def test_a_prepared_one_is_known_again_though_it_has_left_its_session() -> None:
    waiting = seen(None, -20, sessions=((7, -45),))
    through = seen(waiting, -10, sessions=((7, None),), open_=((7, -12),))
    assert seen(through, 0, open_=((0, -12),)).safe == at(-45)
    assert seen(waiting, 0, open_=((0, -12),)).safe == at(-45)  # prepared before it was looked at again


def test_a_newer_look_never_makes_a_transaction_safer_than_the_server_says() -> None:
    before = seen(None, -1)
    assert seen(before, 0, open_=((7, -3),)).safe == at(-3)
