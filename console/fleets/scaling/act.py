"""Deciding for each fleet and asking for what was decided: by operations only, like anybody else."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction

from console.accounts.actor import CONSOLE
from console.fleets.models import ScalingDecision
from console.fleets.record import series_name
from console.fleets.scaling.facts import Look, look_at, scaled_fleets
from console.fleets.scaling.protect_kind import wanted
from console.fleets.scaling.rules import Action, Decision, boot_of, decide
from console.fleets.scaling.victims import choose
from console.history import series
from console.lib.words import count, listed
from console.live.changes import publish
from console.operations.kinds import Invalid
from console.operations.models import Operation
from console.operations.submit import Conflict, NotNow, Refused, order, submit

log = logging.getLogger(__name__)

DRAIN_DEADLINE_S = 86400.0
"""Nobody is in a hurry: past a day a person is asked."""
HOLDS_KEPT = timedelta(hours=48)
KEPT = timedelta(days=90)


@dataclass(frozen=True)
class Came:
    """What became of a decision: the operation, or why none was asked for."""

    operation: Operation | None = None
    text: str = ""


def decide_all(now: datetime) -> list[tuple[Look, Decision]]:
    """One decision for each fleet that is scaled or watched; each is remembered, and those of mode console acted on."""
    looks = [look for look in look_at(scaled_fleets(), now) if look.mode != "off"]
    last = _last([look.fleet.queue for look in looks])
    rows, made, samples = [], [], []
    for look in looks:
        decision = decide(look.policy, look.demand, look.supply, look.past, now, blind=look.blind, hold=look.hold)
        decision = replace(decision, remarks=(*decision.remarks, *look.remarks))
        came = _act(look, decision, now) if look.mode == "console" else Came(text=_watched(decision))
        rows.append(_row(look, decision, came, last.get(look.fleet.queue), now))
        made.append((look, decision))
        samples.append((series_name(look.fleet.queue, "needed"), decision.need))
        if not look.blind:
            _protect(look, now)
    ScalingDecision.objects.bulk_create(rows)
    series.record(samples, now)
    if any(row.news for row in rows):
        publish("fleets")
    return made


def _last(queues: Sequence[str]) -> dict[str, ScalingDecision]:
    return ScalingDecision.objects.newest(queues)


def _watched(decision: Decision) -> str:
    return "only published: the group's own policy decides" if decision.delta else ""


def _act(look: Look, decision: Decision, now: datetime) -> Came:
    if decision.action not in (Action.OUT, Action.IN) or decision.desired is None:
        return Came()
    try:
        with transaction.atomic():
            return _out(look, decision, now) if decision.action is Action.OUT else _in(look, decision, now)
    except Conflict as error:
        return Came(text=f"not now: OP-{error.operation.pk} ({error.operation.kind}) has its hands on it")
    except Refused as error:
        return Came(text=f"refused: {error}")
    except Invalid as error:
        return Came(text=f"not possible: {error}")


def _out(look: Look, decision: Decision, now: datetime) -> Came:
    """By the group's desired capacity. What is being drained still counts there until it has gone."""
    assert decision.desired is not None
    wanted = decision.desired + look.supply.leaving
    most = look.supply.maximum or 0
    desired = min(wanted, most)
    if desired <= (look.supply.desired or 0):
        off = _call_off(look, decision)
        if off:
            return Came(text=f"{listed([f'OP-{pk}' for pk in off])} called off: those workers are needed again")
        return Came(text=f"the group is at its maximum of {most} until what is drained has gone")
    sent = {"queue": look.fleet.queue, "desired": desired, "wait": False}
    return Came(submit("resize", sent, reason=decision.because[:1000], by=CONSOLE, now=now))


def _call_off(look: Look, decision: Decision) -> list[int]:
    """At the maximum the autoscaler's own drains are in the way: whoever still can takes its queue up again."""
    off = []
    for pk in look.own_drains:
        try:
            with transaction.atomic():
                order(pk, "abort", reason=f"Needed again. {decision.because}"[:1000], by=CONSOLE)
        except NotNow:
            continue
        off.append(pk)
    return off


