"""One fleet's part of one tick of a deploy. Pure; the promises it keeps stand in `rules`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from console.deploys.arrivals import unseen, want_canary, watch
from console.deploys.state import Fresh, Rollout
from console.fleets import draining
from console.fleets.crew import Crew, settle, target
from console.fleets.drain_steps import Terms, next_of
from console.fleets.draining import ENDED, Drain, Next, Phase
from console.fleets.members import FleetSeen, Member, ends_soonest
from console.lib.words import count, listed
from console.operations.rules import Call, Ledger, Orders, StepState

REDO_S = 20.0
REFUSALS = 3


class Turn:
    """A class only to carry what the steps share; nothing of it outlives the tick but `rollout`."""

    def __init__(
        self,
        parameters: Mapping[str, Any],
        rollout: Rollout,
        look: FleetSeen,
        ledger: Ledger,
        orders: Orders,
        giving_up: bool,
        held: str,
        now: datetime,
    ) -> None:
        self.parameters = parameters
        self.rollout = rollout
        self.look = look
        self.ledger = ledger
        self.orders = orders
        self.giving_up = giving_up
        self.held = held
        self.now = now
        self.queue = rollout.crew.queue
        self.calls: list[Call] = []
        self.notes: list[str] = []
        self.verified: list[str] = []
        self.lock: list[str] = []
        self.version_is_back = rollout.done or not rollout.versioned_at or not rollout.before
        self.live = look.live

    def run(self) -> None:
        if self.rollout.done:
            return
        results = self._step_drains()
        if self.look.visible:
            self._notice_vanished()
            self._notice_latecomers()
            self.rollout, told = watch(self.rollout, self.live, self.parameters, self.now)
            self.notes += told
            self._send_canaries()
            if self.giving_up:
                self.version_is_back = self._version_back()
            if self.held:
                self.rollout = replace(self.rollout, waits=self.held)
            elif self._version_set() and self._surged():
                results |= self._begin_drains(results)
        else:
            self.rollout = replace(unseen(self.rollout, self.now), waits="the group or the broker can't be seen")
        moved = settle(self.rollout.crew, results, self._decrement)
        self._count_gone(results)
        self.calls += moved.calls
        self.notes += moved.notes
        self.verified += moved.verified
        self.rollout = replace(self.rollout, crew=moved.crew)
        if not self.held and self.look.visible and self._all_replaced() and self._sized():
            self.rollout = replace(self.rollout, done=self._enough())

    # -- the old ones ------------------------------------------------------------------------------------------------

    def _step_drains(self) -> dict[str, Next]:
        terms = Terms(self.parameters["drain_deadline_s"], self.parameters["on_deadline"] == "stop")
        ready, floor = self._ready(), self._floor()
        too_few = "" if ready >= floor else f"{ready} ready, {floor} must stay"
        return {
            drain.instance_id: next_of(
                drain, look, self.orders, terms, self.now, giving_up=self.giving_up, too_few=too_few
            )
            for drain in self.rollout.crew.at_work()
            for look in (self.look.of(drain.instance_id),)
        }

    def _send_canaries(self) -> None:
        """Where it is asked for, a new worker proves by a task of its own that it runs what it takes."""
        rollout = self.rollout
        if members := want_canary(rollout, self.live, self.parameters, self.now):
            number = rollout.canaries + 1
            key = f"{self.queue}:canary:{number}"
            who = members[0].node if len(members) == 1 else count(len(members), "new worker")
            self.calls.append(Call(key, "canary", f"Send {who} a canary task", {"nodes": [m.node for m in members]}))
            sent = {m.instance_id: self._sent(m, key) for m in members}
            rollout = replace(rollout, canaries=number, fresh={**rollout.fresh, **sent})
        nodes = {member.instance_id: member.node for member in self.live}
        open_keys = {one.canary_key for one in rollout.fresh.values() if one.canary_key and not one.proven}
        for key in {one.canary_key for one in rollout.fresh.values() if one.canary_key} - open_keys:
            if self.ledger.stage(key) is not StepState.VERIFIED:
                self.verified.append(key)
            again = [nodes[i] for i, one in rollout.fresh.items() if one.canary_key == key and i in nodes]
            if again and self.ledger.stage(f"{key}:end") in (None, StepState.INTENT):
                title = f"End the canary of {count(len(again), 'worker')}"
                self.calls.append(Call(f"{key}:end", "canary_end", title, {"nodes": again}))
        self.rollout = rollout

    def _sent(self, member: Member, key: str) -> Fresh:
        return replace(self.rollout.fresh[member.instance_id], canary_at=self.now, canary_key=key)

    def _floor(self) -> int:
        """As many must stay ready, whatever happens: never the queue's last consumer."""
        return max(1, self.rollout.desired - int(self.parameters["max_unavailable"]))

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

    def _notice_latecomers(self) -> None:
        """The group may have launched the old version once more, before it was told otherwise."""
        rollout = self.rollout
        late = [m for m in self.live if m.version != rollout.wanted and m.instance_id not in rollout.old]
        if late:
            old = (*rollout.old, *(member.instance_id for member in late))
            self.rollout = replace(rollout, old=old, expected_new=rollout.expected_new - len(late))
            self.notes.append(f"{listed([m.node for m in late])} was launched with the old version.")

    def _waiting(self) -> list[Member]:
        """Old ones that are not being drained yet."""
        return [
            m for m in self.live if m.instance_id in self.rollout.old and m.instance_id not in self.rollout.crew.drains
        ]

    def _ready(self) -> int:
        """Workers that serve and that this deploy may count on."""
        drains, fresh = self.rollout.crew.drains, self.rollout.fresh
        ready = 0
        for member in self.live:
            instance = member.instance_id
            if not member.serves(self.queue):
                continue
            drain, new = drains.get(instance), fresh.get(instance)
            if drain is not None:
                ready += drain.phase is Phase.UNDRAINED
            elif instance in self.rollout.old:
                ready += self._mine(member)  # whoever else holds it may be about to take it away
            else:
                ready += new is not None and new.proven
        return ready

    def _mine(self, member: Member) -> bool:
        """Whether the operation holds this worker alone; else it asks for it, and knows at the next tick."""
        name = target(member.instance_id)
        if name in self.ledger.held:
            return True
        if name not in self.lock:
            self.lock.append(name)
        return False

    def _begin_drains(self, results: Mapping[str, Next]) -> dict[str, Next]:
        rollout = self.rollout
        at_work = [results[d.instance_id].drain if d.instance_id in results else d for d in rollout.crew.at_work()]
        asked = [drain for drain in at_work if drain.phase not in ENDED and drain.needs_choice(self.now)]
        if asked:
            self.rollout = replace(rollout, waits=f"{asked[0].node} waits for a person's choice")
            return {}
        waiting = [member for member in self._waiting() if self._mine(member)]
        serving = [member for member in waiting if member.serves(self.queue)]
        ready = self._ready()
        floor = self._floor()
        begun: dict[str, Next] = {}
        for member in sorted(serving, key=ends_soonest):
            if ready - 1 < floor:
                break
            begun[member.instance_id] = self._begin(member)
            ready -= 1
        silent = [member for member in waiting if member not in serving and member.lifecycle == "InService"]
        if not begun and ready >= floor:
            # Not counted as ready; if one of them serves all the same, the others are still enough.
            begun = {member.instance_id: self._begin(member) for member in silent}
        self.rollout = replace(rollout, waits="" if begun else self._why_waiting(serving, silent, ready, floor))
        return begun

    def _begin(self, member: Member) -> Next:
        drain = Drain(member.node, member.instance_id, (self.queue,))
        return draining.begin(drain, member.seen, self.now, self.parameters["drain_deadline_s"])

    def _why_waiting(self, serving: list[Member], silent: list[Member], ready: int, floor: int) -> str:
        missing = [m for m in self._waiting() if target(m.instance_id) not in self.ledger.held]
        held = {self.ledger.refused[name] for m in missing if (name := target(m.instance_id)) in self.ledger.refused}
        if held:
            return f"{listed(sorted(held))} holds {listed([m.node for m in missing])}"
        if serving or silent:
            tail = f"; {silent[0].node} does not answer" if silent else ""
            return f"{ready} ready, {floor} must stay{tail}"
        return ""

    def _decrement(self, drain: Drain) -> bool:
        """Whether this termination takes the desired capacity down; counts the replacement when it does not."""
        rollout, instance = self.rollout, drain.instance_id
        # Decided once for each instance: a termination that is tried again must not count another replacement.
        if instance in rollout.replaced or instance in rollout.dropped:
            return instance in rollout.dropped
        if instance not in rollout.old or rollout.expected_new >= rollout.desired:
            self.rollout = replace(rollout, dropped=(*rollout.dropped, instance))
            return True
        self.rollout = replace(rollout, replaced=(*rollout.replaced, instance), expected_new=rollout.expected_new + 1)
        return False

    def _count_gone(self, results: Mapping[str, Next]) -> None:
        """Instances that went without our word: the group replaces them."""
        for instance, result in results.items():
            rollout = self.rollout
            ours = instance in rollout.replaced or instance in rollout.dropped
            if result.drain.phase in (Phase.GONE, Phase.LOST) and not ours and instance in rollout.old:
                self.rollout = replace(
                    rollout, replaced=(*rollout.replaced, instance), expected_new=rollout.expected_new + 1
                )

    # -- the group ---------------------------------------------------------------------------------------------------

    def refused(self) -> str:
        """What the group will not do, however often it is asked; "" when nothing was refused."""
        for what in ("version", "surge"):
            steps = [step for key, step in self.ledger.steps.items() if key.startswith(f"{self.queue}:{what}:")]
            failed = [step for step in steps if step.state is StepState.FAILED]
            if len(failed) >= REFUSALS:
                return f"{self.rollout.crew.group} refused its {what}: {failed[-1].error.rstrip('.')}"
        return ""

    def _version_set(self) -> bool:
        rollout = self.rollout
        if self.look.version == rollout.wanted:
            if rollout.versions:
                self.verified.append(f"{self.queue}:version:{rollout.versions}")
            return True
        if self._again(rollout.versioned_at):
            number = rollout.versions + 1
            args = {"group": rollout.crew.group, "version": rollout.wanted}
            title = f"Let {rollout.crew.group} launch version {rollout.wanted}"
            self.calls.append(Call(f"{self.queue}:version:{number}", "set_version", title, args))
            waits = "the group is to launch the wanted version"
            self.rollout = replace(rollout, versioned_at=self.now, versions=number, waits=waits)
        return False

    def _version_back(self) -> bool:
        """A deploy that gives up leaves a group that launches what it launched before; True once that is done."""
        if self.version_is_back:
            return True
        key, group, before = f"{self.queue}:version-back", self.rollout.crew.group, self.rollout.before
        stage = self.ledger.stage(key)
        if self.look.version == before:
            self.verified.append(key)
            return True
        if stage in (None, StepState.INTENT):
            title = f"Let {group} launch version {before} again"
            self.calls.append(Call(key, "set_version", title, {"group": group, "version": before}))
            return False
        return True  # called, or refused: it was tried

    @property
    def left_at(self) -> str:
        """Where the group is larger than it was, in words; "" where it is not."""
        if self.rollout.done or not self.look.visible or self.look.desired <= self.rollout.desired:
            return ""
        return f"{self.rollout.crew.group}, {self.look.desired} instead of {self.rollout.desired}"

    def _surged(self) -> bool:
        rollout = self.rollout
        if not rollout.surge or (rollout.surges and self.look.desired != rollout.desired):
            if rollout.surges:
                self.verified.append(f"{self.queue}:surge:{rollout.surges}")
            return True
        if rollout.surges and rollout.crew.drains:
            return True  # it went back down by the last terminations
        if self._again(rollout.surged_at):
            number = rollout.surges + 1
            size = rollout.desired + rollout.surge
            args = {"group": rollout.crew.group, "desired": size}
            title = f"Raise {rollout.crew.group} to {count(size, 'worker')}"
            self.calls.append(Call(f"{self.queue}:surge:{number}", "set_desired", title, args))
            self.rollout = replace(rollout, surged_at=self.now, surges=number, waits="the group launches the surge")
        return False

    def _again(self, at: datetime | None) -> bool:
        """Whether a call may be made, or made again. A clock that went back does not hold it up for ever."""
        return at is None or abs((self.now - at).total_seconds()) >= REDO_S

    # -- the end -----------------------------------------------------------------------------------------------------

    def _all_replaced(self) -> bool:
        return not self.rollout.crew.at_work() and not self._waiting()

    def _sized(self) -> bool:
        """Whether the group is back at its desired capacity; where the cloud took something away it may not be.

        Too many are drained, never just unwished for: the group would choose one with work on it.
        """
        rollout = self.rollout
        if self.look.desired == rollout.desired:
            if rollout.sizes:
                self.verified.append(f"{self.queue}:size:{rollout.sizes}")
            return True
        if self.look.desired < rollout.desired:
            if self._again(rollout.sized_at):
                number = rollout.sizes + 1
                args = {"group": rollout.crew.group, "desired": rollout.desired}
                title = f"Bring {rollout.crew.group} back to {count(rollout.desired, 'worker')}"
                self.calls.append(Call(f"{self.queue}:size:{number}", "set_desired", title, args))
                self.rollout = replace(rollout, sized_at=self.now, sizes=number)
            return False
        self._drain_surplus()
        return False

    def _drain_surplus(self) -> None:
        rollout, ready = self.rollout, self._ready()
        new = [m for m in self.live if m.instance_id in rollout.fresh and m.instance_id not in rollout.crew.drains]
        broken = [m for m in new if rollout.fresh[m.instance_id].failed and not m.serves(self.queue)]
        chosen = broken if ready >= rollout.desired else []
        if not chosen and ready > rollout.desired:
            chosen = sorted((m for m in new if m.serves(self.queue)), key=ends_soonest)
        member = next((m for m in chosen if self._mine(m)), None)
        if member is None:
            waits = f"{count(self.look.desired, 'worker')} where {rollout.desired} are due"
            self.rollout = replace(rollout, waits=waits)
            return
        moved = settle(rollout.crew, {member.instance_id: self._begin(member)}, self._decrement)
        self.rollout = replace(self.rollout, crew=moved.crew, waits="")
        self.calls += moved.calls
        self.notes += (f"{member.node} is one more than there are to be.", *moved.notes)

    def _enough(self) -> bool:
        drains: Crew = self.rollout.crew
        back = sum(1 for drain in drains.drains.values() if drain.phase is Phase.UNDRAINED)
        proven = sum(1 for i, one in self.rollout.fresh.items() if one.proven and i not in drains.drains)
        return proven + back >= self.rollout.desired
