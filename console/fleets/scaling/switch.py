"""Whether a fleet is scaled now, and by whom: what is declared, unless people said otherwise."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from console.fleets.scaling.models import ScalingSwitch
from console.fleets.scaling.policy import Policy, Window
from console.lib.kept import kept
from console.platform.declared import FleetDeclared


def mode_of(fleet: FleetDeclared, switch: ScalingSwitch | None, now: datetime) -> str:
    """`console`, `publish` or `off`. Switched on, a fleet whose declaration says off is scaled by the console."""
    declared = fleet.autoscaling.mode
    if switch is None or not switch.holds(now):
        return declared
    if not switch.on:
        return "off"
    return "console" if declared == "off" else declared


def switches() -> dict[str, ScalingSwitch]:
    """By queue. One query."""
    return {row.queue: row for row in _switches()}


@kept
def _switches() -> QuerySet[ScalingSwitch]:
    return ScalingSwitch.objects.all()


def policy_of(fleet: FleetDeclared) -> Policy:
    """What is declared of a fleet as the rules take it."""
    it = fleet.autoscaling
    return Policy(
        baseline=fleet.baseline,
        maximum=fleet.max,
        slots=fleet.concurrency,
        windows=tuple(Window(hours.start_min, hours.end_min, hours.baseline, hours.days) for hours in it.hours),
        target_wait_s=it.target_wait_s,
        cooldown_s=it.cooldown_s,
        step=it.step,
        boot_s=it.boot_s,
        expected_work=it.expected_work,
        scheduled_peaks=it.scheduled_peaks,
    )