def _in(look: Look, decision: Decision, now: datetime) -> Came:
    """By the drain of chosen victims, each of which takes its place in the group along."""
    assert decision.desired is not None
    # What boots or is lost serves nobody yet: only workers in service beyond the wanted number may go.
    serving = sum(1 for each in look.candidates if each.instance_id not in look.kept)
    surplus = min(-decision.delta, serving - decision.desired)
    if surplus <= 0:
        return Came(text=f"not yet: {count(serving, 'worker')} of {decision.desired} wanted are in service")
    victims = choose(look.candidates, surplus, keep=look.kept)
    if not victims:
        return Came(text="no worker can be drained now: none is in service that nobody else holds")
    who = listed([f"{each.candidate.instance_id} ({each.why})" for each in victims], 5)
    sent = {
        "queue": look.fleet.queue,
        "workers": [each.candidate.instance_id for each in victims],
        "deadline_s": DRAIN_DEADLINE_S,
        "on_deadline": "wait",
        "replace": False,
    }
    reason = f"{decision.because[: 900 - len(who)]} Drained: {who}."
    return Came(submit("drain", sent, reason=reason, by=CONSOLE, now=now))


def _protect(look: Look, now: datetime) -> None:
    """Busy workers are protected from their group; in mode publish idle ones are released to it."""
    busy = {each.instance_id: None if each.active is None else each.active > 0 for each in look.candidates}
    protected = {each.instance_id: each.protected for each in look.candidates}
    protect, release = wanted(busy, protected, release=look.mode == "publish")
    if not protect and not release:
        return
    sent = {"queue": look.fleet.queue, "protect": list(protect), "release": list(release)}
    reason = f"Its group never chooses a busy worker: {count(len(protect), 'busy one')} without protection."
    if not protect:
        reason = f"The group needs idle workers to choose from: {len(release)} became idle."
    try:
        with transaction.atomic():
            submit("protect", sent, reason=reason, by=CONSOLE, now=now)
    except (Conflict, Invalid, Refused) as error:
        log.debug("protection of %s: %s", look.fleet.queue, error)


def _row(look: Look, decision: Decision, came: Came, before: ScalingDecision | None, now: datetime) -> ScalingDecision:
    """Blind once, a hold once: what only repeats the row before it is no news."""
    news = (
        before is None
        or bool(came.operation)
        or (before.action, before.desired, before.outcome) != (decision.action, decision.desired, came.text[:1000])
    )
    return ScalingDecision(
        queue=look.fleet.queue,
        at=now,
        action=decision.action.value,
        current=decision.current,
        desired=decision.desired,
        need=decision.need,
        because=decision.because,
        inputs=inputs_of(look, decision),
        news=news,
        operation=came.operation.pk if came.operation else None,
        outcome=came.text[:1000],
    )


def inputs_of(look: Look, decision: Decision) -> dict[str, object]:
    """Every figure that the decision was taken from, as it is kept and shown."""
    demand, supply = look.demand, look.supply
    return {
        "mode": look.mode,
        "queued": demand.queued,
        "running": demand.running,
        "depth": demand.depth,
        "slots": look.policy.slots,
        "in_service": supply.in_service,
        "launching": len(supply.arriving_s),
        "leaving": supply.leaving,
        "group_desired": supply.desired,
        "boot_s": round(boot_of(look.policy, supply), 1),
        "boot": "declared" if look.policy.boot_s else "measured" if supply.boot_s else "assumed",
        "known": sum(1 for each in (*demand.left_s, *demand.take_s) if each is not None),
        "peaks": [[peak.dag_id, peak.at.isoformat(), peak.tasks] for peak in demand.peaks[:10]],
        "lines": [list(line) for line in decision.lines],
        "remarks": list(decision.remarks),
    }


def forget(now: datetime) -> None:
    """Repetitions after two days, everything after ninety."""
    ScalingDecision.objects.filter(news=False, at__lt=now - HOLDS_KEPT).delete()
    ScalingDecision.objects.filter(at__lt=now - KEPT).delete()


def summed(decisions: Sequence[tuple[Look, Decision]]) -> str:
    """For the log: how many changed what."""
    changed = [f"{look.fleet.queue} {decision.delta:+d}" for look, decision in decisions if decision.delta]
    return f"{count(len(decisions), 'fleet')}, {listed(changed, 10) or 'nothing changes'}"
