"""A deploy on a platform on which anything may go wrong, step by step: what it does is never what loses work.

Hypothesis plays the platform (workers die and vanish, or never start; the broker and the group can't be seen; calls
and replies are lost and doubled; clocks jump), the console's host (it dies at any line) and the operator.
"""

from __future__ import annotations

import os
import random
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from console.deploys import memory
from console.fleets.draining import Phase
from console.operations.rules import Orders, State
from tests.deploys.simulated import START, Console, Fleet, Host, parameters

EXAMPLES = int(os.environ.get("QD_EXAMPLES", "15"))


class Deploy(RuleBasedStateMachine):
    """Invariants (facts, section C): ready >= desired - max_unavailable by what it does; hosts <= desired + surge;
    no termination of a worker with work, but by force; the group never has to end one by itself."""

    @initialize(
        desired=st.integers(1, 5),
        surge=st.integers(0, 2),
        unavailable=st.integers(0, 2),
        seed=st.integers(0, 999),
        canary=st.booleans(),
    )
    def begin(self, desired: int, surge: int, unavailable: int, seed: int, canary: bool) -> None:
        unavailable = max(unavailable, 0 if surge else 1)
        self.dice = random.Random(seed)
        self.surge = surge
        self.fleet = Fleet(desired, desired + surge, seed=seed, boot_s=self.dice.uniform(2, 30))
        self.fleet.floor = max(1, desired - unavailable)
        self.console = Console(self.fleet, parameters(max_surge=surge, max_unavailable=unavailable, canary=canary))
        self.console.lost = lambda: self.losses.pop() if self.losses else ""
        self.console.twice = lambda: self.dice.random() < self.doubling
        self.console.die = lambda: self.dice.random() < self.dying
        self.losses: list[str] = []
        self.doubling = self.dying = 0.0
        self.forced: set[str] = set()
        self.hurt = False  # something from outside took workers away
        self.ended = False

    # -- time --------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 2, 2, 5, 15, 60]), ticks=st.integers(1, 8))
    def time_passes(self, seconds: int, ticks: int) -> None:
        for _ in range(ticks):
            if not self.ended:
                decision = self.console.run(limit_s=seconds, every_s=seconds)
                self.ended = decision.outcome is not None
                self.check()

    # -- the platform ------------------------------------------------------------------------------------------------

    @rule(blind=st.booleans(), group=st.booleans())
    def it_can_or_can_not_be_seen(self, blind: bool, group: bool) -> None:
        self.fleet.blind, self.fleet.group_blind = blind, group

    @rule(where=st.lists(st.sampled_from(["there", "back", ""]), max_size=4))
    def calls_and_replies_are_lost(self, where: list[str]) -> None:
        self.losses = where

    @rule(doubling=st.sampled_from([0.0, 0.5]), dying=st.sampled_from([0.0, 0.2]))
    def calls_are_doubled_and_the_console_dies(self, doubling: float, dying: float) -> None:
        self.doubling, self.dying = doubling, dying

    @rule(skew_s=st.sampled_from([-120.0, -10.0, 0.0, 10.0, 120.0]))
    def the_clock_jumps(self, skew_s: float) -> None:
        self.console.skew_s = skew_s

    @rule(never=st.booleans())
    def new_workers_start_or_not(self, never: bool) -> None:
        self.fleet.never_ready = never

    @rule(data=st.data())
    def a_worker_dies(self, data: st.DataObject) -> None:
        if host := self._one(data):
            self.fleet.kill(host)
            self.hurt = True

    @rule(data=st.data())
    def the_cloud_takes_an_instance_away(self, data: st.DataObject) -> None:
        if host := self._one(data):
            self.fleet.vanish(host)
            self.hurt = True

    @rule(data=st.data())
    def a_worker_consumes_again_after_a_reconnect(self, data: st.DataObject) -> None:
        if host := self._one(data):
            host.consuming = True

    def _one(self, data: st.DataObject) -> Host | None:
        hosts = [host for host in self.fleet.live() if not host.exited]
        if self.ended or not hosts:
            return None
        return data.draw(st.sampled_from(sorted(hosts, key=lambda host: host.pid)))

    # -- the operator ------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.console.last is not None and self.console.last.question is not None)
    @rule(choice=st.sampled_from(["wait", "undrain", "force"]))
    def the_question_is_answered(self, choice: str) -> None:
        if choice == "force":
            # The answer is for those in question by the clock of the tick that takes it, which may jump until then.
            later = START + timedelta(seconds=self.fleet.now_s + 180)
            state = memory.load(self.console.memory, 1)
            drains = [drain for rollout in state.rollouts.values() for drain in rollout.crew.at_work()]
            self.forced |= {drain.instance_id for drain in drains if drain.needs_choice(later)}
        self.console.tell(choice)

    @rule(paused=st.booleans())
    def it_is_paused_or_resumed(self, paused: bool) -> None:
        self.console.orders = Orders(paused, self.console.orders.aborting)

    # -- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def check(self) -> None:
        if not hasattr(self, "fleet"):
            return
        fleet = self.fleet
        assert fleet.too_few == []
        assert len(fleet.live()) <= fleet.started + self.surge, "more hosts than allowed"
        assert set(fleet.wrongly_ended) <= self.forced, "a worker was ended with its work"
        assert fleet.ended_by_group == [], "the group was left to end a worker by itself"
        decision = self.console.last
        if decision is not None and decision.outcome is not None and decision.outcome.state is State.SUCCEEDED:
            drains = [d for r in decision.state.rollouts.values() for d in r.crew.drains.values()]
            assert not any(drain.lost or drain.phase is Phase.LOST for drain in drains)
            assert fleet.desired == fleet.started

    def teardown(self) -> None:
        """The trouble ends, an operator does what is asked: then it ends too, and the fleet is whole."""
        if not hasattr(self, "fleet"):
            return
        fleet, console = self.fleet, self.console
        fleet.blind = fleet.group_blind = fleet.never_ready = False
        self.losses, self.doubling, self.dying, console.skew_s = [], 0.0, 0.0, 0.0
        console.orders = Orders()
        for host in fleet.live():
            if host.up_at == float("inf"):
                host.up_at = fleet.now_s
        for _ in range(60):
            if self.ended:
                break
            for host in fleet.live():
                if host.exited:  # EC2's health check replaces a host whose worker is no more
                    fleet.vanish(host)
            decision = console.run(limit_s=60, every_s=3)
            self.ended = decision.outcome is not None
            if decision.question is not None:
                console.tell("wait")
            self.check()
        assert console.last is not None
        if fleet.started == 1 and not self.surge:
            return  # the only worker is never taken out of service
        assert self.ended, console.last.progress
        if console.last.outcome and console.last.outcome.state is State.SUCCEEDED:
            assert {host.version for host in fleet.live()} == {"2"}
            assert len(fleet.live()) == fleet.started


Deploy.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestDeploy = Deploy.TestCase


def test_its_memory_of_an_earlier_console_is_understood() -> None:
    """Written before targets were locked, phases dated and versions counted."""
    fleet = Fleet(3, 4, busy=False)
    console = Console(fleet, parameters())
    console.run(limit_s=40)
    old = console.memory
    for rollout in old["rollouts"].values():
        for name in ("before", "sized_at", "sizes", "versions"):
            del rollout[name]
        for drain in rollout["crew"]["drains"]:
            del drain["entered"]
    assert memory.load(old, 1).planned
    assert console.run().outcome is not None
