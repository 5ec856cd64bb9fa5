"""What Airflow says of its scheduler → what is remembered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from console.history import series
from console.platform.declared import declaration
from console.platform.readings import SchedulerReading
from console.scheduler.heartbeats import processes
from console.scheduler.models import Kept, Snapshot, Takeover
from console.scheduler.rules import Change, Memory, remember
from console.scheduler.verdicts import Declared

URL = "/scheduler/"
MOST_HOSTS = 8
"""Hosts of which the heartbeats are kept over time; a platform whose hosts are containers makes names for ever."""


def declared() -> Declared:
    airflow = declaration().airflow
    return Declared(airflow.schedulers, airflow.active_active)


def heartbeat_series(host: str) -> str:
    """The name in the history of the age of a host's scheduler heartbeat."""
    return f"scheduler.{host}.heartbeat_age_s"


def leading_series(host: str) -> str:
    """The name in the history of whether a host leads: 1 or 0."""
    return f"scheduler.{host}.leading"


def save_scheduler(reading: SchedulerReading, as_of: datetime) -> None:
    """Remember a reading begun at `as_of`, its heartbeats over time, and whether another scheduler leads."""
    hosts = declared()
    memory, change = remember(Snapshot.objects.kept().memory, reading, as_of, hosts)
    Snapshot.objects.keep(Kept(reading, memory), as_of)
    if change:
        _took_over(change)
    series.record(_samples(reading, memory, hosts), as_of)


def _took_over(change: Change) -> None:
    Takeover.objects.get_or_create(
        at=change.at,
        to_host=change.to_host,
        defaults={"kind": change.kind, "from_host": change.from_host, "gap_s": change.gap_s},
    )
    if change.kind == Takeover.Kind.RESTART:
        title = f"The scheduler on {change.to_host} was restarted"
    else:
        title = f"{change.to_host} took over from {change.from_host}"
    series.mark(change.at, "takeover", title, URL, "scheduler")
    Takeover.objects.forget(change.at)


def _samples(reading: SchedulerReading, memory: Memory, hosts: Declared) -> Iterator[series.Sample]:
    """The age of each host's heartbeat, and who leads. While nobody does, the age of the last leader's goes on."""
    if memory.as_of is None:
        return
    running = [
        one for one in processes(reading, memory.pulses, memory.as_of) if one.kind == "scheduler" and one.running
    ]
    late = {one.host: one.late_s for one in reversed(running)}
    leading = memory.leading
    last = leading.heartbeat_at if leading else None
    leads = next((one for one in running if leading and one.job == leading.job), None)
    if leading and leads is None and last:
        late.setdefault(leading.host, max(0.0, (memory.as_of - last).total_seconds()))
    if leading:
        yield "scheduler.heartbeat_age_s", leads.late_s if leads else late.get(leading.host)
    for host in list(dict.fromkeys([*hosts.hosts, *late]))[:MOST_HOSTS]:
        if host:
            yield heartbeat_series(host), late.get(host)
            yield leading_series(host), float(leads is not None and leads.host == host)
