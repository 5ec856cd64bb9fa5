"""A simulated platform for the rules of deploys, resizes and drains: hosts that boot, work, stop, vanish; groups that
keep their desired number as AWS does; and a console that may die between any two lines.

The fleet knows the truth, and so can say what a rule must never do: end a host that still has work, let fewer be ready
than promised, run more hosts than allowed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from console.deploys import memory, rules
from console.fleets import drain_rules, resize_rules
from console.fleets.crew import dump_crew, load_crew
from console.fleets.drain_rules import DrainSeen
from console.fleets.draining import Drain, Receipt, Seen
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
    exited_at: datetime | None = None
    killed: bool = False
    gone: bool = False
    pid: int = 0
    canaries: int = 0
    runs_nothing: bool = False  # answers and consumes, and its pool is broken
    forgets: bool = False  # takes no consumer up again (Celery 5.6 after a reconnect)

    def answers(self, now_s: float) -> bool:
        return not self.gone and not self.exited and not self.stopping and now_s >= self.up_at

    def serves(self, now_s: float) -> bool:
        return self.answers(now_s) and self.consuming


@dataclass
class Fleet:
    desired: int
    maximum: int
    minimum: int = 0
    seed: int = 0
    queue: str = "cpu"
    version: str = "1"
    boot_s: float = 20.0
    slots: int = 4
    busy: bool = True
    never_ready: bool = False  # what is launched from now on
    runs_nothing: bool = False  # likewise
    now_s: float = 0.0
    hosts: dict[str, Host] = field(default_factory=dict)
    lost_tasks: int = 0
    wrongly_ended: list[str] = field(default_factory=list)
    ended_by_group: list[str] = field(default_factory=list)
    terminated: list[tuple[str, bool]] = field(default_factory=list)
    blind: bool = False  # the broker
    group_blind: bool = False
    refuses: frozenset[str] = frozenset()  # actions that the group refuses
    floor: int = 0  # as few may be ready after a cancel of ours, and no fewer
    told: set[str] = field(default_factory=set)  # workers that were told to take nothing more
    too_few: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.number = 0
        self.started = self.desired
        for _ in range(self.desired):
            self._launch(up_at=0.0)

    def _launch(self, up_at: float | None = None) -> None:
        self.number += 1
        boots = self.now_s + self.boot_s if up_at is None else up_at
        name = f"i-{self.queue}-{self.number}" if self.queue != "cpu" else f"i-{self.number}"
        host = Host(name, self.version, float("inf") if self.never_ready else boots, pid=self.number)
        host.runs_nothing = self.runs_nothing
        self.hosts[host.id] = host

    def at(self) -> datetime:
        return START + timedelta(seconds=self.now_s)

    def live(self) -> list[Host]:
        return [host for host in self.hosts.values() if not host.gone]

    def ready(self) -> list[Host]:
        return [host for host in self.live() if host.serves(self.now_s)]

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        for host in self.live():
            host.tasks = [end for end in host.tasks if end > self.now_s]
            if host.stopping and not host.tasks and not host.exited:
                host.exited, host.exited_at = True, self.at()
            while self.busy and host.serves(self.now_s) and len(host.tasks) < self.slots and self.random.random() < 0.3:
                host.tasks.append(self.now_s + self.random.uniform(2, 90))
        while len(self.live()) < self.desired:
            self._launch()
        while len(self.live()) > self.desired:  # what AWS does by itself, with whatever runs there
            host = self.random.choice(self.live())
            self.lost_tasks += len(host.tasks)
            self.ended_by_group.append(host.id)
            host.tasks, host.gone = [], True

    def kill(self, host: Host) -> None:
        """The worker's process dies."""
        self.lost_tasks += len(host.tasks)
        host.tasks, host.killed, host.exited, host.exited_at = [], True, True, self.at()

    def vanish(self, host: Host) -> None:
        """The cloud takes the instance away."""
        self.lost_tasks += len(host.tasks)
        host.tasks, host.gone = [], True

    def call(self, action: str, args: dict[str, Any]) -> bool:
        """Carry a call out; False where the platform refuses it."""
        if action in self.refuses:
            return False
        by_node = {f"celery@{host.id}": host for host in self.hosts.values()}
        match action:
            case "cancel" | "consume":
                assert args["nodes"], "an empty destination would be every worker"
                for node in args["nodes"]:
                    host = by_node[node]
                    if action == "cancel" and host.serves(self.now_s) and host.id not in self.told:
                        left = len(self.ready()) - 1
                        if left < self.floor:
                            self.too_few.append(f"{host.id} at {self.now_s} s leaves {left}, {self.floor} promised")
                        self.told.add(host.id)
                    if host.answers(self.now_s) and not (action == "consume" and host.forgets):
                        host.consuming = action == "consume"
            case "canary":
                assert args["nodes"]
                for node in args["nodes"]:
                    host = by_node[node]
                    host.canaries += host.answers(self.now_s) and not host.runs_nothing
            case "stop":
                assert args["nodes"]
                for node in args["nodes"]:
                    if by_node[node].answers(self.now_s):
                        by_node[node].stopping = True
            case "terminate":
                host = self.hosts[args["instance_id"]]
                if host.gone:
                    return True
                if args["decrement"] and self.desired - 1 < self.minimum:
                    return False
                self.terminated.append((host.id, args["decrement"]))
                if host.tasks:
                    self.wrongly_ended.append(host.id)
                host.gone = True
                if args["decrement"]:
                    self.desired -= 1
            case "set_desired":
                if not self.minimum <= args["desired"] <= self.maximum:
                    return False
                self.desired = args["desired"]
            case "set_limits":
                self.minimum, self.maximum = args["minimum"], args["maximum"]
                self.desired = min(max(self.desired, self.minimum), self.maximum)
            case "set_version":
                self.version = args["version"]
        return True

    def look(self, drains: Mapping[str, Drain]) -> FleetSeen:
        if self.group_blind:
            return FleetSeen(False)
        members = tuple(self._member(host, drains.get(host.id)) for host in self.hosts.values() if not host.gone)
        gone = {host.id: self.seen(host, drains.get(host.id)) for host in self.hosts.values() if host.gone}
        return FleetSeen(not self.blind, self.desired, self.version, members, gone, self.minimum, self.maximum)

    def _member(self, host: Host, drain: Drain | None) -> Member:
        launched = START + timedelta(seconds=host.pid)
        return Member(host.id, f"celery@{host.id}", host.version, "InService", launched, self.seen(host, drain))

    def seen(self, host: Host, drain: Drain | None) -> Seen:
        receipt = None
        if host.exited_at is not None and drain is not None and _of_this_run(host, drain):
            code, signal = (None, 9) if host.killed else (0, None)
            receipt = Receipt(host.pid, code, signal, host.exited_at)
        lifecycle = None if self.group_blind else "absent" if host.gone else "InService"
        names = tuple(f"dag.task ({host.id})" for _ in host.tasks)
        if self.blind:
            return Seen(None, running=names, lifecycle=lifecycle, receipt=receipt)
        if not host.answers(self.now_s):
            return Seen(False, running=names, lifecycle=lifecycle, receipt=receipt)
        queues = (self.queue,) if host.consuming else ()
        return Seen(True, host.pid, queues, names, 0, names, lifecycle, receipt, host.canaries)


