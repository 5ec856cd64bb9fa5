"""A simulated fleet for the deploy's rule: hosts that boot, work, stop, vanish; a group that keeps its desired number.

It knows the truth, and so can say what the rule must never do: end a host that still has work, let fewer be ready than
promised, run more hosts than allowed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from console.deploys import memory, rules
from console.fleets.draining import Receipt, Seen
from console.fleets.members import FleetSeen, Member
from console.operations.rules import Answer, Decision, Ledger, Orders, StepSeen, StepState

START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
GROUP = {"queue": "cpu", "group": "g"}


@dataclass
class Host:
    id: str
    version: str
    up_at: float  # when its worker serves; infinity: never
    tasks: list[float] = field(default_factory=list)  # when each ends
    consuming: bool = True
    stopping: bool = False
    exited: bool = False
    killed: bool = False
    gone: bool = False
    pid: int = 0

    def serves(self, now_s: float) -> bool:
        return not self.gone and not self.exited and not self.stopping and self.consuming and now_s >= self.up_at

    def answers(self, now_s: float) -> bool:
        return not self.gone and not self.exited and not self.stopping and now_s >= self.up_at


@dataclass
class Fleet:
    desired: int
    maximum: int
    seed: int = 0
    version: str = "1"
    boot_s: float = 20.0
    slots: int = 4
    busy: bool = True
    never_ready: bool = False  # what is launched from now on
    now_s: float = 0.0
    hosts: dict[str, Host] = field(default_factory=dict)
    lost_tasks: int = 0
    wrongly_ended: list[str] = field(default_factory=list)
    terminated: list[tuple[str, bool]] = field(default_factory=list)
    blind: bool = False  # the broker
    group_blind: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.number = 0
        self.started = self.desired
        for _ in range(self.desired):
            self._launch(up_at=0.0)

    def _launch(self, up_at: float | None = None) -> None:
        self.number += 1
        boots = self.now_s + self.boot_s if up_at is None else up_at
        host = Host(f"i-{self.number}", self.version, float("inf") if self.never_ready else boots, pid=self.number)
        self.hosts[host.id] = host

    def live(self) -> list[Host]:
        return [host for host in self.hosts.values() if not host.gone]

    def ready(self) -> list[Host]:
        return [host for host in self.live() if host.serves(self.now_s)]

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        for host in self.live():
            host.tasks = [end for end in host.tasks if end > self.now_s]
            if host.stopping and not host.tasks:
                host.exited = True
            while self.busy and host.serves(self.now_s) and len(host.tasks) < self.slots and self.random.random() < 0.3:
                host.tasks.append(self.now_s + self.random.uniform(2, 90))
        while len(self.live()) < self.desired:
            self._launch()

    def kill(self, host: Host) -> None:
        """The worker's process dies."""
        self.lost_tasks += len(host.tasks)
        host.tasks, host.killed, host.exited = [], True, True

    def vanish(self, host: Host) -> None:
        """The cloud takes the instance away."""
        self.lost_tasks += len(host.tasks)
        host.tasks, host.gone = [], True

    def call(self, action: str, args: dict[str, Any]) -> None:
        by_node = {f"celery@{host.id}": host for host in self.hosts.values()}
        match action:
            case "cancel" | "consume":
                assert args["nodes"], "an empty destination would be every worker"
                for node in args["nodes"]:
                    if by_node[node].answers(self.now_s):
                        by_node[node].consuming = action == "consume"
            case "stop":
                assert args["nodes"]
                for node in args["nodes"]:
                    if by_node[node].answers(self.now_s):
                        by_node[node].stopping = True
            case "terminate":
                host = self.hosts[args["instance_id"]]
                if host.gone:
                    return
                self.terminated.append((host.id, args["decrement"]))
                if host.tasks:
                    self.wrongly_ended.append(host.id)
                host.gone = True
                if args["decrement"]:
                    self.desired -= 1
            case "set_desired":
                assert args["desired"] <= self.maximum
                self.desired = args["desired"]
            case "set_version":
                self.version = args["version"]

    def look(self) -> dict[str, FleetSeen]:
        members = tuple(self._member(host) for host in self.hosts.values() if not host.gone)
        gone = {host.id: self._seen(host) for host in self.hosts.values() if host.gone}
        if self.group_blind:
            return {"cpu": FleetSeen(False)}
        return {"cpu": FleetSeen(not self.blind, self.desired, self.version, members, gone)}

    def _member(self, host: Host) -> Member:
        launched = START + timedelta(seconds=int(host.id[2:]))
        return Member(host.id, f"celery@{host.id}", host.version, "InService", launched, self._seen(host))

    def _seen(self, host: Host) -> Seen:
        receipt = None
        if host.exited:
            receipt = Receipt(host.pid, None if host.killed else 0, 9 if host.killed else None, START)
        lifecycle = "absent" if host.gone else "InService"
        names = tuple(f"dag.task ({host.id})" for _ in host.tasks)
        if self.blind:
            return Seen(None, running=names, lifecycle=lifecycle, receipt=receipt)
        if not host.answers(self.now_s):
            return Seen(False, running=names, lifecycle=lifecycle, receipt=receipt)
        return Seen(True, host.pid, ("cpu",) if host.consuming else (), names, 0, names, lifecycle, receipt)


