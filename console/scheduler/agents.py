"""What the scheduler agents tell: remembered whole, and shown as the lease at a moment."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from console.operations.models import Operation
from console.platform.agents_readings import LeasesReading, TakeoverReading
from console.platform.models import Source
from console.platform.rules import Sight
from console.platform.sources import AGENTS
from console.scheduler.lease import LeaseView, view
from console.scheduler.models import AgentsSnapshot, Takeover, agents_snapshot

_readings: TypeAdapter[LeasesReading] = TypeAdapter(LeasesReading)
SAME = timedelta(seconds=90)
"""An agent's takeover and the change that was seen in Airflow's Jobs are one when they lie this close."""
ORDERED_WITHIN = timedelta(minutes=5)
"""An order that was not taken by then had run out."""


def save_agents(reading: LeasesReading, as_of: datetime) -> None:
    """Remember it, and tell each change of leadership that was seen from outside what the agents know of it."""
    AgentsSnapshot.objects.update_or_create(
        pk=1, defaults={"as_of": as_of, "reading": _readings.dump_python(reading, mode="json")}
    )
    for takeover in reading.takeovers[:5]:
        _explain(takeover)


def _explain(takeover: TakeoverReading) -> None:
    if takeover.kind == "first":
        return
    near = Takeover.objects.filter(
        to_host=takeover.to_holder, at__gte=takeover.at - SAME, at__lte=takeover.at + SAME, token=None
    )
    kind = {"planned": Takeover.Kind.SWITCHOVER, "forced": Takeover.Kind.FAILOVER}.get(
        takeover.kind, Takeover.Kind.AUTOMATIC
    )
    if takeover.kind == "resumed":
        kind = Takeover.Kind.RESTART
    row = near.order_by("at").first()
    if row is not None and not Takeover.objects.filter(token=takeover.token).exists():
        Takeover.objects.filter(pk=row.pk).update(
            kind=kind, token=takeover.token, why=takeover.reason, operation=_ordered_by(takeover)
        )


def _ordered_by(takeover: TakeoverReading) -> str:
    """The id of the operation that ordered it; "" where nobody did, or somebody past the console."""
    if takeover.kind not in ("planned", "forced"):
        return ""
    found = Operation.objects.filter(
        kind__in=("switchover", "failover"),
        parameters__to=takeover.to_holder,
        created_at__gte=takeover.at - ORDERED_WITHIN,
        created_at__lte=takeover.at + SAME,
    ).order_by("-pk")
    pk = found.values_list("pk", flat=True).first()
    return "" if pk is None else str(pk)


def lease_view(now: datetime) -> LeaseView:
    """The lease at `now`. Two queries."""
    return lease_at(Source.objects.sights(now, (AGENTS,))[AGENTS.name], now)


def lease_at(sight: Sight, now: datetime) -> LeaseView:
    """The lease, given how well the agents can be seen. One query."""
    row = agents_snapshot.first()
    reading = None
    if row is not None:
        try:
            reading = _readings.validate_python(row.reading)
        except ValidationError:  # another release wrote it: the next poll replaces it
            reading = None
    return view(reading, row.as_of if row else None, sight, now)
