"""What the lists begin with is what the tables say at that moment, whoever wrote them and however."""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.accounts.models import User
from console.freshness import judge
from console.freshness.listed import HEAD, Listed, between, of_names, summed
from console.freshness.models import Summary, TableSnapshot, of
from console.freshness.pages import PAGE_SIZE, freshness_page, freshness_summary
from console.freshness.poll import sync
from console.lib.status import Status
from tests.explained import blocks
from tests.freshness import made
from tests.freshness.story import Story

NAMES = [f"t{number}" for number in range(9)]
SEVERITIES = [(status.value, severity) for status, severity in judge.SEVERITY.items()]


def is_exact() -> bool:
    found = summed()
    counted = Counter((row.task, Status(row.status)) for row in TableSnapshot.objects.all())
    worst = TableSnapshot.objects.worst_first().values_list("name", flat=True)
    slowest = TableSnapshot.objects.order_by(F("lag_s").desc(nulls_last=True), "name").values_list("name", flat=True)
    return found == (counted, tuple(worst[:HEAD]), tuple(slowest[:HEAD]))


def declared(names: list[str], task: str) -> None:
    sync(made.declared([replace(made.table(name), task=task) for name in names]))


def execute(statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def change(rows: list[TableSnapshot], verdict: tuple[str, int], pressure: float | None, task: str) -> None:
    for row in rows:
        (row.status, row.severity), row.pressure, row.task = verdict, pressure, task
        row.lag_s = None if pressure is None else 10 - pressure


class Writes:
    """Every way in which rows are written."""

    def declare(self, names: list[str], task: str, **_: Any) -> None:
        declared(names, task)

    def poll(self, names: list[str], **drawn: Any) -> None:
        rows = list(TableSnapshot.objects.filter(name__in=names))
        change(rows, **drawn)
        judge.write(rows, ["task"], judge.VERDICT)

    def create(self, names: list[str], **drawn: Any) -> None:
        rows = [of(made.table(name)) for name in names]
        change(rows, **drawn)
        TableSnapshot.objects.bulk_create(rows, ignore_conflicts=True)

    def save(self, names: list[str], **drawn: Any) -> None:
        for row in TableSnapshot.objects.filter(name__in=names):
            change([row], **drawn)
            row.save()

    def update(self, names: list[str], verdict: tuple[str, int], pressure: float | None, task: str) -> None:
        found = TableSnapshot.objects.filter(name__in=names)
        found.update(status=verdict[0], severity=verdict[1])
        found.update(pressure=pressure)
        found.update(lag_s=pressure)
        found.update(task=task)

    def delete(self, names: list[str], **_: Any) -> None:
        TableSnapshot.objects.filter(name__in=names).delete()

    def rename(self, names: list[str], **_: Any) -> None:
        execute("UPDATE freshness_tablesnapshot SET name = name || '.old' WHERE name = ANY(%s)", names)

    def truncate(self, **_: Any) -> None:
        execute("TRUNCATE freshness_tablesnapshot")

    def take_back(self, names: list[str], **_: Any) -> None:
        with transaction.atomic():
            TableSnapshot.objects.filter(name__in=names).delete()
            transaction.set_rollback(True)


KINDS = [name for name in vars(Writes) if not name.startswith("_")]


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.fixed_dictionaries(
            {
                "kind": st.sampled_from(KINDS),
                "names": st.lists(st.sampled_from([f"shop.public.{name}" for name in NAMES]), unique=True),
                "verdict": st.sampled_from(SEVERITIES),
                "pressure": st.none() | st.sampled_from([0.0, 0.5, 1.5]),
                "task": st.sampled_from(["shop-cdc", "shop-archive"]),
            }
        ),
        min_size=1,
        max_size=12,
    )
)
def test_it_is_exact_after_every_kind_of_writing(steps: list[dict[str, Any]]) -> None:
    writes = Writes()
    for step in steps:
        kind = step["kind"]
        drawn = {name: step[name] for name in ("verdict", "pressure", "task")}
        names = step["names"] if kind != "declare" else [name.rsplit(".", 1)[-1] for name in step["names"]]
        getattr(writes, kind)(names=names, **drawn)
        assert is_exact(), kind


