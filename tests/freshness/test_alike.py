"""Tables that are alike are judged once, and each as if it were alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from console.freshness import follow, proving
from console.freshness.judge import VERDICT
from console.freshness.models import Heartbeat, TableSnapshot
from console.freshness.records import CutoffRow
from console.platform.readings import SuspendedReading
from tests.freshness import made
from tests.freshness.story import Story

pytestmark = pytest.mark.django_db

TABLES = 24


class Forgetful(dict[Any, Any]):
    """A memory in which nothing is found."""

    def get(self, key: Any, default: Any = None) -> Any:
        return default


def lived(now: datetime) -> dict[str, dict[str, Any]]:
    """Broken, loading, suspended and held tables, with SLOs, lateness, loads and cutoffs of their own: what is kept."""
    for model in (TableSnapshot, CutoffRow, Heartbeat):
        model.objects.all().delete()
    tables = [replace(made.table(f"t{n:02}", 60 if n % 3 else 300), allowed_lateness_s=n % 2) for n in range(TABLES)]
    story = Story(now, tables)
    at = now + timedelta(minutes=8)
    for n, table in enumerate(tables):
        story.loaded_at[table.name] = now - timedelta(hours=1, seconds=n)
        if n % 4 == 1:
            deadline = at + timedelta(seconds=20)
            CutoffRow.objects.create(table=table.name, at=at, deadline=deadline, origin="api")
    story.go(3)
    for n, state in ((4, "Table error"), (5, "Table error"), (6, "Table is being reloaded"), (7, "Full load")):
        story.states[tables[n].name] = state
    story.suspended = (SuspendedReading("shop-cdc", "public", "t09", story.now),)
    story.held_since = story.now
    story.go(4)
    rows = TableSnapshot.objects.values("name", *proving._PROVEN, *VERDICT)
    return {row["name"]: {**row, "generation": 0} for row in rows}


def test_it_is_as_if_each_were_alone(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    together = lived(now)
    begin = follow.Judge.__init__

    def alone(self: follow.Judge, *rest: Any) -> None:
        begin(self, *rest)
        self._found = Forgetful()

    monkeypatch.setattr(follow.Judge, "__init__", alone)
    assert lived(now) == together
    assert {row["nine"] for row in together.values()} >= {"BROKEN", "LOADING", "BREACHED"}
    assert len({row["reason"] for row in together.values()}) >= 6


def test_most_are_worked_out_only_once(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    judged = follow._judged

    def counted(table: follow.TableSight, *rest: Any) -> follow.Judged:
        asked.append(table.name)
        return judged(table, *rest)

    monkeypatch.setattr(follow, "_judged", counted)
    story = Story(now, [made.table(f"t{n:03}", 60 if n % 2 else 300) for n in range(100)])
    for n, table in enumerate(story.tables):
        story.loaded_at[table.name] = now - timedelta(hours=1, seconds=n)
    story.go(3)
    asked.clear()
    story.step()
    assert len(asked) == 2  # one for each SLO
