"""Airflow is told once that a declared cutoff is met: an outbox of asset events.

The row is written in the transaction that notes the cutoff as met by the last of its tables. Then, never twice:

- A row is claimed by a conditional update, with a fence and a lease that is longer than a call may take.
- That a call begins is saved before it. If its answer is lost (or the process with it), Airflow's own list of the
  asset's events is read before anything is sent again; their `extra` names the cutoff. Where it is not there, another
  call follows only after Airflow has been answering for a minute: what waited in a server that hung is done by then.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet

from console.freshness.records import AssetNews, CutoffRow, Proof, TableEvent, next_generation
from console.freshness.watermark import Basis
from console.platform.ports import AssetsPort, PlatformError

log = logging.getLogger(__name__)

MARK = "quarterdeck"
AT_ONCE = 20
ROUND_S = 20.0
LEASE = timedelta(seconds=90)
CALL_S = 40.0
"""A call is not begun later than this after its claim: it ends well within the lease."""
SETTLED = timedelta(seconds=60)
"""A request whose answer was lost has been done by then, or never will be: counted from the first of Airflow's answers
after it, for a server that hangs does what waits for it once it goes on.
"""
CLOCKS = timedelta(hours=1)
"""How far Airflow's clock may be behind the console's."""
AGAIN = (10.0, 30.0, 60.0, 300.0)
REFUSED = {"forbidden", "rejected", "not_found"}
"""Airflow's answers by which nothing was done."""
_LOOKS = "Nothing is to be done: it is told again unless Airflow lists the event by then."


def note(met: Iterable[CutoffRow], now: datetime) -> None:
    """Those of the cutoffs just met that were the last of their asset's are to be told. Two queries, none without."""
    keys = {(cutoff.asset, cutoff.at) for cutoff in met if cutoff.asset}
    if not keys:
        return
    same = CutoffRow.objects.filter(asset__in={asset for asset, _ in keys}, at__in={at for _, at in keys})
    tables: dict[tuple[str, datetime], list[str]] = {}
    waiting: set[tuple[str, datetime]] = set()
    for asset, at, table, met_at in same.order_by("table").values_list("asset", "at", "table", "met_at"):
        tables.setdefault((asset, at), []).append(table)
        if met_at is None:
            waiting.add((asset, at))
    AssetNews.objects.bulk_create(
        [
            AssetNews(asset=asset, cutoff=at, tables=json.dumps(tables[asset, at]), created_at=now, next_at=now)
            for asset, at in sorted(keys - waiting)
        ],
        ignore_conflicts=True,
    )


def send(connect: Callable[[], AssetsPort], clock: Callable[[], datetime]) -> int:
    """Tell what is due; how many were told. Each is claimed right before its turn."""
    began_s, told = time.monotonic(), 0
    while time.monotonic() - began_s < ROUND_S and (news := _claim(clock())) is not None:
        told += _tell(news, connect, clock)
    return told


def _claim(now: datetime) -> AssetNews | None:
    free = Q(claimed_until=None) | Q(claimed_until__lte=now)
    for news in AssetNews.objects.filter(free, sent_at=None, next_at__lte=now).order_by("next_at")[:AT_ONCE]:
        mine = AssetNews.objects.filter(free, pk=news.pk, fence=news.fence, sent_at=None)
        if mine.update(fence=F("fence") + 1, claimed_until=now + LEASE, attempts=F("attempts") + 1):
            news.fence, news.attempts = news.fence + 1, news.attempts + 1
            return news
    return None


def _tell(news: AssetNews, connect: Callable[[], AssetsPort], clock: Callable[[], datetime]) -> bool:
    began_s = time.monotonic()
    try:
        airflow = connect()
        asset = airflow.asset(news.asset)
        if asset is None:
            return _later(news, clock(), *_unknown(news))
        if news.tried_at is not None:
            event = airflow.asset_event(asset, (MARK, mark(news)), news.tried_at - CLOCKS)
            if event is not None:
                return _told(news, event, clock())
            if news.looked_at is None:
                news.looked_at = clock()
                if not _mine(news).update(looked_at=news.looked_at):
                    return False
            if clock() < news.looked_at + SETTLED:
                error = news.error or "The process that told Airflow ended before its answer"
                return _later(news, clock(), error, news.remedy or _LOOKS, not_before=news.looked_at + SETTLED)
        if time.monotonic() - began_s > CALL_S:
            return _later(news, clock(), "Airflow answers too slowly", "Look at its API server.")
        if not _mine(news).update(tried_at=clock(), looked_at=None):
            return False  # another process took it over
        return _told(news, _call(news, airflow, asset), clock())
    except PlatformError as error:
        log.warning("asset event of %s: %s (%s)", news.asset, error.message, error.code)
        return _later(news, clock(), error.message, error.remedy)


def _call(news: AssetNews, airflow: AssetsPort, asset: int) -> int:
    try:
        return airflow.tell_asset(asset, extra(news))
    except PlatformError as error:
        if error.code in REFUSED:  # it was not made: there is nothing to look for
            _mine(news).update(tried_at=None)
        if error.code == "not_found":  # it was there a moment ago
            message, remedy = _unknown(news)
            raise PlatformError(error.system, error.code, message, remedy=remedy) from None
        raise


def _unknown(news: AssetNews) -> tuple[str, str]:
    return (
        f"Airflow has no active asset of the name or URI {news.asset}",
        "A DAG must name it, as its schedule or an outlet; or correct the calendar in platform.yaml.",
    )


def mark(news: AssetNews) -> str:
    """What names this event in its `extra`."""
    return f"{news.asset}@{news.cutoff:%Y-%m-%dT%H:%M:%SZ}"


def extra(news: AssetNews) -> dict[str, object]:
    """What a DAG is told: the cutoff, the tables that have met it, and each one's proof, as `freshness/check` gives it.

    A table whose proof was revoked since (it is loaded anew) has none. One query.
    """
    tables = json.loads(news.tables)
    proofs = Proof.objects.filter(table__in=tables, cutoff=news.cutoff, basis=Basis.ROW.value, revoked_at=None)
    return {
        MARK: mark(news),
        "cutoff": f"{news.cutoff:%Y-%m-%dT%H:%M:%SZ}",
        "tables": tables,
        "proofs": dict(proofs.order_by("at", "pk").values_list("table", "proof_id")),
    }


def _mine(news: AssetNews) -> QuerySet[AssetNews]:
    return AssetNews.objects.filter(pk=news.pk, fence=news.fence, sent_at=None)


def _told(news: AssetNews, event: int, now: datetime) -> bool:
    with transaction.atomic():
        number = next_generation()  # before the row: polls take both in this order
        if not _mine(news).update(sent_at=now, event_id=event, claimed_until=None, error="", remedy=""):
            return False
        text = f"Airflow was told: asset {news.asset}, event {event}, for the cutoff of {news.cutoff:%d %b %H:%M} UTC."
        TableEvent.objects.bulk_create(
            TableEvent(table=table, at=now, generation=number, kind="asset", text=text)
            for table in json.loads(news.tables)
        )
    return True


def _later(news: AssetNews, now: datetime, error: str, remedy: str, *, not_before: datetime | None = None) -> bool:
    again = now + timedelta(seconds=AGAIN[min(news.attempts, len(AGAIN)) - 1])
    _mine(news).update(
        next_at=max(again, not_before or again), claimed_until=None, error=error[:500], remedy=remedy[:500]
    )
    return False