def _of_this_run(host: Host, drain: Drain) -> bool:
    """As `console.fleets.looking`: by the process, or by the time where it is not known."""
    if drain.pid is not None:
        return drain.pid == host.pid
    return drain.started_at is not None and host.exited_at is not None and host.exited_at >= drain.started_at


class Killed(Exception):
    """The console's worker dies here."""


@dataclass(frozen=True)
class Brain:
    """A kind's rule: how it starts, decides, is written down, and what it looks at."""

    start: Callable[[Any], Any]
    decide: Callable[..., Decision[Any]]
    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]
    look: Callable[[dict[str, Fleet], Any], Any]


def _look_at_workers(fleets: dict[str, Fleet], crew: Any) -> DrainSeen:
    fleet = fleets[crew.queue]
    if fleet.group_blind:
        return DrainSeen({}, None)
    others = sum(1 for host in fleet.ready() if host.id not in crew.drains)
    seen = {i: fleet.seen(fleet.hosts[i], drain) for i, drain in crew.drains.items()}
    return DrainSeen(seen, None if fleet.blind else others)


DEPLOY = Brain(
    rules.start,
    rules.decide,
    memory.dump,
    lambda state: memory.load(state, 1),
    lambda fleets, state: {
        queue: fleet.look(state.rollouts[queue].crew.drains if queue in state.rollouts else {})
        for queue, fleet in fleets.items()
        if not (queue in state.rollouts and state.rollouts[queue].done)
    },
)
RESIZE = Brain(
    resize_rules.start,
    resize_rules.decide,
    resize_rules.dump,
    lambda state: resize_rules.load(state, 1),
    lambda fleets, state: fleets[state.crew.queue].look(state.crew.drains),
)
DRAIN = Brain(drain_rules.start, drain_rules.decide, dump_crew, load_crew, _look_at_workers)


