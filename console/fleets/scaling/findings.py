"""What goes wrong with autoscaling, as findings for the incidents. Keys: `fleets.KIND:QUEUE`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db.models import Count

from console.fleets.facts import Sights
from console.fleets.figures import fleet_url
from console.fleets.models import GroupSnapshot, Instance, ScalingDecision, WaitHour
from console.fleets.names import series_name
from console.fleets.scaling.detect import Scaled, Trouble, troubles
from console.fleets.scaling.switch import mode_of, switches
from console.fleets.scaling.waits import BUCKETS_S, Level, added, level
from console.incidents.findings import Fact, Finding, Recommended, Severity
from console.platform.declared import FleetDeclared, declaration

BROKER = "console.blind:broker"
AFTER_S = 30.0
LOOKED_BACK = timedelta(hours=1)


def scaling_findings(now: datetime, sights: Sights) -> list[Finding]:
    """Of every fleet that is scaled; six queries, however many there are."""
    found = switches()
    fleets = [each for each in declaration().fleets if mode_of(each, found.get(each.queue), now) != "off"]
    if not fleets:
        return []
    queues = [fleet.queue for fleet in fleets]
    groups = GroupSnapshot.objects.in_bulk([fleet.group for fleet in fleets])
    living = Instance.objects.filter(group__in=list(groups), gone_at=None).exclude(lifecycle__startswith="Terminat")
    instances = dict(living.values_list("group").annotate(number=Count("pk")))
    last = ScalingDecision.objects.newest(queues)
    runs = _runs(queues, now)
    hours = _hours(fleets, now)
    made = []
    for fleet in fleets:
        switch, group, newest = found.get(fleet.queue), groups.get(fleet.group), last.get(fleet.queue)
        visible = sights.compute.seen and group is not None and group.present
        blind, vain = runs.get(fleet.queue, (None, None))
        it = Scaled(
            queue=fleet.queue,
            desired=group.desired if group and visible else None,
            instances=instances.get(fleet.group, 0) if visible else None,
            desired_since=group.desired_changed_at if group else None,
            decided_at=newest.at if newest else None,
            on_since=switch.set_at if switch and switch.on else None,
            blind_since=blind,
            blind_because=newest.because.rstrip(".") if newest else "",
            vain_since=vain,
            vain_because=newest.outcome.rstrip(".") if newest else "",
            hour=hours.get(fleet.queue),
        )
        made += [_finding(fleet, trouble, newest) for trouble in troubles(it, now)]
    return made


def _runs(queues: Iterable[str], now: datetime) -> dict[str, tuple[datetime | None, datetime | None]]:
    """Since when the newest decisions of a queue are all blind, and all without an effect; None: they are not."""
    rows = ScalingDecision.objects.filter(queue__in=list(queues), at__gte=now - LOOKED_BACK).order_by("queue", "-at")
    since: dict[str, list[datetime | None]] = {}
    over: dict[str, list[bool]] = {}
    for queue, at, action, outcome in rows.values_list("queue", "at", "action", "outcome"):
        found, ended = since.setdefault(queue, [None, None]), over.setdefault(queue, [False, False])
        wanted = action in ("out", "in") and bool(outcome) and not outcome.startswith("only published")
        for index, so in enumerate((action == "blind", wanted)):
            ended[index] = ended[index] or not so
            if not ended[index]:
                found[index] = at
    return {queue: (found[0], found[1]) for queue, found in since.items()}


def _hours(fleets: Iterable[FleetDeclared], now: datetime) -> Mapping[str, Level]:
    since = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    counts: dict[str, list[int]] = {}
    late: dict[str, int] = {}
    for row in WaitHour.objects.filter(hour__gte=since, queue__in=[fleet.queue for fleet in fleets]):
        counts[row.queue] = added(counts.get(row.queue, [0] * (len(BUCKETS_S) + 1)), row.counts)
        late[row.queue] = late.get(row.queue, 0) + row.late
    targets = {fleet.queue: fleet.autoscaling.target_wait_s for fleet in fleets}
    return {queue: level(found, late[queue], targets[queue]) for queue, found in counts.items()}


def _finding(fleet: FleetDeclared, trouble: Trouble, newest: ScalingDecision | None) -> Finding:
    queue, url = fleet.queue, fleet_url(fleet.queue)
    facts = [Fact("Last decision", newest.because)] if newest else []
    if newest and newest.outcome:
        facts.append(Fact("What came of it", newest.outcome))
    return Finding(
        key=f"fleets.{trouble.kind}:{queue}",
        detector=f"fleet-{trouble.kind}",
        severity=Severity.ERROR if trouble.severe else Severity.WARNING,
        title=f"{queue}: {trouble.word}",
        sentence=f"{trouble.text[:1].upper()}{trouble.text[1:]}.",
        target=f"fleets/{queue}",
        url=url,
        facts=tuple(facts),
        series=tuple(series_name(queue, what) for what in ("outstanding", "desired", "needed")),
        recommended=_recommended(queue, url, trouble),
        causes=(BROKER, f"fleets.no-group:{queue}"),
        after_s=AFTER_S,
    )


def _recommended(queue: str, url: str, trouble: Trouble) -> Recommended:
    match trouble.kind:
        case "capacity-refused":
            text = "Look at the group's activity in the AWS console: another zone or instance type may have room."
            return Recommended(text, url, "Look at the fleet")
        case "waits-long":
            text = "Replay the last day with a lower target wait or a higher baseline."
            return Recommended(text, f"{url}replay/", "Replay…")
        case "scaler-silent":
            return Recommended("Look at the console's worker and beat: the decisions are their task.", "/", "Overview")
    return Recommended("Look at what it decided, and why nothing came of it.", f"{url}decisions/", "Decisions")
