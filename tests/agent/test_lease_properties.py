"""The lease over simulated clocks, delays and partitions: never two believers, tokens only rise, belief ends first."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from console.agent.lease import MARGIN_S, Lease, Timing, release, sync

START = datetime(2026, 11, 22, tzinfo=UTC)
TTL_S = 10.0
NAMES = st.sampled_from(["a", "b", "c"])


@dataclass
class Request:
    """On its way to the store, or its answer on its way back."""

    agent: str
    sent_s: float  # the agent's monotonic clock
    token: int | None
    answer: tuple[bool, int] | None = None


@dataclass
class Agent:
    offset_s: float  # its monotonic clock against true time: any origin
    token: int | None = None
    belief_until_s: float = 0.0
    waiting: list[Request] = field(default_factory=list)


class LeaseMachine(RuleBasedStateMachine):
    """True time is one number; the store's clock follows it from any origin; each agent has its own."""

    def __init__(self) -> None:
        super().__init__()
        self.true_s = 0.0
        self.lease = Lease("scheduler")
        self.tokens = [0]
        self.holders: dict[int, str] = {}

    @initialize(offsets=st.lists(st.floats(0, 1e6), min_size=3, max_size=3), store=st.floats(0, 1e6))
    def clocks(self, offsets: list[float], store: float) -> None:
        self.agents = {name: Agent(offset) for name, offset in zip("abc", offsets, strict=True)}
        self.store_offset_s = store

    def store_now(self) -> datetime:
        return START + timedelta(seconds=self.true_s + self.store_offset_s)

    def believes(self, name: str) -> bool:
        agent = self.agents[name]
        return agent.token is not None and self.true_s + agent.offset_s < agent.belief_until_s

    @rule(seconds=st.floats(0.01, 12))
    def time_passes(self, seconds: float) -> None:
        self.true_s += seconds

    @rule(name=NAMES)
    def ask(self, name: str) -> None:
        agent = self.agents[name]
        if not agent.waiting:  # the keeper sends one request at a time
            agent.waiting.append(Request(name, self.true_s + agent.offset_s, agent.token))

    @rule(name=NAMES, ready=st.booleans())
    def serve(self, name: str, ready: bool) -> None:
        for request in self.agents[name].waiting:
            if request.answer is None:
                verdict = sync(self.lease, name, request.token, self.store_now(), TTL_S, ready=ready)
                self.lease = verdict.lease
                request.answer = (verdict.held, verdict.lease.token)
                self.tokens.append(self.lease.token)
                if verdict.held:
                    assert self.holders.setdefault(verdict.lease.token, name) == name, "two holders of one token"

    @rule(name=NAMES)
    def hear(self, name: str) -> None:
        agent = self.agents[name]
        for request in [r for r in agent.waiting if r.answer is not None]:
            assert request.answer is not None
            held, token = request.answer
            agent.token = token if held else None
            agent.belief_until_s = request.sent_s + TTL_S - MARGIN_S if held else 0.0
            agent.waiting.remove(request)

    @rule(name=NAMES)
    def lose_what_is_under_way(self, name: str) -> None:
        """A partition, a timeout, a dropped connection: served or not, the agent never hears of it."""
        self.agents[name].waiting.clear()

    @rule(name=NAMES)
    def restart(self, name: str) -> None:
        agent = self.agents[name]
        agent.waiting.clear()
        agent.token, agent.belief_until_s = None, 0.0

    @rule(name=NAMES)
    def give_up(self, name: str) -> None:
        agent = self.agents[name]
        if agent.token is not None and not agent.waiting:
            token, agent.token, agent.belief_until_s = agent.token, None, 0.0
            self.lease = release(self.lease, name, token, self.store_now())

    @rule(name=NAMES, kind=st.sampled_from(["planned", "forced"]), seconds=st.floats(1, 60))
    def order(self, name: str, kind: str, seconds: float) -> None:
        from dataclasses import replace

        until = self.store_now() + timedelta(seconds=seconds)
        self.lease = replace(self.lease, next_holder=name, next_until=until, next_kind=kind)

    @rule(seconds=st.floats(0, 60))
    def pause(self, seconds: float) -> None:
        from dataclasses import replace

        self.lease = replace(self.lease, held_until=self.store_now() + timedelta(seconds=seconds))

    @invariant()
    def never_two_believers(self) -> None:
        if hasattr(self, "agents"):
            assert sum(self.believes(name) for name in self.agents) <= 1

    @invariant()
    def tokens_only_rise(self) -> None:
        assert self.tokens == sorted(self.tokens)

    @invariant()
    def belief_ends_before_the_lease(self) -> None:
        for name, agent in getattr(self, "agents", {}).items():
            if self.believes(name):
                assert self.lease.holder == name
                assert self.lease.token == agent.token
                assert self.lease.expires_at is not None
                left = timedelta(seconds=agent.belief_until_s - agent.offset_s - self.true_s)
                assert self.store_now() + left < self.lease.expires_at


TestLease = LeaseMachine.TestCase
TestLease.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


def test_the_defaults_fit() -> None:
    assert Timing().fault() is None


def test_a_slow_answer_must_fit_twice() -> None:
    assert "loop + 2 × retry = 11 s is more than ttl = 10 s" in (Timing(10, 3, 4).fault() or "")
