"""The operation `deploy`: replace every old worker of one or several fleets, wave by wave. Pure.

Old is what was not launched with the wanted version. Per fleet, with D the desired capacity at the start, S the surge
and U the allowed unavailability:
- hosts <= D + S, by raising the group's desired capacity to D + S once, and never again;
- ready workers >= D - U at every moment: a drain begins only while the workers that would still be ready suffice;
- a new worker counts only when it is PROVEN: in service, answering, consuming its queue, for `min_ready_s`;
- two new workers in a row that are never ready within `ready_timeout_s` abort it before anything else is touched;
- an old worker is terminated with its replacement launched by the group as long as fewer than D new ones are expected,
  and with the desired capacity going down after that: so the surge ends by itself;
- what can't be seen is not ready, and begins nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from console.fleets import draining
from console.fleets.crew import Crew, settle
from console.fleets.drain_rules import level_of, overdue_question
from console.fleets.draining import UNDOABLE, Drain, Next, Phase, Seen
from console.lib.words import count, listed
from console.operations.rules import Call, Decision, Ledger, Line, Orders, Outcome, Progress, Question, State

VERSION = 1
FAILURES_TO_ABORT = 2
REDO_S = 20.0


@dataclass(frozen=True)
class Member:
    """One instance of the group, and one look at its worker."""

    instance_id: str
    node: str
    version: str | None
    lifecycle: str
    launched_at: datetime | None
    seen: Seen


@dataclass(frozen=True)
class FleetSeen:
    """One look at a fleet. `visible` False: the group or the broker can't be seen, and nothing begins."""

    visible: bool
    desired: int = 0
    version: str | None = None  # what the group launches now
    members: tuple[Member, ...] = ()
    drained: Mapping[str, Seen] = field(default_factory=dict)  # of instances that are no longer members


@dataclass(frozen=True)
class Fresh:
    """A new worker on its way to PROVEN."""

    instance_id: str
    since: datetime
    ready_since: datetime | None = None
    proven: bool = False
    failed: bool = False


@dataclass(frozen=True)
class Rollout:
    """One fleet's part: what it was at the start, the drains, the new workers, how many new ones are expected."""

    crew: Crew
    wanted: str
    desired: int
    old: tuple[str, ...]
    surge: int
    expected_new: int
    fresh: Mapping[str, Fresh] = field(default_factory=dict)
    failures: int = 0  # new workers in a row that were never ready
    surged_at: datetime | None = None
    surges: int = 0
    versioned_at: datetime | None = None
    vanished: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()  # terminated so that the group launches another
    dropped: tuple[str, ...] = ()  # terminated with the desired capacity going down
    done: bool = False
    waits: str = ""


