"""What is wrong with the fleets, for the incidents: every rule that applies to a queue, not only the worst."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from console.fleets import verdicts
from console.fleets.facts import Sights, fleet_facts
from console.fleets.figures import fleet_url
from console.fleets.models import GroupSnapshot, QueueSnapshot, Worker
from console.fleets.poll import declared_queues
from console.fleets.rules import State
from console.fleets.scaling.findings import scaling_findings
from console.fleets.verdicts import Facts, Verdict
from console.incidents.findings import Fact, Finding, Recommended, Report, Severity
from console.lib.status import Status
from console.lib.words import count, duration, listed

OTHERS = 100
"""Queues that nobody declared are looked at too, the worst first."""
NAMED = 50
"""So many lost or stuck workers are named in a recommendation; a drain takes more only one by one."""
DOWN = "scheduler.down"
BROKER = "console.blind:broker"


@dataclass(frozen=True)
class _Told:
    """How a rule's verdict becomes a finding. `causes` are other kinds of the same queue."""

    kind: str
    detector: str
    severity: Severity  # where the verdict is failing; where it is degraded: `mild`
    mild: Severity
    after_s: float = 0.0
    causes: tuple[str, ...] = ()


_TOLD: Mapping[str, _Told] = {
    "_stuck": _Told("stuck", "workers-catatonic", Severity.CRITICAL, Severity.ERROR, 10.0),
    "_no_workers": _Told("not-served", "queue-not-served", Severity.CRITICAL, Severity.WARNING, 10.0, ("stuck",)),
    "_all_lost": _Told("lost", "workers-lost", Severity.CRITICAL, Severity.ERROR, 10.0, ("not-served",)),
    "_lost": _Told("lost", "workers-lost", Severity.ERROR, Severity.WARNING, 30.0, ("not-served",)),
    "_starving": _Told("starving", "queue-starving", Severity.ERROR, Severity.ERROR, 0.0, ("lost", "stuck")),
    "_at_max_growing": _Told("starving", "queue-starving", Severity.ERROR, Severity.WARNING, 120.0, ("lost", "stuck")),
    "_not_started": _Told("not-started", "tasks-queued-long", Severity.ERROR, Severity.ERROR, 0.0, ("stuck",)),
    "_overdue": _Told("overdue", "workers-overdue", Severity.WARNING, Severity.WARNING, 0.0),
    "_below_baseline": _Told(
        "below-baseline", "queue-below-baseline", Severity.WARNING, Severity.WARNING, 120.0,
        ("not-served", "lost", "overdue"),
    ),
    "_ghosts": _Told("ghosts", "queue-ghosts", Severity.WARNING, Severity.WARNING, 60.0),
    "_no_group": _Told("no-group", "fleet-without-group", Severity.ERROR, Severity.ERROR, 30.0),
}  # fmt: skip


def findings(now: datetime) -> Report:
    """Six queries, however many queues; one more where workers are lost or stuck, six more where fleets are scaled."""
    sights = Sights.at(now)
    groups = GroupSnapshot.objects.in_bulk()
    declared = declared_queues()
    known = list(QueueSnapshot.objects.filter(queue__in=declared))
    known += list(QueueSnapshot.objects.exclude(queue__in=declared).filter(rank__gt=1).order_by("-rank")[:OTHERS])
    looked = [fleet_facts(row, groups, sights) for row in known]
    broken = _broken(looked)
    oldest = {row.queue: row.oldest_queued_at for row in known}
    found = [one for facts in looked for one in of_queue(facts, broken, oldest.get(facts.queue))]
    found += scaling_findings(now, sights)
    return Report(tuple(found), frozenset(_unseen(sights)))


def _unseen(sights: Sights) -> Iterable[str]:
    if not sights.tasks.seen or not sights.workers_seen:
        yield "fleets."
    elif not sights.compute.seen:
        yield from ("fleets.below-baseline:", "fleets.no-group:", "fleets.starving:", "fleets.overdue:")
        yield "fleets.capacity-refused:"
    elif not sights.depths.seen or not sights.answers.seen:
        yield "fleets.ghosts:"


def _broken(looked: Iterable[Facts]) -> dict[str, list[Worker]]:
    """Lost and stuck workers by queue."""
    queues = [facts.queue for facts in looked if facts.supply.lost or facts.supply.stuck]
    found: dict[str, list[Worker]] = {}
    if queues:
        rows = Worker.objects.listed().filter(state__in=(State.LOST, State.STUCK), serves__overlap=queues)
        for worker in rows.order_by("node")[:1000]:
            for queue in worker.serves or ():
                found.setdefault(queue, []).append(worker)
    return found


def of_queue(facts: Facts, broken: Mapping[str, list[Worker]], oldest: datetime | None) -> Iterable[Finding]:
    """The findings of one queue: the first of each kind, as the rules are ordered by severity."""
    said: set[str] = set()
    for rule in verdicts.RULES:
        told = _TOLD.get(rule.__name__)
        verdict = rule(facts) if told else None
        if told is None or verdict is None or verdict.status is Status.UNKNOWN or told.kind in said:
            continue
        said.add(told.kind)
        yield _finding(facts, told, verdict, broken.get(facts.queue, []), oldest)


