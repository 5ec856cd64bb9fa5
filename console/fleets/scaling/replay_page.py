"""`/fleets/QUEUE/replay/`: what other settings would have made of the last night or week, before they are declared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django import forms

from console.fleets.models import ScalingDecision
from console.fleets.scaling.bills import recorded
from console.fleets.scaling.policy import BOOT_S, INTERVAL_S, Policy
from console.fleets.scaling.replay import Replayed, replay
from console.fleets.scaling.switch import policy_of
from console.platform.declared import FleetDeclared

SPANS: dict[str, tuple[str, timedelta, float]] = {
    # word: (how it is called, how far back, seconds between decisions)
    "night": ("the last 12 hours", timedelta(hours=12), INTERVAL_S),
    "day": ("the last 24 hours", timedelta(hours=24), INTERVAL_S),
    "week": ("the last 7 days, decided each minute", timedelta(days=7), 60.0),
}
LEAST_SEEN = 0.05
MOST_TASKS = 40_000


class ReplayForm(forms.Form):
    span = forms.ChoiceField(label="Of", choices=[(word, name) for word, (name, *_) in SPANS.items()])
    baseline = forms.IntegerField(label="Baseline", min_value=0, max_value=1000)
    maximum = forms.IntegerField(label="Max", min_value=1, max_value=1000)
    target_wait_s = forms.FloatField(label="Target wait, seconds", min_value=0, max_value=86400)
    cooldown_s = forms.FloatField(label="Cooldown, seconds", min_value=0, max_value=86400)
    step = forms.IntegerField(label="Step", min_value=1, max_value=1000)
    expected_work = forms.BooleanField(label="Expected work", required=False)

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        low, high = values.get("baseline"), values.get("maximum")
        if low is not None and high is not None and low > high:
            self.add_error("baseline", f"{low} is above the maximum of {high}.")
        return values


def begun(fleet: FleetDeclared) -> dict[str, Any]:
    """The form begins with what is declared."""
    policy = policy_of(fleet)
    return {
        "span": "night",
        "baseline": policy.baseline,
        "maximum": policy.maximum,
        "target_wait_s": f"{policy.target_wait_s:g}",
        "cooldown_s": f"{policy.cooldown_s:g}",
        "step": policy.step,
        "expected_work": "on" if policy.expected_work else "",
    }


@dataclass(frozen=True)
class Row:
    """One way of scaling over the record. Money in USD at the declared price."""

    name: str
    hours: float
    usd: float
    p50_s: float
    p95_s: float
    most: int
    changes: int
    boot_hours: float
    idle_hours: float


@dataclass(frozen=True)
class ReplayPage:
    """`why` says why nothing could be replayed; "" when it was."""

    rows: tuple[Row, ...]
    tasks: int
    seen: float  # the share of the span that was recorded
    why: str = ""


def replayed(fleet: FleetDeclared, values: dict[str, Any], now: datetime) -> ReplayPage:
    """Reads the record (one query) and works it out; a week takes some seconds."""
    _, span, interval_s = SPANS[values["span"]]
    record = recorded(fleet.queue, span, now)
    seen = record.seen / max(1, len(record.queued))
    if seen < LEAST_SEEN:
        return ReplayPage((), 0, seen, "Too little of this time was recorded.")
    declared = policy_of(fleet)
    names = ("baseline", "maximum", "target_wait_s", "cooldown_s", "step", "expected_work")
    other: Policy = replace(declared, windows=(), **{name: values[name] for name in names})
    boot_s = declared.boot_s or _measured(fleet.queue) or BOOT_S
    ways = [("As declared", declared), ("With these settings", other)]
    found = replay(record, ways, boot_s=boot_s, interval_s=interval_s)
    return ReplayPage(tuple(_row(each, fleet.price_per_hour) for each in found), len(found[0].outcome.waits_s), seen)


def _measured(queue: str) -> float | None:
    """The boot time that the last decision counted with."""
    last = ScalingDecision.objects.newest([queue]).get(queue)
    value = last.inputs.get("boot_s") if last else None
    return float(value) if value else None


def _row(it: Replayed, price: float) -> Row:
    out = it.outcome
    return Row(
        name=it.name,
        hours=out.worker_hours,
        usd=out.worker_hours * price,
        p50_s=out.wait_s(50),
        p95_s=out.wait_s(95),
        most=out.most,
        changes=out.changes,
        boot_hours=out.boot_hours,
        idle_hours=out.idle_hours,
    )
