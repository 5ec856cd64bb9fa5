from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from console.fleets.charts import capacity_chart
from console.fleets.record import record
from console.history import series
from console.platform.sources import HEARTBEATS, WORKERS
from tests.fleets import story
from tests.fleets.making import unseen

pytestmark = pytest.mark.django_db


def test_a_fleets_figures_become_points_and_what_is_unseen_a_gap() -> None:
    now = timezone.now()
    story.tell(now)
    record(now)
    names = ["fleet.cpu.outstanding", "fleet.cpu.running", "fleet.cpu.slots", "fleet.cpu.workers_in_service"]
    latest = series.latest(names, now + timedelta(seconds=1))
    assert [latest[name].value for name in names] == [41, 8, 8, 4]
    unseen(now, WORKERS, HEARTBEATS)
    later = now + timedelta(seconds=3)
    record(later + timedelta(seconds=15))
    assert "fleet.cpu.slots" in series.latest(names, now + timedelta(seconds=1))


def test_the_chart_has_what_waits_what_runs_and_the_slots() -> None:
    now = timezone.now()
    story.tell(now)
    record(now)
    chart = capacity_chart("cpu", "1h", now + timedelta(minutes=2), small=False)
    assert [line["label"] for line in chart["series"]] == ["running", "slots", "outstanding"]
    assert 41 in chart["series"][2]["values"]
    assert None in chart["series"][2]["values"]
    assert [line["y"] for line in chart["lines"]] == [8, 4]
    assert "lines" not in capacity_chart("cpu", "24h", now, small=True)
