"""Table statistics in DMS' words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from console.sandbox.aws.services import page
from console.sandbox.replication.ledger import Changes, Standing
from console.sandbox.replication.tables import Load, state_of, statistics

NOW = datetime(2026, 11, 22, 3, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("i", "Before load"), ("d", "Full load"), ("f", "Full load"), ("s", "Full load"),
        ("r", "Table completed"), ("", "Table does not exist"),
    ],
)  # fmt: skip
def test_the_state_of_a_table(state: str, words: str) -> None:
    assert state_of(Load(state)) == words


def test_a_row_counts_what_was_read_and_what_was_applied() -> None:
    standing = Standing(
        read={"public.orders": Changes(5, 4, 3)}, applied={"public.orders": Changes(2, 1, 0)}, through=9
    )
    load = Load("r", rows=200, started_at=NOW - timedelta(minutes=2), ended_at=NOW - timedelta(minutes=1))
    row = statistics("public.orders", load, standing, NOW)
    assert (row["SchemaName"], row["TableName"]) == ("public", "orders")
    assert (row["Inserts"], row["Updates"], row["Deletes"]) == (5, 4, 3)
    assert (row["AppliedInserts"], row["AppliedUpdates"], row["AppliedDeletes"]) == (2, 1, 0)
    assert row["FullLoadRows"] == 200
    assert row["FullLoadEndTime"] - row["FullLoadStartTime"] == 60
    assert row["LastUpdateTime"] == NOW.timestamp()


def test_a_table_that_was_never_loaded_has_no_load_times() -> None:
    row = statistics("public.orders", Load(), Standing({}, {}, 0), NOW)
    assert "FullLoadStartTime" not in row
    assert row["Inserts"] == 0


def test_pages_follow_the_marker_to_the_end() -> None:
    rows = [{"SchemaName": "public", "TableName": f"t{number}"} for number in range(45)]
    seen: list[str] = []
    marker = ""
    while True:
        answer = page(rows, [], 20, marker)
        seen += [row["TableName"] for row in answer["TableStatistics"]]
        marker = answer.get("Marker", "")
        if not marker:
            break
    assert seen == [f"t{number}" for number in range(45)]


def test_filters_choose_tables() -> None:
    rows = [{"SchemaName": "public", "TableName": name} for name in ("a", "b")]
    answer = page(rows, [{"Name": "table-name", "Values": ["b"]}], 100, "")
    assert [row["TableName"] for row in answer["TableStatistics"]] == ["b"]
