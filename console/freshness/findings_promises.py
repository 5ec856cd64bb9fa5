"""Promises that wear thin, for the incidents: error budgets that burn, and cutoffs that Airflow was not told of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from console.freshness.budget import OBJECTIVE, STALE, figures
from console.freshness.outlook import Alarm
from console.freshness.pages import lag_series
from console.freshness.records import AssetNews, Burning
from console.freshness.rows import URL
from console.incidents.findings import Fact, Finding, Recommended, Report, Severity
from console.lib.words import count, duration

SHOWN = 5
NAMED = 200
UNTOLD = timedelta(minutes=10)
"""An asset event is due at once; a restart of Airflow may take some minutes."""
_SEVERITY = {Alarm.PAGE: Severity.CRITICAL, Alarm.TICKET: Severity.WARNING}


def of_burns(rows: Iterable[Burning], now: datetime) -> Report:
    """Tables whose error budget is used too fast, by the figures of the newest reckoning; a finding per task.

    What was reckoned long ago says nothing: then nothing can be said of its task.
    """
    by_task: dict[str, list[Burning]] = {}
    unknown: set[str] = set()
    for row in rows:
        if now - row.reckoned_at > STALE:
            unknown.add(row.task)
        else:
            by_task.setdefault(row.task, []).append(row)
    found = tuple(_burning(task, tables) for task, tables in sorted(by_task.items()))
    return Report(found, frozenset(f"freshness.burn:{task}" for task in unknown - set(by_task)))


def _burning(task: str, rows: list[Burning]) -> Finding:
    rows = sorted(rows, key=lambda row: (row.alarm != Alarm.PAGE, -max(figures(row).values()), row.table))
    first = rows[0]
    fast = first.alarm == Alarm.PAGE
    tables = count(len(rows), "table")
    how = "fast" if fast else "too fast"
    return Finding(
        key=f"freshness.burn:{task}",
        detector="budget-burning",
        severity=_SEVERITY[Alarm(first.alarm)],
        title=f"{task}: the error budget of {tables} is used {how}",
        sentence=f"{first.table} used its budget {_said(first)}; 1× is what {OBJECTIVE:.0%} of good minutes allows.",
        target=f"freshness/{task}",
        url=f"{URL}{first.table}/",
        facts=tuple(
            Fact(
                row.table,
                f"{_said(row)}, SLO {duration(row.slo_s)}",
                "failing" if row.alarm == Alarm.PAGE else "degraded",
            )
            for row in rows[:SHOWN]
        ),
        impact=tuple(row.table for row in rows[:NAMED]),
        series=tuple(lag_series(row.table) for row in rows[:3]),
        recommended=Recommended(
            f"Look at what made {first.table} late, and whether {duration(first.slo_s)} is the right promise.",
            f"{URL}{first.table}/",
            "Look at the table",
        ),
        causes=(f"freshness.task:{task}", f"freshness.writer:{first.source}", "console.blind:warehouse"),
    )


def _said(row: Burning) -> str:
    return ", ".join(f"{times:.1f}× in {duration(window_s)}" for window_s, times in figures(row).items())


def untold(now: datetime) -> list[AssetNews]:
    """Cutoffs that were met a while ago and of which Airflow has not been told. One query."""
    return list(AssetNews.objects.filter(sent_at=None, created_at__lt=now - UNTOLD).order_by("created_at")[:NAMED])


def of_news(waiting: Iterable[AssetNews]) -> Report:
    """Asset events that do not come about; a finding per asset."""
    by_asset: dict[str, list[AssetNews]] = {}
    for news in waiting:
        by_asset.setdefault(news.asset, []).append(news)
    return Report(tuple(_untold(asset, found) for asset, found in sorted(by_asset.items())))


def _untold(asset: str, found: list[AssetNews]) -> Finding:
    first, last = found[0], found[-1]
    why = last.error.rstrip(".") or "nobody has tried yet"
    return Finding(
        key=f"freshness.asset:{asset}"[:200],
        detector="asset-event-late",
        severity=Severity.ERROR,
        title=f"Airflow is not told that {asset[:80]} is complete",
        sentence=f"The cutoff of {first.cutoff:%d %b %H:%M} UTC is met, and its asset event is not made: {why}.",
        target="freshness",
        url=URL,
        facts=tuple(
            Fact(f"{news.cutoff:%d %b %H:%M} UTC", news.error or "not tried yet", "failing") for news in found[:SHOWN]
        ),
        impact=(f"DAGs that Airflow schedules by the asset {asset}",),
        recommended=Recommended(
            (last.remedy or "Look whether the console's workers and Airflow's API run").rstrip(".") + ".",
            URL,
            "Look at freshness",
        ),
    )
