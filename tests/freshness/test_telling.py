"""Asset events: Airflow is told of a met cutoff exactly once, whatever is lost on the way; over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import TransactionTestCase
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.freshness import cutoffs, telling
from console.freshness.asking import Question, ask
from console.freshness.records import AssetNews, CutoffRow, TableEvent
from console.freshness.watermark import Basis
from console.platform.airflow import Airflow
from console.platform.declared.cutoffs import parse
from tests.freshness import made
from tests.freshness.made import CUSTOMERS, ORDERS
from tests.freshness.story import Story
from tests.platform import fake_airflow as faults
from tests.platform.conftest import declared_airflow
from tests.platform.fake_airflow import FakeAirflow

ASSET, URI = "shop-day", "warehouse://shop/day"
EVENTS = "/api/v2/assets/events"


@pytest.fixture
def fake() -> Iterator[FakeAirflow]:
    server = FakeAirflow()
    server.asset(f"{ASSET}-of-another", f"{URI}-of-another")
    server.asset(ASSET, URI)
    yield server
    server.close()


@pytest.fixture
def airflow(fake: FakeAirflow) -> Airflow:
    return Airflow(declared_airflow(fake.url), poll_s=2)


def news(now: datetime, asset: str = ASSET) -> AssetNews:
    cutoff = datetime(2026, 11, 22, tzinfo=UTC)
    return AssetNews.objects.create(
        asset=asset, cutoff=cutoff, tables='["shop.public.orders"]', created_at=now, next_at=now
    )


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def later(self, **much: float) -> None:
        self.now += timedelta(**much)


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


def test_a_calendar_names_an_asset_by_name_or_uri() -> None:
    found = parse(f"every day 00:00 America/New_York, due by 02:30, asset {URI}")
    assert (found.asset, found.zone, found.text.endswith(URI)) == (URI, "America/New_York", True)
    assert parse("every 5 minutes, due within 2 minutes, asset shop-day").asset == ASSET
    assert parse("every 5 minutes, due within 2 minutes").asset == ""
    for bad in ("every 5 minutes, due within 2 minutes, asset two words", "every 5 minutes, asset x"):
        with pytest.raises(ValueError, match="no calendar"):
            parse(bad)


@pytest.mark.django_db
def test_it_is_noted_once_all_tables_that_declare_the_asset_have_met_the_cutoff(now: datetime) -> None:
    calendar = parse("every 5 minutes, due within 3 minutes, asset shop-day")
    tables = [replace(ORDERS, cutoffs=(calendar,)), replace(CUSTOMERS, cutoffs=(calendar,))]
    story = Story(now)
    story.go(5)
    cutoffs.plan(made.declared(tables), story.now)
    first = CutoffRow.objects.earliest("at").at
    assert set(CutoffRow.objects.values_list("asset", flat=True)) == {ASSET}
    story.states[CUSTOMERS.name] = "Table error"
    while story.now < first + timedelta(minutes=1):
        story.step()
    assert CutoffRow.objects.get(table=ORDERS.name, at=first).met_at is not None
    assert not AssetNews.objects.exists()  # customers are not there
    story.states[CUSTOMERS.name], story.loaded_at[CUSTOMERS.name] = "Table completed", story.now  # reloaded
    story.go(3)
    (found,) = AssetNews.objects.filter(cutoff=first)
    assert (found.asset, found.tables) == (ASSET, f'["{CUSTOMERS.name}", "{ORDERS.name}"]')
    story.go(1)
    assert AssetNews.objects.filter(cutoff=first).count() == 1


@pytest.mark.django_db
def test_without_an_asset_nothing_is_asked_or_noted(story_met: list[CutoffRow], now: datetime) -> None:
    with CaptureNothing():
        telling.note(story_met, now)


@pytest.fixture
def story_met(now: datetime) -> list[CutoffRow]:
    return [CutoffRow(table=ORDERS.name, at=now, deadline=now, met_at=now)]


class CaptureNothing:
    def __enter__(self) -> None:
        self.before = len(connection.queries_log)
        connection.force_debug_cursor = True

    def __exit__(self, *_: object) -> None:
        connection.force_debug_cursor = False
        assert len(connection.queries_log) == self.before


@pytest.mark.django_db
def test_a_calendar_that_gets_an_asset_later_gives_it_to_the_cutoffs_that_are_written_down(now: datetime) -> None:
    plain, named = (
        replace(ORDERS, cutoffs=(parse(f"every day 00:00 UTC, due by 02:30{more}"),)) for more in ("", f", asset {URI}")
    )
    cutoffs.plan(made.declared([plain]), now)
    row = CutoffRow.objects.get()
    CutoffRow.objects.update(origin=CutoffRow.Origin.API, deadline=row.deadline + timedelta(minutes=1), dag_id="mine")
    cutoffs.plan(made.declared([named]), now)
    found = CutoffRow.objects.get()
    assert (found.asset, found.origin, found.dag_id) == (URI, "api", "mine")
    assert found.deadline == row.deadline + timedelta(minutes=1)
    assert cutoffs.plan(made.declared([named]), now) == 0


@pytest.mark.django_db
@pytest.mark.parametrize("asset", [ASSET, URI])
def test_airflow_is_told_once_and_the_table_remembers_it(
    fake: FakeAirflow, airflow: Airflow, clock: Clock, asset: str
) -> None:
    row = news(clock.now, asset)
    assert telling.send(lambda: airflow, clock) == 1
    clock.later(hours=1)
    assert telling.send(lambda: airflow, clock) == 0
    (event,) = fake.events
    assert (event["asset_id"], event["extra"]["quarterdeck"]) == (2, f"{asset}@2026-11-22T00:00:00Z")
    assert event["extra"]["tables"] == ["shop.public.orders"]
    row.refresh_from_db()
    assert (row.event_id, row.error) == (event["id"], "")
    assert f"event {event['id']}" in TableEvent.objects.get(kind="asset", table="shop.public.orders").text


@pytest.mark.django_db
def test_an_event_whose_answer_was_lost_is_found_and_not_made_again(
    fake: FakeAirflow, airflow: Airflow, clock: Clock
) -> None:
    row = news(clock.now)
    fake.fail(EVENTS, faults.done_and_lost(fake), times=1)
    assert telling.send(lambda: airflow, clock) == 0
    row.refresh_from_db()
    assert row.sent_at is None
    assert row.error
    clock.later(seconds=30)
    assert telling.send(lambda: airflow, clock) == 1
    assert len(fake.events) == 1
    row.refresh_from_db()
    assert row.event_id == fake.events[0]["id"]


@pytest.mark.django_db
def test_a_request_that_may_still_be_under_way_is_waited_for_before_another_one(
    fake: FakeAirflow, airflow: Airflow, clock: Clock
) -> None:
    row = news(clock.now)
    posts = fake.calls
    fake.fail(EVENTS, faults.status(502), times=1)
    telling.send(lambda: airflow, clock)
    clock.later(seconds=31)
    telling.send(lambda: airflow, clock)  # not in Airflow's list: it may come yet
    assert fake.events == []
    clock.later(seconds=31)
    assert telling.send(lambda: airflow, clock) == 0  # a minute after it was sent, half of one after the look
    clock.later(seconds=31)
    assert telling.send(lambda: airflow, clock) == 1
    assert len(fake.events) == 1
    row.refresh_from_db()
    assert row.attempts == 3
    assert posts[EVENTS] == 4  # lost, looked, looked, told


@pytest.mark.django_db
def test_a_server_that_hung_for_long_may_do_it_late(fake: FakeAirflow, airflow: Airflow, clock: Clock) -> None:
    """It took the request, hung for ten minutes, and does it right after it has answered the next question."""
    row = news(clock.now)
    fake.fail(EVENTS, faults.hang_up, times=1)
    telling.send(lambda: airflow, clock)
    clock.later(minutes=10)
    assert telling.send(lambda: airflow, clock) == 0
    assert fake.events == []
    fake.happened({"asset_id": 2, "extra": telling.extra(row)})
    clock.later(minutes=2)
    assert telling.send(lambda: airflow, clock) == 1
    row.refresh_from_db()
    assert [event["id"] for event in fake.events] == [row.event_id]


@pytest.mark.django_db
def test_a_worker_that_was_killed_in_a_call_leaves_it_to_the_next_one(
    fake: FakeAirflow, airflow: Airflow, clock: Clock
) -> None:
    """Its claim and that a call began are saved; whether Airflow took it is not known."""
    for done in (True, False):
        AssetNews.objects.all().delete()
        fake.events.clear()
        row = news(clock.now)
        mine = telling._claim(clock.now)
        assert mine is not None
        telling._mine(mine).update(tried_at=clock.now)
        if done:
            fake.happened({"asset_id": 2, "extra": telling.extra(row)})
        clock.later(seconds=91)
        assert telling.send(lambda: airflow, clock) == done
        row.refresh_from_db()
        assert (row.error == "") is done
        clock.later(seconds=61)
        telling.send(lambda: airflow, clock)
        row.refresh_from_db()
        assert [event["id"] for event in fake.events] == [row.event_id]
        assert row.error == ""


@pytest.mark.django_db
def test_while_airflow_is_away_it_is_tried_less_and_less_often_and_told_when_it_is_back(clock: Clock) -> None:
    away = FakeAirflow()
    airflow = Airflow(declared_airflow(away.url), poll_s=2)
    away.close()
    row, tried, began = news(clock.now), [], clock.now
    for _ in range(120):
        before = AssetNews.objects.get().attempts
        telling.send(lambda: airflow, clock)
        if AssetNews.objects.get().attempts > before:
            tried.append((clock.now - began).total_seconds())
        clock.later(seconds=5)
    assert tried == [0, 10, 40, 100, 400]
    row.refresh_from_db()
    assert "nothing answers at" in row.error
    assert row.remedy
    back = FakeAirflow()
    back.asset(ASSET, URI)
    clock.later(minutes=5)
    assert telling.send(lambda: Airflow(declared_airflow(back.url), poll_s=2), clock) == 1
    assert len(back.events) == 1
    back.close()


@pytest.mark.django_db
def test_an_asset_that_is_gone_when_it_is_told_is_no_riddle(fake: FakeAirflow, airflow: Airflow, clock: Clock) -> None:
    """Its last DAG was removed between the look and the call."""
    row = news(clock.now)
    fake.fail(EVENTS, faults.status(404), times=1)
    assert telling.send(lambda: airflow, clock) == 0
    row.refresh_from_db()
    assert "no active asset" in row.error
    assert "A DAG must name it" in row.remedy
    clock.later(minutes=1)
    assert telling.send(lambda: airflow, clock) == 1
    assert len(fake.events) == 1


@pytest.mark.django_db
def test_an_event_holds_the_proofs_that_the_check_gives_and_none_that_was_revoked(now: datetime) -> None:
    calendar = parse("every 5 minutes, due within 3 minutes, asset shop-day")
    story = Story(now, [replace(ORDERS, cutoffs=(calendar,)), replace(CUSTOMERS, cutoffs=(calendar,))])
    story.go(5)
    cutoffs.plan(made.declared(story.tables), story.now)
    first = CutoffRow.objects.earliest("at").at
    while not AssetNews.objects.exists():
        story.step()
    told = telling.extra(AssetNews.objects.get(cutoff=first))
    questions = [Question("", table.name, first) for table in story.tables]
    _, answers = ask(questions, Basis.ROW, story.now)
    assert told["proofs"] == {each.question.table: each.proof_id for each in answers}
    assert all(isinstance(proof, str) and proof for proof in told["proofs"].values())
    story.reload(1)
    story.go(2)
    assert set(telling.extra(AssetNews.objects.get(cutoff=first))["proofs"]) == {CUSTOMERS.name}


@pytest.mark.django_db
def test_an_asset_that_airflow_does_not_know_is_named_and_told_once_it_is_there(
    fake: FakeAirflow, airflow: Airflow, clock: Clock
) -> None:
    row = news(clock.now, "shop-week")
    telling.send(lambda: airflow, clock)
    row.refresh_from_db()
    assert "no active asset of the name or URI shop-week" in row.error
    assert "A DAG must name it" in row.remedy
    fake.asset("shop-week", "warehouse://shop/week")
    clock.later(minutes=5)
    assert telling.send(lambda: airflow, clock) == 1
    assert row.tried_at is None


@pytest.mark.django_db
@pytest.mark.parametrize(("code", "says"), [(403, "make asset events"), (422, "422")])
def test_what_airflow_says_against_it_is_remembered_and_it_is_tried_again(
    fake: FakeAirflow, airflow: Airflow, clock: Clock, code: int, says: str
) -> None:
    row = news(clock.now)
    fake.fail(EVENTS, faults.status(code), times=1)
    assert telling.send(lambda: airflow, clock) == 0
    row.refresh_from_db()
    assert says in row.error
    assert fake.events == []
    clock.later(minutes=2)
    assert telling.send(lambda: airflow, clock) == 1


@pytest.mark.django_db
def test_airflow_2_has_no_assets(clock: Clock) -> None:
    old = FakeAirflow("2.11.0")
    row = news(clock.now)
    telling.send(lambda: Airflow(declared_airflow(old.url), poll_s=2), clock)
    row.refresh_from_db()
    assert "Airflow 2 has no assets" in row.error
    old.close()


@pytest.mark.django_db
def test_a_process_that_was_taken_over_neither_calls_nor_notes(
    fake: FakeAirflow, airflow: Airflow, clock: Clock
) -> None:
    """Claimed by one that hangs; a second one tells; the first comes back."""
    row = news(clock.now)
    slow = telling._claim(clock.now)
    assert slow is not None
    assert telling.send(lambda: airflow, clock) == 0  # it is the first one's
    clock.later(seconds=91)
    assert telling.send(lambda: airflow, clock) == 1
    assert telling._tell(slow, lambda: airflow, clock) is False
    assert len(fake.events) == 1
    row.refresh_from_db()
    assert row.event_id == fake.events[0]["id"]


@pytest.mark.django_db
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["lost", "garbled", "502", "refused", "wait"]), max_size=6))
def test_whatever_goes_wrong_there_is_one_event_in_the_end(
    fake: FakeAirflow, airflow: Airflow, clock: Clock, ways: list[str]
) -> None:
    AssetNews.objects.all().delete()
    fake.events.clear()
    news(clock.now)
    kinds = {
        "lost": faults.done_and_lost(fake),
        "garbled": faults.done_and_lost(fake, faults.html),
        "502": faults.status(502),
        "refused": faults.status(403),
    }
    for way in ways:
        fake.faults[EVENTS] = [kinds[way]] if way in kinds else []
        telling.send(lambda: airflow, clock)
        clock.later(seconds=20)
    fake.faults.clear()
    for _ in range(4):
        clock.later(minutes=6)
        telling.send(lambda: airflow, clock)
    assert len(fake.events) == 1
    assert AssetNews.objects.get().event_id == fake.events[0]["id"]


class TwoWorkers(TransactionTestCase):
    def test_many_processes_at_once_make_one_event(self) -> None:
        fake = FakeAirflow()
        fake.asset(ASSET, URI)
        now = datetime.now(UTC)
        news(now)
        told: list[int] = []
        gate = threading.Barrier(6)

        def work() -> None:
            try:
                airflow = Airflow(declared_airflow(fake.url), poll_s=5)
                gate.wait()
                told.append(telling.send(lambda: airflow, lambda: datetime.now(UTC)))
            finally:
                connection.close()

        workers = [threading.Thread(target=work) for _ in range(6)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        fake.close()
        assert sorted(told) == [0, 0, 0, 0, 0, 1]
        assert len(fake.events) == 1
