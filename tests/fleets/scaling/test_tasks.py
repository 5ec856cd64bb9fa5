"""The tasks: what they ask of the platform, and what they leave behind."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from console.fleets.models import FleetBill, ScalingDecision, ScheduledDag, WaitHour
from console.fleets.scaling import tasks
from console.fleets.sources import SCALED, SCHEDULES
from console.platform import connect
from console.platform.models import Source
from console.platform.readings import TaskInstance, UpcomingRun
from tests.fleets.making import ago, task
from tests.fleets.scaling.test_deciding import fleet

pytestmark = pytest.mark.django_db


def test_a_decision_is_made_and_its_source_has_an_age() -> None:
    fleet(timezone.now(), busy=(1, 1))
    tasks.decide()
    assert ScalingDecision.objects.get().queue == "cpu"
    assert Source.objects.sights(timezone.now(), (SCALED,))[SCALED.name].seen


def test_schedules_and_waits_are_read_from_where_the_last_reading_began(monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    asked: list[datetime] = []

    class Airflow:
        def upcoming(self, *, limit: int) -> tuple[UpcomingRun, ...]:
            return (UpcomingRun("nightly", now + timedelta(hours=1)),)

        def started(self, since: datetime, *, limit: int) -> tuple[TaskInstance, ...]:
            asked.append(since)
            early = task("d", "t", queue="cpu", queued_at=ago(now, 60), started_at=ago(now, 30))
            return (early, task("d", "t", queue="cpu", queued_at=now, started_at=now + timedelta(minutes=5)))

    monkeypatch.setattr(connect, "airflow", Airflow)
    tasks.poll_schedules()
    tasks.poll_schedules()
    assert asked[1] > asked[0] + timedelta(seconds=50)
    assert ScheduledDag.objects.get().dag_id == "nightly"
    assert sum(WaitHour.objects.get().counts) == 2  # one each time; what started later is left to the next reading
    assert Source.objects.sights(timezone.now(), (SCHEDULES,))[SCHEDULES.name].seen


def test_bills_are_made_of_every_declared_fleet() -> None:
    tasks.price()
    tasks.price()
    assert FleetBill.objects.count() == 6


def test_without_a_queue_of_terminations_and_without_mode_publish_nothing_is_asked() -> None:
    tasks.poll_notices()
    tasks.publish()
    assert not Source.objects.filter(name__startswith="aws.").exists()
