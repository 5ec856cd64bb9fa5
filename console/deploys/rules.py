"""The operation `deploy`: replace every old worker of one or several fleets, wave by wave. Pure.

Old is what was not launched with the wanted version. Per fleet, with D the desired capacity at the start, S the surge
and U the allowed unavailability:
- hosts <= D + S, by raising the group's desired capacity to D + S once, and never again;
- ready workers >= D - U at every moment: a drain begins only while the workers that would still be ready suffice;
- a new worker counts only when it is PROVEN: in service, answering, consuming its queue, for `min_ready_s`;
- two new workers in a row that are never ready within `ready_timeout_s` abort it before anything else is touched;
- an old worker is terminated with its replacement launched by the group as long as fewer than D new ones are expected,
  and with the desired capacity going down after that: so the surge ends by itself;
- every worker is held alone (`worker:ID`) before it is drained: what somebody else drains is neither counted nor begun;
- at its end the group is at D again; what is too many by then (the cloud replaced one by itself) is drained;
- one that gives up lets the group launch what it launched before;
- what can't be seen is not ready, and begins nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from console.deploys.state import Deploy, Rollout
from console.deploys.turn import Turn
from console.fleets.crew import Crew, target
from console.fleets.drain_rules import level_of, question
from console.fleets.draining import UNDOABLE, Drain, Phase
from console.fleets.members import FleetSeen
from console.lib.words import count, listed
from console.operations.rules import Decision, Ledger, Level, Line, Orders, Outcome, Progress, State

VERSION = 1
FAILURES_TO_ABORT = 2


def start(parameters: Mapping[str, Any]) -> Deploy:
    return Deploy({})


def decide(
    parameters: Mapping[str, Any],
    deploy: Deploy,
    seen: Mapping[str, FleetSeen],
    ledger: Ledger,
    orders: Orders,
    now: datetime,
) -> Decision[Deploy]:
    if not deploy.planned:
        return _plan(parameters, seen, orders, now)
    giving_up = deploy.giving_up or ("aborted by a person" if orders.aborting else "")
    held = giving_up or ("paused" if orders.paused else "")
    turns = [
        Turn(parameters, rollout, seen.get(queue, FleetSeen(False)), ledger, orders, bool(giving_up), held, now)
        for queue, rollout in deploy.rollouts.items()
    ]
    for turn in turns:
        turn.run()
    failing = [turn.queue for turn in turns if turn.rollout.failures >= FAILURES_TO_ABORT]
    refused = [turn.refused() for turn in turns if turn.refused()]
    if (failing or refused) and not giving_up:
        why = f"{FAILURES_TO_ABORT} new workers in a row of {listed(failing)} were never ready"
        why = why if failing else refused[0]
        # Decide again from the same look: what this tick would have begun is not begun.
        decision = decide(parameters, replace(deploy, giving_up=why), seen, ledger, orders, now)
        told = Line(f"Giving up: {why}. What can be put back in service is.", Level.WARNING)
        return replace(decision, notes=(*decision.notes, told))
    after = Deploy({turn.queue: turn.rollout for turn in turns}, True, giving_up)
    drains = [drain for turn in turns for drain in turn.rollout.crew.at_work()]
    if giving_up:  # these are put back in service without asking
        drains = [drain for drain in drains if drain.phase not in UNDOABLE]
    return Decision(
        after,
        tuple(call for turn in turns for call in turn.calls),
        tuple(key for turn in turns for key in turn.verified),
        tuple(Line(note, level_of(note)) for turn in turns for note in turn.notes),
        next_tick_s=2.0,
        progress=_progress(after),
        question=question(drains, now, ask_overdue=parameters["on_deadline"] == "wait"),
        outcome=_outcome(after, turns, orders),
        lock=tuple(name for turn in turns for name in turn.lock),
    )


def _plan(
    parameters: Mapping[str, Any], seen: Mapping[str, FleetSeen], orders: Orders, now: datetime
) -> Decision[Deploy]:
    """The first look: what is old, how many there should be. Until every fleet is seen nothing is touched."""
    if orders.aborting:
        return Decision(Deploy({}), outcome=Outcome(State.ABORTED, "Nothing had been touched."))
    blind = [fleet["queue"] for fleet in parameters["fleets"] if not seen.get(fleet["queue"], FleetSeen(False)).visible]
    if blind:
        return Decision(Deploy({}), progress=Progress(text=f"waiting to see {listed(blind)}"))
    rollouts = {}
    notes = []
    for fleet in parameters["fleets"]:
        queue, look = fleet["queue"], seen[fleet["queue"]]
        wanted = parameters["version"] or look.version or ""
        live = look.live
        old = tuple(member.instance_id for member in live if member.version != wanted)
        surge = min(parameters["max_surge"], len(old))
        rollouts[queue] = Rollout(
            crew=Crew(queue, fleet["group"], {}),
            wanted=wanted,
            desired=look.desired,
            old=old,
            surge=surge,
            expected_new=len(live) - len(old) + surge,
            before=look.version or "",
        )
        skipped = len(live) - len(old)
        notes.append(f"{queue}: {count(len(old), 'worker')} to replace by version {wanted}, {skipped} new already.")
    total = sum(len(rollout.old) for rollout in rollouts.values())
    return Decision(
        Deploy(rollouts, True),
        notes=tuple(Line(note) for note in notes),
        progress=Progress(0, total, "planned"),
        next_tick_s=0.5,
        lock=tuple(target(instance) for rollout in rollouts.values() for instance in rollout.old),
    )


def _drains(rollout: Rollout) -> list[Drain]:
    """Those of the old workers: a new one that was one too many is not counted."""
    return [drain for instance, drain in rollout.crew.drains.items() if instance in rollout.old]


def _progress(deploy: Deploy) -> Progress:
    rollouts = deploy.rollouts
    gone = (Phase.GONE, Phase.LOST)
    done = sum(sum(d.phase in gone for d in _drains(each)) + len(each.vanished) for each in rollouts.values())
    total = sum(len(rollout.old) for rollout in rollouts.values())
    waits = [f"{queue}: {rollout.waits}" for queue, rollout in rollouts.items() if rollout.waits and not rollout.done]
    return Progress(done, total, listed(waits) or f"{done} of {total} replaced")


def _outcome(deploy: Deploy, turns: Sequence[Turn], orders: Orders) -> Outcome | None:
    rollouts = list(deploy.rollouts.values())
    drains = [drain for rollout in rollouts for drain in _drains(rollout)]
    lost = [task for rollout in rollouts for drain in rollout.crew.drains.values() for task in drain.lost]
    died = [drain for drain in drains if drain.phase is Phase.LOST]
    gone = sum(1 for drain in drains if drain.phase in (Phase.GONE, Phase.LOST))
    vanished = [instance for rollout in rollouts for instance in rollout.vanished]
    tail = ""
    if vanished:
        tail = f" The cloud took away {listed(vanished)} undrained: what ran there is Airflow's to retry."
    if deploy.giving_up:
        if any(rollout.crew.at_work() for rollout in rollouts) or not all(turn.version_is_back for turn in turns):
            return None
        state = State.ABORTED if orders.aborting else State.FAILED
        large = [turn.left_at for turn in turns if turn.left_at]
        tail += f" Lost work: {listed(lost, 5)}." if lost else ""
        tail += f" Larger than before: {listed(large)}; resize when it suits." if large else ""
        return Outcome(state, f"Given up ({deploy.giving_up}): {gone} replaced, the others serve on.{tail}")
    if not all(rollout.done for rollout in rollouts):
        return None
    back = [drain.node for drain in drains if drain.phase is Phase.UNDRAINED]
    if died:
        what = f"lost work: {listed(lost, 5)}" if lost else "no task is known to be lost"
        text = f"Replaced, but {listed([d.node for d in died])} ended before it was empty; {what}.{tail}"
        return Outcome(State.FAILED, text)
    if back:
        text = f"{gone} replaced; {listed(back)} was put back in service and is still old.{tail}"
        return Outcome(State.FAILED, text)
    none = "" if vanished else ", no task lost"
    return Outcome(State.SUCCEEDED, f"{count(gone, 'worker')} replaced{none}.{tail}")
