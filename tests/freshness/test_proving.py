"""From heartbeats to verdicts, poll by poll: each of the nine statuses comes of something that happens."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from console.freshness import cutoffs
from console.freshness.models import Heartbeat, TableSnapshot
from console.freshness.records import CutoffRow, Proof, TableEvent
from console.freshness.watermark import Basis
from console.platform.readings import SuspendedReading
from tests.freshness import made
from tests.freshness.made import CUSTOMERS, ORDERS, TASK
from tests.freshness.story import Story

pytestmark = pytest.mark.django_db


@pytest.fixture
def story(now: datetime) -> Story:
    return Story(now)


def test_while_all_goes_well_it_is_fresh_two_beats_behind_and_the_pages_say_so(story: Story) -> None:
    story.go(5)
    row = story.table()
    assert (row.nine, row.word, row.status, row.steady) == ("FRESH", "fresh", "healthy", True)
    assert row.row_at == story.now - timedelta(seconds=12)  # the beat before the newest one, less two seconds
    assert row.lag_s == 12
    assert json.loads(row.limiting) == {"kind": "task", "id": "shop-cdc", "task": "shop-cdc"}


def test_a_window_that_is_not_complete_is_unknown_and_never_fresh(story: Story) -> None:
    story.go(1)
    assert story.table().nine == "UNKNOWN"
    assert "not been watched for long enough" in story.table().reason


def test_without_heartbeats_a_table_is_judged_by_evidence_alone(now: datetime) -> None:
    made.level(now)
    story = Story(now)
    story.writer_down = True
    story.go(2)
    assert (story.table().followed, story.table().nine) == (False, "")


def test_replication_that_is_paused_stalls_then_breaches_and_catches_up(story: Story) -> None:
    story.go(5)
    story.paused = True
    story.go(1)
    assert story.table().nine == "FRESH"
    story.go(1.5)
    assert story.table().nine == "STALLED"
    proven = story.table().row_at
    story.go(10)
    assert (story.table().nine, story.table().row_at) == ("STALLED", proven)
    story.paused = False
    story.go(steps=1)
    assert story.table().row_at == proven or story.table().nine != "FRESH"
    story.go(3)
    assert story.table().nine == "FRESH"


def test_a_transaction_that_is_held_open_holds_the_rows_back_and_is_named(story: Story) -> None:
    story.go(5)
    story.held_since = story.now
    story.go(7)
    row = story.table()
    assert (row.nine, row.tags) == ("BREACHED", "HELD_BY_TXN")
    assert "batch (pid 4711) has been open at the source since" in row.reason
    limiting = json.loads(row.limiting)
    assert (limiting["kind"], limiting["pid"], limiting["user"]) == ("transaction", 4711, "batch")
    assert row.commit_at is not None
    assert row.commit_at > story.now - timedelta(seconds=20)
    assert story.table(CUSTOMERS).nine != "BREACHED"  # its SLO is longer
    story.held_since = None
    story.go(4)
    assert story.table().nine == "FRESH"


def test_what_holds_the_rows_back_is_named_long_before_the_slo_is_breached(story: Story) -> None:
    story.go(5)
    story.held_since = story.now
    story.go(1)
    row = story.table()
    assert (row.nine, json.loads(row.limiting)["kind"]) == ("FRESH", "transaction")
    story.held_since = None
    story.go(1)
    assert json.loads(story.table().limiting)["kind"] == "task"


def test_prepared_transactions_freeze_the_rows_and_are_counted(story: Story) -> None:
    story.go(5)
    before = story.table().row_at
    story.prepared = 2
    story.go(7)
    row = story.table()
    assert (row.nine, row.tags) == ("BREACHED", "HELD_BY_TXN")
    assert "2\N{NO-BREAK SPACE}prepared transactions" in row.reason
    assert before is not None
    assert row.row_at is not None
    assert row.row_at - before <= timedelta(seconds=10)


def test_prepared_transactions_are_told_beside_an_open_one(story: Story) -> None:
    story.go(5)
    story.prepared, story.held_since = 1, story.now
    story.go(7)
    assert "batch (pid 4711)" in story.table().reason
    assert "beside 1\N{NO-BREAK SPACE}prepared transaction." in story.table().reason


def test_a_missing_grant_withholds_the_row_basis_and_says_why(now: datetime) -> None:
    story = Story(now)
    story.blind = "the console's user console may not see when other sessions' transactions began"
    story.go(5)
    row = story.table()
    assert (row.nine, row.row_at) == ("UNKNOWN", None)
    assert row.commit_at is not None
    assert "may not see" in row.reason


def test_a_writer_that_is_down_is_unprovable_and_not_late(story: Story) -> None:
    story.go(5)
    story.writer_down = True
    story.go(1.5)
    assert (story.table().nine, story.table().status) == ("WRITER_DOWN", "unknown")


def test_a_warehouse_that_does_not_answer_is_unknown(story: Story) -> None:
    story.go(5)
    story.warehouse_down = True
    story.go(1)
    assert (story.table().nine, story.table().lag_s) == ("UNKNOWN", None)
    story.warehouse_down = False
    story.go(1)
    assert story.table().nine == "UNKNOWN"  # the window begins anew
    story.go(2)
    assert story.table().nine == "FRESH"


@pytest.mark.parametrize("status", ["failed", "stopped"])
def test_a_task_that_failed_or_was_stopped_breaks_its_tables_and_what_was_proven_stays(
    story: Story, status: str
) -> None:
    story.go(5)
    before = story.table().row_at
    story.status = status
    story.go(1)
    row = story.table()
    assert (row.nine, row.row_at) == ("BROKEN", before)
    assert f"task shop-cdc is {status}" in row.reason
    story.status, story.started_at = "running", story.now
    story.go(4)
    assert story.table().nine == "FRESH"


def test_a_reload_revokes_what_was_proven_and_proves_anew_only_behind_its_end(story: Story) -> None:
    story.go(5)
    row = story.table()
    assert row.row_at is not None
    cutoff = row.row_at - timedelta(seconds=30)
    cutoffs.proof_of(row, cutoff, Basis.ROW, story.now).save()
    story.reload(2)
    row = story.table()
    assert (row.nine, row.row_at, row.steady) == ("LOADING", None, False)
    assert Proof.objects.get().revoked_at is not None
    event = TableEvent.objects.get(table=ORDERS.name, kind="revoked")
    assert event.text == "The table is loaded anew: 1\N{NO-BREAK SPACE}proof of completeness revoked."
    assert story.table(CUSTOMERS).nine == "FRESH"
    story.go(steps=1)
    assert story.table().nine == "LOADING"  # changes made during its load may still follow
    story.go(4)
    assert (story.table().nine, story.table().era) == ("FRESH", "1.1")


def test_a_suspended_table_is_broken_until_it_is_reloaded(story: Story) -> None:
    story.go(5)
    story.suspended = (SuspendedReading(TASK.name, "public", "orders", story.now),)
    story.go(1)
    assert story.table().nine == "BROKEN"
    assert "DMS suspended it at" in story.table().reason
    assert story.table(CUSTOMERS).nine == "FRESH"
    story.go(1)
    story.reload(1)
    story.go(4)
    assert story.table().nine == "FRESH"


def test_a_new_epoch_breaks_every_table_until_somebody_attests(story: Story) -> None:
    story.go(5)
    proven = story.table().row_at
    story.epoch = 2
    story.go(2)
    row = story.table()
    assert (row.nine, row.row_at, row.steady) == ("BROKEN", proven, False)
    assert "the source began epoch 2 (was 1)" in row.reason
    assert Heartbeat.objects.get().unsettled


def test_an_slo_at_risk_and_catching_up(now: datetime) -> None:
    slow = replace(ORDERS, slo_s=600)
    story = Story(now, [slow])
    story.go(5)
    story.held_since = story.now
    story.go(7)
    assert story.table().nine == "AT_RISK"
    story.held_since += timedelta(seconds=5)
    # It gains: each beat is safe up to twice as far.
    for _ in range(18):
        story.held_since += timedelta(seconds=25)
        story.step()
        if story.table().nine == "CATCHING_UP":
            break
    else:
        raise AssertionError("it never caught up")


def test_cutoffs_are_met_with_a_proof_or_known_to_be_late(story: Story) -> None:
    story.go(5)
    soon = story.now + timedelta(minutes=1)
    for table, minutes in ((ORDERS, 2), (CUSTOMERS, 30)):
        CutoffRow.objects.create(
            table=table.name, at=soon, deadline=soon + timedelta(minutes=minutes), origin=CutoffRow.Origin.API
        )
    story.go(2)
    assert set(CutoffRow.objects.values_list("met_at", flat=True)) == {soon + timedelta(seconds=20)}
    assert Proof.objects.count() == 2
    assert "Complete to" in TableEvent.objects.filter(kind="met", table=ORDERS.name).get().text


def test_a_cutoff_that_will_be_missed_puts_its_table_at_risk_and_is_pending_while_it_is_not_there(
    now: datetime,
) -> None:
    story = Story(now, [replace(ORDERS, slo_s=3600)])
    story.go(5)
    story.held_since = story.now
    cutoff = CutoffRow.objects.create(
        table=ORDERS.name,
        at=story.now + timedelta(minutes=3),
        deadline=story.now + timedelta(minutes=5),
        origin=CutoffRow.Origin.API,
    )
    story.go(16)
    assert story.table().nine == "AT_RISK"
    assert "will not be complete to" in story.table().reason
    cutoff.refresh_from_db()
    assert (cutoff.met_at, cutoff.pending_at) == (None, story.now)


def test_a_table_of_several_tasks_is_as_good_as_the_worst_of_them(now: datetime) -> None:
    both = replace(ORDERS, also=("other",))
    story = Story(now, [both, CUSTOMERS])
    story.go(3)
    assert story.table().followed is False  # the other one's heartbeats are not written
    assert story.table(CUSTOMERS).nine == "FRESH"


def test_the_cost_in_queries_does_not_grow_with_the_tables(now: datetime) -> None:
    def cost(number: int) -> int:
        Heartbeat.objects.all().delete()
        TableSnapshot.objects.all().delete()
        story = Story(now, [made.table(f"t{index}") for index in range(number)])
        story.go(5)
        with CaptureQueriesContext(
            connection,
        ) as found:
            story.poll()
        return len(found)

    assert cost(2) == cost(60)
