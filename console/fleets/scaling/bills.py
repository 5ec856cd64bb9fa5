"""Bills and waits of the fleets: from what was recorded to what pages show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from console.fleets import rows as ask
from console.fleets.models import FleetBill
from console.fleets.names import series_name
from console.fleets.scaling.money import Bill, Point, bill
from console.fleets.scaling.replay import Recorded
from console.fleets.scaling.waits import BUCKETS_S, Level, added, level
from console.history import series
from console.platform.declared import FleetDeclared, declaration

PERIODS: Mapping[str, tuple[timedelta, int]] = {
    # word: (how far back, the most steps)
    "day": (timedelta(hours=24), 1440),
    "month": (timedelta(days=30), 2880),
}
WHAT = ("workers_in_service", "workers_launching", "workers_draining", "slots", "running")


def save_bills(now: datetime) -> None:
    """Of every declared fleet, for each period."""
    rows = []
    for fleet in declaration().fleets:
        day: dict[str, object] = {}
        for period, (span, steps) in PERIODS.items():
            chart = series.fetch(
                [series_name(fleet.queue, what) for what in WHAT], now - span, now, steps, now=now, marks=False
            )
            points = [Point(*values) for values in zip(*(line.y for line in chart.lines), strict=True)]
            figures = asdict(bill(points, chart.step_s, fleet.concurrency))
            if period == "day":
                day = figures
            elif not _recorded_before(chart, now - PERIODS["day"][0]):
                figures = day  # of the same hours, in finer steps: a step that has only begun counts whole
            rows.append(FleetBill(queue=fleet.queue, period=period, figures=figures, as_of=now))
    FleetBill.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["queue", "period"], update_fields=["figures", "as_of"]
    )


def _recorded_before(chart: series.Chart, at: datetime) -> bool:
    until = at.timestamp() - chart.step_s
    return any(y is not None for line in chart.lines for x, y in zip(chart.x, line.y, strict=True) if x <= until)


def recorded(queue: str, span: timedelta, now: datetime) -> Recorded:
    """What was queued and what ran, by the minute."""
    names = [series_name(queue, what) for what in ("outstanding", "running")]
    chart = series.fetch(names, now - span, now, int(span.total_seconds() // 60) + 2, now=now, marks=False)
    queued, running = (line.y for line in chart.lines)
    return Recorded(chart.start, chart.step_s, tuple(queued), tuple(running))


@dataclass(frozen=True)
class Cost:
    """A bill in USD, at the declared price."""

    bill: Bill
    price: float
    as_of: datetime

    @property
    def usd(self) -> float:
        return self.bill.hours * self.price

    @property
    def static_usd(self) -> float:
        return self.bill.static_hours * self.price

    @property
    def machine_usd(self) -> float:
        return self.bill.machine_hours * self.price

    @property
    def boot_usd(self) -> float:
        return self.bill.boot_hours * self.price

    @property
    def idle_usd(self) -> float:
        return self.bill.idle_hours * self.price

    @property
    def month_usd(self) -> float | None:
        hours = self.bill.monthly(self.bill.hours)
        return None if hours is None else hours * self.price

    @property
    def under_static(self) -> int | None:
        """Percent of the static peak fleet's cost that was not spent."""
        saved = self.bill.saved(self.bill.static_hours)
        return None if saved is None else round(100 * saved)

    @property
    def under_machine(self) -> int | None:
        saved = self.bill.saved(self.bill.machine_hours)
        return None if saved is None else round(100 * saved)

    @property
    def covered_h(self) -> float:
        return self.bill.covered_s / 3600


def costs(fleet: FleetDeclared) -> dict[str, Cost]:
    """By period; what was never worked out is left out. One query."""
    return {
        period: Cost(Bill(**figures), fleet.price_per_hour, as_of) for period, figures, as_of in ask.bills(fleet.queue)
    }


def levels(fleet: FleetDeclared, now: datetime) -> dict[str, Level]:
    """The wait of the last hours and of the last day, against the target. One query."""
    this = now.replace(minute=0, second=0, microsecond=0)
    target_s = fleet.autoscaling.target_wait_s
    rows = ask.waits(fleet.queue, now - timedelta(hours=24))
    found = {}
    for word, since in (("hour", this - timedelta(hours=1)), ("day", this - timedelta(hours=24))):
        counts, late = [0] * (len(BUCKETS_S) + 1), 0
        for hour, more, later in rows:
            if hour >= since:
                counts, late = added(counts, more), late + later
        found[word] = level(counts, late, target_s)
    return found
