"""The census is what counting the workers says; where it can't be trusted they are counted."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from console.accounts.roles import Role
from console.fleets import census
from console.fleets.facts import Sights
from console.fleets.figures import totals
from console.fleets.judge import judge
from console.fleets.models import Census, Watch, Worker
from console.fleets.rules import State
from console.fleets.sources import JUDGED
from console.platform.models import remember_success
from tests.api.asking import user_of
from tests.explained import blocks
from tests.fleets.making import ago, seen, unseen, worker

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def all_seen(now: datetime) -> None:
    seen(now)
    Watch.objects.create(id=1, listening_since=ago(now, 7200))


def add(number: int, now: datetime, **fields: object) -> None:
    known = Worker.objects.count()
    Worker.objects.bulk_create(worker(f"celery@w{known + each}", now, **fields) for each in range(number))  # type: ignore[arg-type]


def judged(now: datetime) -> None:
    """As the task does it: the judgement, and the note that it was made."""
    judge(now)
    remember_success(JUDGED.name, now, 0.1)


def counted(queue: str) -> Counter[tuple[str, str, str]]:
    rows = Worker.objects.serving(queue) if queue else Worker.objects.listed()
    return Counter(rows.values_list("zone", "version", "state"))


def told(queue: str, now: datetime) -> Counter[tuple[str, str, str]]:
    return Counter({tally[:3]: tally.workers for tally in census.of_queue(queue, Sights.at(now))})


def test_it_is_what_counting_says(now: datetime) -> None:
    add(3, now, zone="a", version="r1")
    add(2, now, zone="b", version="r2", consumes=["cpu", "io"], serves=["cpu", "io"])
    add(1, now, queue="io", zone="", state=State.LOST, seen_at=ago(now, 3000))
    for step in range(4):
        judged(now)
        for queue in ("", "cpu", "io", "none"):
            assert told(queue, now) == counted(queue), (step, queue)
        everything = totals(Sights.at(now))
        states = Counter(Worker.objects.listed().values_list("state", flat=True))
        assert everything.in_service == states["in_service"], "one that serves two queues counts once"
        assert everything.slots == 2 * states["in_service"]
        now += timedelta(seconds=2)
        if step == 0:
            Worker.objects.filter(node="celery@w0").update(goodbye_at=now, zone="c")
        elif step == 1:
            Worker.objects.filter(serves__contains=["io"]).delete()
        elif step == 2:
            Worker.objects.all().delete()
    assert list(Census.objects.values_list("queue", "counts")) == [("", [])]


def test_a_page_reads_the_census_of_the_last_judgement(now: datetime) -> None:
    add(3, now)
    judged(now)
    before = told("cpu", now)
    Worker.objects.filter(node="celery@w0").update(zone="moved")
    assert told("cpu", now) == before
    judged(now + timedelta(seconds=2))
    assert told("cpu", now + timedelta(seconds=2)) == counted("cpu") != before


def test_what_a_console_of_the_version_before_judged_is_counted(now: datetime) -> None:
    add(3, now)
    judged(now)
    Worker.objects.filter(node="celery@w0").update(zone="moved")
    remember_success(JUDGED.name, now + timedelta(seconds=2), 0.1)  # it takes no census
    later = now + timedelta(seconds=2)
    assert told("cpu", later) == counted("cpu")
    assert totals(Sights.at(later)).in_service == 3


def test_what_nobody_judges_any_more_is_counted(now: datetime) -> None:
    add(3, now)
    judged(now)
    Worker.objects.filter(node="celery@w0").update(zone="moved")
    unseen(now, JUDGED)
    assert told("cpu", now) == counted("cpu")


@pytest.mark.parametrize("path", ["/", "/fleets/", "/fleets/cpu/"])
def test_a_page_reads_no_more_of_a_large_fleet(client: Client, path: str) -> None:
    client.force_login(user_of(Role.VIEWER))
    found = []
    for number in (60, 1500):
        now = timezone.now()
        seen(now)
        add(number, now)
        judged(now)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE fleets_worker")
        found.append(blocks(client, path, "fleets_worker") + blocks(client, path, "fleets_census"))
    few, many = found
    assert 0 < many <= few + 15
