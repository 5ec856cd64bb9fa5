"""The replication's ledger: every committed row counted once, and its age told until it has arrived."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.sandbox.replication.ledger import (
    EPOCH,
    Changes,
    Standing,
    Transaction,
    lsn,
    lsn_text,
    settle,
    transactions,
)

AT = datetime(2026, 11, 22, 3, tzinfo=UTC)
NOTHING = Standing({}, {}, 0)


def begin() -> bytes:
    return b"B" + struct.pack(">QQI", 1, 1, 7)


def relation(number: int, schema: str, name: str) -> bytes:
    return b"R" + struct.pack(">I", number) + schema.encode() + b"\0" + name.encode() + b"\0d\0\0"


def change(kind: bytes, number: int) -> bytes:
    return kind + struct.pack(">I", number) + b"N\0\0"


def commit(end: int, at: datetime) -> bytes:
    return b"C\0" + struct.pack(">QQQ", end - 8, end, int((at - EPOCH).total_seconds() * 1_000_000))


def written(end: int, at: datetime = AT, rows: int = 1) -> Transaction:
    return Transaction(end, at, {"public.orders": Changes(inserts=rows)})


def test_a_stream_becomes_transactions_with_the_rows_of_each_table() -> None:
    stream = [
        begin(), relation(1, "public", "orders"), change(b"I", 1), change(b"I", 1), change(b"U", 1), commit(100, AT),
        begin(), commit(200, AT),
        begin(), relation(2, "public", "payments"), change(b"D", 2), change(b"I", 1),
        commit(300, AT + timedelta(seconds=2)),
    ]  # fmt: skip
    found = transactions(stream)
    assert [transaction.end_lsn for transaction in found] == [100, 300]
    assert found[0].changes == {"public.orders": Changes(inserts=2, updates=1)}
    assert found[1].changes == {"public.payments": Changes(deletes=1), "public.orders": Changes(inserts=1)}
    assert found[1].committed_at == AT + timedelta(seconds=2)


def test_a_commit_that_did_not_come_counts_nothing() -> None:
    assert transactions([begin(), relation(1, "public", "orders"), change(b"I", 1)]) == []


def test_what_has_arrived_is_applied_and_the_rest_is_pending() -> None:
    standing = settle(NOTHING, [written(100), written(200, AT + timedelta(seconds=5), 3)], 100, 200)
    assert standing.applied == {"public.orders": Changes(inserts=1)}
    assert standing.read == {"public.orders": Changes(inserts=4)}
    assert standing.pending_rows == 3
    assert standing.latency_s(AT + timedelta(seconds=65)) == 60
    assert standing.read_latency_s(AT + timedelta(seconds=65)) == 0


def test_what_was_not_even_sent_ages_at_the_source_too() -> None:
    standing = settle(NOTHING, [written(100)], 0, 0)
    assert standing.read_latency_s(AT + timedelta(seconds=9)) == 9


def test_nothing_pending_is_no_latency() -> None:
    assert settle(NOTHING, [written(100)], 100, 100).latency_s(AT + timedelta(days=1)) == 0


def test_reading_the_same_log_again_counts_nothing_twice() -> None:
    log = [written(100), written(200)]
    once = settle(NOTHING, log, 150, 200)
    again = settle(once, log, 150, 200)
    assert again.applied == once.applied == {"public.orders": Changes(inserts=1)}


@given(
    ends=st.lists(st.integers(1, 500), unique=True, max_size=30).map(sorted),
    steps=st.lists(st.integers(0, 500), max_size=8),
    drops=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_whatever_the_steps_each_row_is_applied_once(ends: list[int], steps: list[int], drops: list[bool]) -> None:
    """The log may be forgotten up to what was counted, or read again from the start: the totals are the same."""
    log = [written(end) for end in ends]
    standing, applied = NOTHING, 0
    for step, forget in zip(steps, drops, strict=False):
        applied = max(applied, step)
        seen = [transaction for transaction in log if not forget or transaction.end_lsn > standing.through]
        standing = settle(standing, seen, applied, applied)
    arrived = sum(end <= applied for end in ends)
    assert standing.applied.get("public.orders", Changes()).rows == arrived
    if steps:
        assert standing.pending_rows == len(ends) - arrived


@pytest.mark.parametrize("text", ["0/0", "0/16B3748", "1A/FFFFFFFF"])
def test_log_positions_there_and_back(text: str) -> None:
    assert lsn_text(lsn(text)) == text


def test_no_position_is_the_start() -> None:
    assert lsn(None) == 0
