"""What each section has to say, as parts of the headline; and the flags beside the navigation's words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from console.datastores.pages import DatastoresSummary, datastores_summary
from console.fleets.pages import FleetsSummary, fleets_summary
from console.freshness.pages import FreshnessSummary, freshness_summary
from console.lib.status import Status
from console.overview.rules import Part, fleet_remedy, rank
from console.pools.pages import PoolsSummary, pools_summary
from console.scheduler.pages import SchedulerSummary, scheduler_summary
from console.storage.pages import StorageSummary, storage_summary

TONES = {Status.FAILING: "bad", Status.DEGRADED: "warn", Status.UNKNOWN: "unk"}


@dataclass(frozen=True)
class Summaries:
    """Every section's summary at one moment."""

    scheduler: SchedulerSummary
    fleets: FleetsSummary
    freshness: FreshnessSummary
    pools: PoolsSummary
    datastores: DatastoresSummary
    storage: StorageSummary


@dataclass(frozen=True)
class Flag:
    """An exception beside a page's name: `tone` is bad, warn or unk."""

    tone: str
    text: str


def summaries(now: datetime) -> Summaries:
    """As many queries as the sections' summaries take, however large the platform is."""
    return Summaries(
        scheduler=scheduler_summary(now),
        fleets=fleets_summary(now),
        freshness=freshness_summary(now),
        pools=pools_summary(now),
        datastores=datastores_summary(now),
        storage=storage_summary(now),
    )


def parts(of: Summaries) -> tuple[Part, ...]:
    """All that can be said. A section of which nothing is declared says nothing."""
    return tuple(
        [*_scheduler(of.scheduler), *_fleets(of.fleets), *_freshness(of.freshness), *_pools(of.pools)]
        + [*_datastores(of.datastores), *_storage(of.storage)]
    )


def _scheduler(it: SchedulerSummary) -> Iterable[Part]:
    yield Part(
        "scheduler",
        it.status,
        it.title,
        it.reason,
        it.remedy,
        it.url,
        "Scheduler",
        rank("scheduler", it.status),
    )


def _fleets(it: FleetsSummary) -> Iterable[Part]:
    told = [fleet for fleet in it.fleets if fleet.rank > 1]
    if not told:
        if it.fleets:
            yield Part("fleets", Status.HEALTHY, it.reason, url="/fleets/", url_text="Fleets")
        return
    for fleet in sorted(told, key=lambda fleet: -fleet.rank):
        yield Part(
            section="fleets",
            status=fleet.status,
            title=f"{fleet.queue}: {fleet.reason}",
            remedy=fleet_remedy(fleet.word),
            url=fleet.url,
            url_text=f"Fleet {fleet.queue}",
            rank=rank("fleets", fleet.status),
        )


def _freshness(it: FreshnessSummary) -> Iterable[Part]:
    if not it.total:
        return
    first = it.worst[0] if it.worst else None
    yield Part(
        section="freshness",
        status=it.status,
        title=it.reason.rstrip("."),
        text=_sentence(first.reason) if first else "",
        remedy=f"Look at its DMS task {first.task}." if first else "",
        url=first.url if first else it.url,
        url_text="Open the table" if first else "Freshness",
        rank=rank("freshness", it.status),
    )


def _pools(it: PoolsSummary) -> Iterable[Part]:
    if it.total == 0:
        return
    first = it.worst[0] if it.worst else None
    yield Part(
        section="pools",
        status=it.status,
        title=it.reason.rstrip("."),
        text=first.verdict.reason if first else "",
        remedy="Wait for its tasks, or give the pool more slots." if first else "",
        url=it.url,
        url_text="Pools",
        rank=rank("pools", it.status),
    )


def _datastores(it: DatastoresSummary) -> Iterable[Part]:
    if not it.rows:
        return
    first = next(row for row in it.rows if row.verdict.status is it.status)
    well = it.status is Status.HEALTHY
    yield Part(
        section="datastores",
        status=it.status,
        title=it.reason,
        text="" if well else first.verdict.reason,
        remedy=it.remedy,
        url=it.url,
        url_text="Datastores",
        rank=rank("datastores", it.status),
    )


def _storage(it: StorageSummary) -> Iterable[Part]:
    if it.rows:
        rank_ = rank("storage", it.status)
        yield Part("storage", it.status, it.reason, it.text, it.remedy, it.url, "Storage", rank_)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def flags(of: Summaries) -> dict[str, Flag]:
    """Exceptions only: a section that is well has none."""
    fleets = of.fleets
    troubled = sum(fleet.status not in (Status.HEALTHY, Status.UNKNOWN) for fleet in fleets.fleets)
    found = {
        "scheduler": _flag(of.scheduler.status, of.scheduler.status.value),
        "fleets": _flag(fleets.status, fleets.worst.word if fleets.worst and troubled == 1 else str(troubled)),
        "freshness": _flag(of.freshness.status, f"{of.freshness.late} late") if of.freshness.total else None,
        "pools": _flag(of.pools.status, f"{of.pools.starving} full"),
        "datastores": _flag(of.datastores.status, of.datastores.pill) if of.datastores.rows else None,
        "storage": _flag(of.storage.status, of.storage.pill) if of.storage.rows else None,
    }
    return {section: flag for section, flag in found.items() if flag}


def _flag(status: Status, text: str) -> Flag | None:
    tone = TONES.get(status)
    if tone is None:
        return None
    return Flag(tone, "unknown" if status is Status.UNKNOWN else text)