@dataclass(frozen=True)
class Deploy:
    """The whole: a rollout per queue, and why it gives up, if it does. `planned` False: nothing was looked at yet."""

    rollouts: Mapping[str, Rollout]
    planned: bool = False
    giving_up: str = ""


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
    rollouts: dict[str, Rollout] = {}
    calls: list[Call] = []
    notes: list[str] = []
    verified: list[str] = []
    for queue, rollout in deploy.rollouts.items():
        look = seen.get(queue, FleetSeen(False))
        held = "paused" if orders.paused else giving_up
        turn = _Turn(parameters, rollout, look, orders, held, bool(giving_up), now)
        turn.run()
        rollouts[queue] = turn.rollout
        calls += turn.calls
        notes += turn.notes
        verified += turn.verified
    failing = [queue for queue, rollout in rollouts.items() if rollout.failures >= FAILURES_TO_ABORT]
    if failing and not giving_up:
        giving_up = f"{FAILURES_TO_ABORT} new workers in a row of {listed(failing)} were never ready"
        notes.append(f"Giving up: {giving_up}. What can be put back in service is.")
    after = Deploy(rollouts, True, giving_up)
    drains = [drain for rollout in rollouts.values() for drain in rollout.crew.drains.values()]
    overdue = [drain for drain in drains if drain.overdue(now)] if parameters["on_deadline"] == "wait" else []
    question: Question | None = overdue_question(overdue) if overdue and not giving_up else None
    return Decision(
        after,
        tuple(calls),
        tuple(verified),
        tuple(Line(note, level_of(note)) for note in notes),
        next_tick_s=2.0,
        progress=_progress(after),
        question=question,
        outcome=_outcome(after, orders),
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
        live = [member for member in look.members if not _leaving(member)]
        old = tuple(member.instance_id for member in live if member.version != wanted)
        surge = min(parameters["max_surge"], len(old))
        rollouts[queue] = Rollout(
            Crew(queue, fleet["group"], {}), wanted, look.desired, old, surge, len(live) - len(old) + surge
        )
        skipped = len(live) - len(old)
        notes.append(f"{queue}: {count(len(old), 'worker')} to replace by version {wanted}, {skipped} new already.")
    total = sum(len(rollout.old) for rollout in rollouts.values())
    return Decision(
        Deploy(rollouts, True),
        notes=tuple(Line(note) for note in notes),
        progress=Progress(0, total, "planned"),
        next_tick_s=0.5,
    )


def _leaving(member: Member) -> bool:
    return member.lifecycle.startswith(("Terminat", "Detach"))


class _Turn:
    """One fleet's part of one tick. A class only to carry what the steps share; no state outlives the tick."""

    def __init__(
        self,
        parameters: Mapping[str, Any],
        rollout: Rollout,
        look: FleetSeen,
        orders: Orders,
        held: str,
        giving_up: bool,
        now: datetime,
    ) -> None:
        self.parameters = parameters
        self.rollout = rollout
        self.look = look
        self.orders = orders
        self.held = held
        self.giving_up = giving_up
        self.now = now
        self.calls: list[Call] = []
        self.notes: list[str] = []
        self.verified: list[str] = []
        self.live = [member for member in look.members if not _leaving(member)]

    def run(self) -> None:
        results = self._step_drains()
        if self.look.visible:
            self._notice_vanished()
            self._watch_fresh()
            if not self.held and not self.rollout.done:
                if self._version_set() and self._surged():
                    results |= self._begin_drains(results)
            elif self.held:
                self.rollout = replace(self.rollout, waits=self.held)
        else:
            self.rollout = replace(self.rollout, waits="the group or the broker can't be seen")
        moved = settle(self.rollout.crew, results, self._decrement)
        self.calls += moved.calls
        self.notes += moved.notes
        self.verified += moved.verified
        self.rollout = replace(self.rollout, crew=moved.crew, done=self._is_done(moved.crew))

    # -- the old ones ------------------------------------------------------------------------------------------------

    def _seen(self, drain: Drain) -> Seen:
        for member in self.look.members:
            if member.instance_id == drain.instance_id:
                return member.seen
        return self.look.drained.get(drain.instance_id, Seen(None))

    def _step_drains(self) -> dict[str, Next]:
        results: dict[str, Next] = {}
        told = {answer.args.get("instance_id"): answer for answer in self.orders.answers}
        for drain in self.rollout.crew.at_work():
            seen = self._seen(drain)
            answer = told.get(drain.instance_id) or (told.get(None) if drain.overdue(self.now) else None)
            if self.giving_up and drain.phase in UNDOABLE:
                result = draining.undrain(drain, self.now, "abort")
            elif answer is not None and answer.choice == "force":
                result = draining.force(drain, seen, self.now, answer.by)
            elif answer is not None and answer.choice == "undrain":
                result = draining.undrain(drain, self.now, answer.by)
            elif answer is not None and answer.choice == "wait":
                longer = draining.extend(drain, self.now, self.parameters["drain_deadline_s"])
                result = draining.step(longer, seen, self.now)
            elif drain.overdue(self.now) and self.parameters["on_deadline"] == "stop":
                result = draining.force(drain, seen, self.now, "its deadline, as ordered at the start")
            else:
                result = draining.step(drain, seen, self.now)
            results[drain.instance_id] = result
        return results

    def _notice_vanished(self) -> None:
        present = {member.instance_id for member in self.live}
        known = set(self.rollout.crew.drains) | set(self.rollout.vanished)
        gone = [i for i in self.rollout.old if i not in present and i not in known]
        if gone:
            # The group keeps its desired capacity: it launches a new one for each, with the wanted version.
            expected = self.rollout.expected_new + len(gone)
            vanished = (*self.rollout.vanished, *gone)
            self.rollout = replace(self.rollout, vanished=vanished, expected_new=expected)
            self.notes.append(f"The cloud took away {listed(gone)}, which was not drained yet.")

    def _begin_drains(self, results: Mapping[str, Next]) -> dict[str, Next]:
        rollout = self.rollout
        at_work = [
            drain
            for drain in rollout.crew.at_work()
            if results.get(drain.instance_id, Next(drain)).drain.phase not in draining.ENDED
        ]
        overdue = [drain for drain in at_work if drain.overdue(self.now)]
        waiting = [m for m in self.live if m.instance_id in rollout.old and m.instance_id not in rollout.crew.drains]
        if overdue:
            self.rollout = replace(rollout, waits=f"{overdue[0].node} is overdue")
            return {}
        serving = [m for m in waiting if _serves(m)]
        proven = [m for m in self.live if (f := rollout.fresh.get(m.instance_id)) and f.proven and _serves(m)]
        back = [
            m
            for m in self.live
            if (d := rollout.crew.drains.get(m.instance_id)) and d.phase is Phase.UNDRAINED and _serves(m)
        ]
        ready = len(serving) + len(proven) + len(back)
        floor = max(1, rollout.desired - self.parameters["max_unavailable"])
        begun: dict[str, Next] = {}
        # Idle first, then the fewest tasks, then the longest in service: the wave that ends soonest.
        order = sorted(
            serving,
            key=lambda m: (len(m.seen.active or ()), m.launched_at is None, m.launched_at or self.now, m.instance_id),
        )
        for member in order:
            if ready - 1 < floor:
                break
            drain = Drain(member.node, member.instance_id, (rollout.crew.queue,))
            begun[member.instance_id] = draining.begin(
                drain, member.seen, self.now, self.parameters["drain_deadline_s"]
            )
            ready -= 1
        silent = [m for m in waiting if m not in serving]
        waits = ""
        if not begun and waiting:
            waits = (
                f"{ready} ready, {floor} must stay"
                if serving
                else f"{silent[0].node} does not answer"
                if silent
                else ""
            )
        self.rollout = replace(rollout, waits=waits)
        return begun

    def _decrement(self, drain: Drain) -> bool:
        """Whether this termination takes the desired capacity down; counts the replacement when it does not."""
        rollout, instance = self.rollout, drain.instance_id
        # Decided once for each instance: a termination that is tried again must not count another replacement.
        if instance in rollout.replaced or instance in rollout.dropped:
            return instance in rollout.dropped
        if rollout.expected_new >= rollout.desired:
            self.rollout = replace(rollout, dropped=(*rollout.dropped, instance))
            return True
        replaced = (*rollout.replaced, instance)
        self.rollout = replace(rollout, replaced=replaced, expected_new=rollout.expected_new + 1)
        return False

    # -- the group and the new ones ----------------------------------------------------------------------------------

    def _version_set(self) -> bool:
        rollout = self.rollout
        if self.look.version == rollout.wanted:
            self.verified.append(f"{rollout.crew.queue}:version")
            return True
        if rollout.versioned_at is None or (self.now - rollout.versioned_at).total_seconds() >= REDO_S:
            args = {"group": rollout.crew.group, "version": rollout.wanted}
            title = f"Let {rollout.crew.group} launch version {rollout.wanted}"
            self.calls.append(Call(f"{rollout.crew.queue}:version", "set_version", title, args))
            self.rollout = replace(rollout, versioned_at=self.now, waits="the group is to launch the wanted version")
        return False

    def _surged(self) -> bool:
        rollout = self.rollout
        if not rollout.surge or (rollout.surges and self.look.desired != rollout.desired):
            if rollout.surges:
                self.verified.append(f"{rollout.crew.queue}:surge:{rollout.surges}")
            return True
        if rollout.surges and rollout.crew.drains:
            return True  # it went back down by the last terminations
        if rollout.surged_at is None or (self.now - rollout.surged_at).total_seconds() >= REDO_S:
            number = rollout.surges + 1
            target = rollout.desired + rollout.surge
            args = {"group": rollout.crew.group, "desired": target}
            title = f"Raise {rollout.crew.group} to {count(target, 'worker')}"
            self.calls.append(Call(f"{rollout.crew.queue}:surge:{number}", "set_desired", title, args))
            self.rollout = replace(rollout, surged_at=self.now, surges=number, waits="the group launches the surge")
        return False

    def _watch_fresh(self) -> None:
        rollout = self.rollout
        fresh = dict(rollout.fresh)
        failures = rollout.failures
        for member in self.live:
            if member.version != rollout.wanted or member.instance_id in rollout.old:
                continue
            one = fresh.get(member.instance_id, Fresh(member.instance_id, self.now))
            if member.seen.answered is not None and not one.failed:
                one = _progressed(one, _serves(member), self.parameters, self.now)
                if one.proven and not fresh.get(member.instance_id, one).proven:
                    self.notes.append(f"{member.node} serves {rollout.crew.queue}.")
                if one.proven:
                    failures = 0
                elif one.failed:
                    failures += 1
                    self.notes.append(f"{member.node} was not ready after {self.parameters['ready_timeout_s']:.0f} s.")
            fresh[member.instance_id] = one
        present = {member.instance_id for member in self.live}
        for instance, one in list(fresh.items()):
            if instance not in present:
                if not one.proven and not one.failed:
                    failures += 1
                    self.notes.append(f"New worker {instance} ended before it was ready.")
                del fresh[instance]
        self.rollout = replace(rollout, fresh=fresh, failures=failures)

    def _is_done(self, crew: Crew) -> bool:
        rollout = self.rollout
        if not self.look.visible or crew.at_work():
            return False
        old = [m for m in self.live if m.instance_id in rollout.old and _drain_phase(crew, m) is not Phase.UNDRAINED]
        if old:
            return False
        back = sum(1 for drain in crew.drains.values() if drain.phase is Phase.UNDRAINED)
        return sum(1 for one in rollout.fresh.values() if one.proven) + back >= rollout.desired


def _drain_phase(crew: Crew, member: Member) -> Phase | None:
    drain = crew.drains.get(member.instance_id)
    return drain.phase if drain else None


def _serves(member: Member) -> bool:
    return member.lifecycle == "InService" and bool(member.seen.answered) and bool(member.seen.queues)


def _progressed(one: Fresh, serves: bool, parameters: Mapping[str, Any], now: datetime) -> Fresh:
    if not serves:
        late = not one.proven and (now - one.since).total_seconds() >= parameters["ready_timeout_s"]
        return replace(one, ready_since=None, failed=late)
    ready_since = one.ready_since or now
    proven = one.proven or (now - ready_since).total_seconds() >= parameters["min_ready_s"]
    return replace(one, ready_since=ready_since, proven=proven)


def _progress(deploy: Deploy) -> Progress:
    done = sum(
        sum(1 for drain in rollout.crew.drains.values() if drain.phase in (Phase.GONE, Phase.LOST))
        + len(rollout.vanished)
        for rollout in deploy.rollouts.values()
    )
    total = sum(len(rollout.old) for rollout in deploy.rollouts.values())
    waits = [
        f"{queue}: {rollout.waits}" for queue, rollout in deploy.rollouts.items() if rollout.waits and not rollout.done
    ]
    return Progress(done, total, listed(waits) or f"{done} of {total} replaced")


def _outcome(deploy: Deploy, orders: Orders) -> Outcome | None:
    rollouts = deploy.rollouts.values()
    drains = [drain for rollout in rollouts for drain in rollout.crew.drains.values()]
    lost = [task for drain in drains for task in drain.lost]
    died = [drain for drain in drains if drain.phase is Phase.LOST]
    gone = sum(1 for drain in drains if drain.phase in (Phase.GONE, Phase.LOST))
    if deploy.giving_up:
        if any(not drain.ended for drain in drains):
            return None
        state = State.ABORTED if orders.aborting else State.FAILED
        tail = f" Lost work: {listed(lost, 5)}." if lost else ""
        return Outcome(state, f"Given up ({deploy.giving_up}): {gone} replaced, the others serve on.{tail}")
    if not all(rollout.done for rollout in rollouts):
        return None
    back = [drain.node for drain in drains if drain.phase is Phase.UNDRAINED]
    if died:
        what = f"lost work: {listed(lost, 5)}" if lost else "no task is known to be lost"
        return Outcome(
            State.FAILED, f"Replaced, but {listed([d.node for d in died])} ended before it was empty; {what}."
        )
    if back:
        return Outcome(State.FAILED, f"{gone} replaced; {listed(back)} was put back in service and is still old.")
    return Outcome(State.SUCCEEDED, f"{count(gone, 'worker')} replaced, no task lost.")
