"""What Airflow was told of a table's cutoffs, or why it was not: as the table's page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from console.freshness.cutoffs import Wait
from console.freshness.findings_promises import UNTOLD
from console.freshness.records import AssetNews, CutoffRow
from console.lib.status import Status
from console.lib.words import count

SHOWN = 5
NAMED = 3


@dataclass(frozen=True)
class Told:
    """One cutoff for which an asset is declared. `at` is when Airflow answered that the event is made; None: not yet.

    `status` is None while nothing is amiss and nothing is told: the cutoff is not met, or it is just being told.
    """

    cutoff: datetime
    asset: str
    status: Status | None
    at: datetime | None
    text: str  # a sentence


def told(table: str, rows: Sequence[CutoffRow | Wait], now: datetime) -> tuple[Told, ...]:
    """Of the newest cutoffs in `rows` that have an asset and have come, newest first. Two queries; none without."""
    mine = sorted((row for row in rows if row.asset and row.at <= now), key=lambda row: row.at, reverse=True)[:SHOWN]
    if not mine:
        return ()
    assets, moments = {row.asset for row in mine}, {row.at for row in mine}
    sent = {(news.asset, news.cutoff): news for news in AssetNews.objects.filter(asset__in=assets, cutoff__in=moments)}
    waits: dict[tuple[str, datetime], list[str]] = {}
    others = CutoffRow.objects.filter(asset__in=assets, at__in=moments, met_at=None).exclude(table=table)
    for asset, at, name in others.order_by("table").values_list("asset", "at", "table"):
        waits.setdefault((asset, at), []).append(name)
    return tuple(one(row, sent.get((row.asset, row.at)), waits.get((row.asset, row.at), []), now) for row in mine)


def one(row: CutoffRow | Wait, news: AssetNews | None, waits: Sequence[str], now: datetime) -> Told:
    """`waits`: the other tables of the asset that have not met this cutoff. Pure."""
    status, at, text = _said(row, news, waits, now)
    return Told(row.at, row.asset, status, at, text)


def _said(
    row: CutoffRow | Wait, news: AssetNews | None, waits: Sequence[str], now: datetime
) -> tuple[Status | None, datetime | None, str]:
    late = Status.DEGRADED if now > row.deadline else None
    if news is not None and news.sent_at is not None:
        tries = f", at try {news.attempts}" if news.attempts > 1 else ""
        return Status.HEALTHY, news.sent_at, f"Told: event {news.event_id}{tries}."
    if news is not None and news.error:
        again = f"Tried {count(news.attempts, 'time')}, again at {news.next_at:%H:%M:%S} UTC."
        return Status.FAILING, None, " ".join((f"Not told: {_ended(news.error)}", _ended(news.remedy), again)).strip()
    if news is not None and now - news.created_at > UNTOLD:
        return Status.FAILING, None, "Not told: nobody has tried. Look whether the console's workers run."
    if news is not None:
        return None, None, "It is being told."
    if row.met_at is None:
        return late, None, "Not told yet: this table has not met the cutoff."
    if waits:
        more = f" and {len(waits) - NAMED} more" if len(waits) > NAMED else ""
        return late, None, f"Not told yet: it is not met by {', '.join(waits[:NAMED])}{more}."
    return None, None, "Not told: the asset was declared after the cutoff was met."


def _ended(text: str) -> str:
    return f"{text.rstrip('.')}." if text else ""