def _written(memory: Any) -> Any:
    """As the database keeps it."""
    return json.loads(json.dumps(memory))


@dataclass
class Console:
    """The engine in small: memory as JSON, an intent for each call, a process that may die between any two lines.

    `die()` says whether it dies here; `twice()` whether a call reaches the platform twice; `lost()` whether a call is
    lost on its way there ("there"), or its reply on its way back ("back"); `skew_s` is how far its clock is off.
    """

    fleet: Fleet
    parameters: dict[str, Any]
    brain: Brain = DEPLOY
    more: tuple[Fleet, ...] = ()
    die: Any = lambda: False
    twice: Any = lambda: False
    lost: Any = lambda: ""
    skew_s: float = 0.0
    memory: Any = None
    steps: dict[str, StepSeen] = field(default_factory=dict)
    orders: Orders = field(default_factory=Orders)
    last: Decision[Any] | None = None
    calls: int = 0
    notes: list[str] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    others: dict[str, str] = field(default_factory=dict)  # targets that other operations hold

    def __post_init__(self) -> None:
        self.fleets = {each.queue: each for each in (self.fleet, *self.more)}
        self.memory = _written(self.brain.dump(self.brain.start(self.parameters)))

    def tick(self) -> Decision[Any]:
        state = self.brain.load(self.memory)
        now = START + timedelta(seconds=self.fleet.now_s + self.skew_s)
        ledger = Ledger(
            dict(self.steps), frozenset(self.held), {name: self.others.get(name, "") for name in self.refused}
        )
        seen = self.brain.look(self.fleets, state)
        decision = self.brain.decide(self.parameters, state, seen, ledger, self.orders, now)
        self._maybe_die()
        self.refused = set(decision.lock) & set(self.others)
        self.held |= set(decision.lock) - self.refused
        self.memory = _written(self.brain.dump(decision.state))
        self.orders = Orders(self.orders.paused, self.orders.aborting)
        self.notes += [line.text for line in decision.notes]
        wanted = []
        for call in decision.calls:
            step = self.steps.get(call.key)
            if step is None:
                self.steps[call.key] = StepSeen(call.key, StepState.INTENT, None, "")
            if step is None or (step.state is StepState.INTENT and not call.once):
                wanted.append(call)
        self.last = decision
        self._maybe_die()
        for call in wanted:
            lost = self.lost()
            done = lost != "there" and self._call(call.action, dict(call.args))
            if done and not call.once and self.twice():
                self._call(call.action, dict(call.args))
            self.calls += 1
            self._maybe_die()
            if lost and not call.once:
                continue  # a time-out: the intent stays, and the call is made again
            stage = StepState.CALLED if done and not lost else StepState.FAILED
            self.steps[call.key] = StepSeen(call.key, stage, now, "" if done else "refused")
        return decision

    def _call(self, action: str, args: dict[str, Any]) -> bool:
        return next((fleet for fleet in self.fleets.values() if self._concerns(fleet, args)), self.fleet).call(
            action, args
        )

    def _concerns(self, fleet: Fleet, args: dict[str, Any]) -> bool:
        if "instance_id" in args:
            return args["instance_id"] in fleet.hosts
        if "nodes" in args:
            return args["nodes"][0].removeprefix("celery@") in fleet.hosts
        return bool(args.get("group") == f"g-{fleet.queue}")

    def _maybe_die(self) -> None:
        if self.die():
            raise Killed

    def tell(self, choice: str, **args: str) -> None:
        self.orders = Orders(self.orders.paused, self.orders.aborting, (Answer(choice, args, "mira", START),))

    def run(self, limit_s: float = 3600, every_s: float = 2.0, watch: Any = None) -> Decision[Any]:
        end = self.fleet.now_s + limit_s
        while self.fleet.now_s < end:
            for fleet in self.fleets.values():
                fleet.pass_time(every_s)
            if watch:
                watch()
            try:
                if self.tick().outcome:
                    break
            except Killed:
                pass
        return self.last if self.last is not None else Decision(self.brain.load(self.memory))


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