@pytest.mark.django_db
def test_it_is_exact_through_a_story_of_more_tables_than_a_page_has() -> None:
    story = Story(timezone.now(), [made.table(f"t{number:03}") for number in range(HEAD + 30)])
    assert is_exact()
    for minutes, name, value in ((2, "paused", True), (4, "paused", False), (2, "status", "failed")):
        setattr(story, name, value)
        story.go(minutes)
        assert is_exact()
    assert len(summed().worst) == HEAD == PAGE_SIZE
    page, line = freshness_page(story.now, {}), freshness_summary(story.now)
    assert [table.row.name for table in page.tables] == list(summed().worst)
    by_lag = freshness_page(story.now, {"sort": "-lag"})
    assert [table.row.name for table in by_lag.tables] == list(summed().slowest)
    assert by_lag.worst == page.worst
    assert page.found.failing == line.failing == HEAD + 30
    assert [row.name for row in line.worst] == list(summed().worst[:3])


@pytest.mark.django_db
def test_a_wrong_one_does_not_outlive_the_next_poll() -> None:
    story = Story(timezone.now()).go(2)
    Summary.objects.update(tally=[["shop-cdc", "failing", 7]], worst=["nobody"])
    assert not is_exact()
    assert freshness_page(story.now, {}).tables == ()  # a name that is not declared any more is no row
    story.step()
    assert is_exact()
    Summary.objects.all().delete()
    assert summed() == ({}, (), ())
    story.step()
    assert is_exact()


@pytest.mark.django_db(transaction=True)
def test_two_who_write_at_once_count_each_others_rows() -> None:
    declared(NAMES, "shop-cdc")
    first_wrote, second_ended = threading.Event(), threading.Event()

    def second() -> None:
        try:
            first_wrote.wait(10)
            TableSnapshot.objects.filter(name__endswith="t2").update(status="failing", severity=3)
        finally:
            connection.close()
            second_ended.set()

    other = threading.Thread(target=second)
    other.start()
    with transaction.atomic():
        TableSnapshot.objects.filter(name__endswith="t1").update(status="failing", severity=3)
        first_wrote.set()
        assert not second_ended.wait(0.5)  # it waits, and holds no row meanwhile
        TableSnapshot.objects.filter(name__endswith="t2").update(task="shop-archive")
    other.join(10)
    assert summed().tally[("shop-archive", Status.FAILING)] == 1
    assert is_exact()


def test_the_triggers_wait_for_the_polls() -> None:
    first = import_module("console.freshness.migrations.0011_summary")
    newest = import_module("console.freshness.migrations.0012_slowest")
    for text in (first.LOCK, first.UNDO, newest.LOCK):
        assert f"pg_advisory_xact_lock({judge._LOCK})" in text
    assert re.findall(r"LIMIT (\d+)", newest.COUNT + newest.SLOWEST) == [str(HEAD)] * 2


@pytest.mark.django_db
def test_a_line_has_what_the_model_has(now: datetime) -> None:
    Story(now, [made.table(f"t{number}") for number in range(5)]).go(3)
    ordered = TableSnapshot.objects.order_by("-name")
    found = between(ordered, 1, 4)
    assert [tuple(getattr(row, name) for name in Listed._fields) for row in ordered[1:4]] == found
    assert of_names([]) == []


@pytest.mark.django_db
def test_the_first_page_reads_its_own_tables_only(client: Client) -> None:
    client.force_login(User.objects.create_user(username="vera", password="correct-horse-battery"))
    Story(timezone.now() - timedelta(minutes=1), [made.table(f"t{n:04}") for n in range(1_500)]).go(1)
    execute("ANALYZE freshness_tablesnapshot")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size('freshness_tablesnapshot') / 8192")
        [whole] = cursor.fetchone()
    assert blocks(client, "/freshness/", "freshness_tablesnapshot") < whole / 2
    assert blocks(client, "/freshness/?sort=-lag", "freshness_tablesnapshot") < whole / 2
    assert blocks(client, "/freshness/?sort=lag", "freshness_tablesnapshot") > whole  # the measure sees a scan