class Killed(Exception):
    """The console's worker dies here."""


@dataclass
class Console:
    """The engine in small: memory as JSON, an intent for each call, a process that may die between any two lines."""

    fleet: Fleet
    parameters: dict[str, Any]
    die: Any = lambda: False
    memory: Any = None
    steps: dict[str, StepSeen] = field(default_factory=dict)
    orders: Orders = field(default_factory=Orders)
    last: Decision[Any] | None = None
    calls: int = 0
    held: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    others: dict[str, str] = field(default_factory=dict)  # targets that other operations hold

    def __post_init__(self) -> None:
        self.memory = memory.dump(rules.start(self.parameters))

    def tick(self) -> Decision[Any]:
        state = memory.load(self.memory, 1)
        now = START + timedelta(seconds=self.fleet.now_s)
        ledger = Ledger(self.steps, frozenset(self.held), {name: self.others[name] for name in self.refused})
        decision = rules.decide(self.parameters, state, self.fleet.look(), ledger, self.orders, now)
        self._maybe_die()
        self.refused = set(decision.lock) & set(self.others)
        self.held |= set(decision.lock) - self.refused
        self.memory = memory.dump(decision.state)
        self.orders = Orders(self.orders.paused, self.orders.aborting)
        wanted = []
        for call in decision.calls:
            if call.key not in self.steps:
                self.steps[call.key] = StepSeen(call.key, StepState.INTENT, None, "")
                wanted.append(call)
            elif self.steps[call.key].state is StepState.INTENT and not call.once:
                wanted.append(call)
        self.last = decision
        self._maybe_die()
        for call in wanted:
            self.fleet.call(call.action, dict(call.args))
            self.calls += 1
            self._maybe_die()
            self.steps[call.key] = StepSeen(call.key, StepState.CALLED, now, "")
        return decision

    def _maybe_die(self) -> None:
        if self.die():
            raise Killed

    def tell(self, choice: str, **args: str) -> None:
        self.orders = Orders(self.orders.paused, self.orders.aborting, (Answer(choice, args, "mira", START),))

    def run(self, limit_s: float = 3600, every_s: float = 2.0, watch: Any = None) -> Decision[Any]:
        end = self.fleet.now_s + limit_s
        while self.fleet.now_s < end:
            self.fleet.pass_time(every_s)
            if watch:
                watch()
            try:
                if self.tick().outcome:
                    break
            except Killed:
                pass
        assert self.last is not None
        return self.last


def parameters(**changes: Any) -> dict[str, Any]:
    return {
        "version": "2",
        "fleets": [GROUP],
        "max_surge": 1,
        "max_unavailable": 0,
        "drain_deadline_s": 600.0,
        "on_deadline": "wait",
        "min_ready_s": 4.0,
        "ready_timeout_s": 60.0,
    } | changes
