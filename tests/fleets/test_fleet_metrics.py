from __future__ import annotations

import time

import pytest
from django.utils import timezone

from console.fleets.metrics import collect
from console.fleets.models import QueueSnapshot
from console.lib.metrics import exposition
from console.platform.sources import HEARTBEATS, TASKS, WORKERS
from tests.fleets import story
from tests.fleets.making import unseen

pytestmark = pytest.mark.django_db


def text() -> str:
    return exposition(timezone.now()).decode()


def test_a_declared_queue_has_its_figures() -> None:
    story.tell(timezone.now())
    found = text()
    assert 'quarterdeck_fleet_outstanding{queue="cpu"} 41.0' in found
    assert 'quarterdeck_fleet_workers{queue="io",state="lost"} 1.0' in found
    assert 'quarterdeck_fleets_workers{state="in_service"} 9.0' in found


def test_an_undeclared_queue_has_no_label_of_its_own() -> None:
    now = timezone.now()
    story.tell(now)
    few = text().count("\n")
    QueueSnapshot.objects.bulk_create(
        [QueueSnapshot(queue=f"adhoc-{i}", first_seen_at=now, seen_at=now, queued=1) for i in range(10_000)]
    )
    assert text().count("\n") == few
    assert "adhoc" not in text()
    assert "quarterdeck_fleets_outstanding 10042.0" in text()


def test_what_cannot_be_seen_has_no_sample() -> None:
    now = timezone.now()
    story.tell(now)
    unseen(now, TASKS, HEARTBEATS, WORKERS)
    names = {sample.name for metric in collect(now) for sample in metric.samples}
    assert not names & {"quarterdeck_fleet_outstanding", "quarterdeck_fleet_workers", "quarterdeck_watch_lag_seconds"}
    assert 'quarterdeck_fleet_status{queue="cpu",status="unknown"} 1.0' in text()


def test_ten_thousand_queues_are_told_quickly() -> None:
    now = timezone.now()
    story.tell(now)
    QueueSnapshot.objects.bulk_create(
        [QueueSnapshot(queue=f"adhoc-{i}", first_seen_at=now, seen_at=now, queued=1) for i in range(10_000)]
    )
    began_s = time.monotonic()
    list(collect(now))
    assert time.monotonic() - began_s < 0.5  # 0.05 on an idle machine