def _finding(facts: Facts, told: _Told, verdict: Verdict, broken: list[Worker], oldest: datetime | None) -> Finding:
    queue = facts.queue
    wanted = State.STUCK if told.kind == "stuck" else State.LOST
    workers = [worker for worker in broken if worker.state == wanted]
    of_workers = tuple(
        Fact(worker.node, worker.reason or worker.state, "failing") for worker in workers[:5]
    ) if told.kind in ("lost", "stuck") else ()  # fmt: skip
    failing = verdict.status is Status.FAILING
    above = (DOWN, BROKER) if told.kind in ("not-started", "starving", "ghosts") else (BROKER,)
    return Finding(
        key=f"fleets.{told.kind}:{queue}",
        detector=told.detector,
        severity=told.severity if failing else told.mild,
        title=f"{queue}: {verdict.word}",
        sentence=f"{verdict.reason[:1].upper()}{verdict.reason[1:]}.",
        target=f"fleets/{queue}",
        url=fleet_url(queue),
        facts=(*_figures(facts, oldest), *of_workers),
        series=(f"fleet.{queue}.outstanding", f"fleet.{queue}.running"),
        recommended=_recommended(facts, told, workers),
        causes=(*above, *(f"fleets.{kind}:{queue}" for kind in told.causes)),
        after_s=told.after_s,
    )


def _figures(facts: Facts, oldest: datetime | None) -> Iterable[Fact]:
    demand, supply, bounds = facts.demand, facts.supply, facts.bounds
    waiting = "unknown" if demand.queued is None else facts.backlog if facts.queued else "nothing waits"
    yield Fact("Waiting", waiting, "degraded" if facts.queued else "healthy" if demand.queued == 0 else "unknown")
    if facts.queued and oldest is not None:
        yield Fact("Oldest", f"queued for {duration((facts.now - oldest).total_seconds())}")
    if supply.in_service is None:
        yield Fact("Workers", facts.blind.workers or "unknown", "unknown")
    else:
        parts = [("in service", supply.in_service), ("launching", supply.launching), ("draining", supply.draining)]
        parts += [("lost", supply.lost), ("stuck", supply.stuck)]
        yield Fact("Workers", ", ".join(f"{number} {word}" for word, number in parts if number or word == "in service"))
        running = "unknown" if demand.running is None else str(demand.running)
        yield Fact("Slots", f"{running} of {supply.slots} in use" if supply.slots is not None else "unknown")
    sizes = (("baseline", bounds.baseline), ("desired", bounds.desired), ("max", bounds.maximum))
    said = ", ".join(f"{word} {number}" for word, number in sizes if number is not None)
    yield Fact("Group", f"{bounds.group}: {said}" if bounds.group else "no group is declared")


def _recommended(facts: Facts, told: _Told, workers: list[Worker]) -> Recommended:
    queue, url = facts.queue, fleet_url(facts.queue)
    if told.kind in ("lost", "stuck") and facts.declared and workers:
        names = [worker.instance_id or worker.node for worker in workers[:NAMED]]
        sent = urlencode([("workers", name) for name in names] + [("replace", "1")])
        text = f"Replace {listed(names)}: the group launches {'another' if len(names) == 1 else 'others'}."
        return Recommended(
            text, f"{url}drain/?{sent}", f"Replace {count(len(names), 'worker')}…", "drain",
            {"queue": queue, "workers": names, "replace": True},
        )  # fmt: skip
    size = _size(facts, told.kind)
    if size is not None:
        text = f"Resize {queue} to {' and '.join(f'{name} {value}' for name, value in size.items())}."
        return Recommended(
            text, f"{url}resize/?{urlencode(size)}", f"Resize {queue}…", "resize", {"queue": queue, **size}
        )
    texts = {
        "not-started": "Look at the scheduler and the broker: slots are free and nothing is started.",
        "ghosts": "Wait for Airflow to queue them again; look at the broker if it goes on.",
        "overdue": "Look at the group's activity in the AWS console: instances start, and no worker comes up.",
        "no-group": "Create the Auto Scaling Group, or correct its name in platform.yaml.",
    }
    return Recommended(texts.get(told.kind, "Look at the fleet and its workers."), url, "Look at the fleet")


def _size(facts: Facts, kind: str) -> dict[str, int] | None:
    """What to resize to; None where a resize is no remedy or its figures can't be seen."""
    bounds, supply = facts.bounds, facts.supply
    if not facts.declared or bounds.desired is None or supply.in_service is None:
        return None
    if kind == "starving":
        if bounds.maximum is not None and bounds.desired >= bounds.maximum:
            return {"desired": bounds.desired + 2, "max": bounds.maximum + 2}
        least = max(bounds.desired, supply.in_service) + 2
        return {"desired": least if bounds.maximum is None else min(least, bounds.maximum)}
    if kind in ("below-baseline", "not-served"):
        wanted = max(bounds.baseline or 1, 1)
        return {"desired": wanted} if bounds.desired < wanted else None
    return None
