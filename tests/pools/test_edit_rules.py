"""An edit of a pool, look by look: applied once, verified, reverted in its time, never over somebody else's change."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from console.operations.rules import Decision, Ledger, Orders, State, StepSeen, StepState
from console.pools.edit_kind import dump, load
from console.pools.edit_rules import Edit, Settings, consequence, decide
from console.pools.rules import PoolFacts

OLD = Settings(8, "partner", False)
NEW = Settings(16, "partner", False)
OTHER = Settings(3, "partner", False)


def parameters(
    until: datetime | None = None, goal: Settings | None = NEW, revision: str = OLD.revision
) -> dict[str, Any]:
    settings = None if goal is None else vars(goal)
    return {"name": "api", "settings": settings, "revision": revision, "until": until.isoformat() if until else ""}


def step(
    sent: dict[str, Any], edit: Edit, pool: Settings | None, now: datetime, orders: Orders = Orders(), stage: str = ""
) -> Decision[Edit]:
    steps = {"apply": StepSeen("apply", StepState(stage), None, "")} if stage else {}
    return decide(sent, load(dump(edit), 1), pool, Ledger(steps), orders, now)


def applied(sent: dict[str, Any], now: datetime) -> Decision[Edit]:
    return step(sent, step(sent, Edit(), OLD, now).state, NEW, now)


def test_it_is_set_and_verified(now: datetime) -> None:
    first = step(parameters(), Edit(), OLD, now)
    assert [(call.action, call.args["slots"]) for call in first.calls] == [("put_pool", 16)]
    done = step(parameters(), first.state, NEW, now)
    assert (done.verified, done.outcome and done.outcome.state) == (("apply",), State.SUCCEEDED)


def test_a_pool_that_was_changed_since_is_left_alone(now: datetime) -> None:
    decision = step(parameters(), Edit(), OTHER, now)
    assert decision.calls == ()
    assert decision.outcome is not None
    assert "3\N{NO-BREAK SPACE}slots now" in decision.outcome.text


def test_what_is_so_already_needs_no_call(now: datetime) -> None:
    decision = step(parameters(), Edit(), NEW, now)
    assert decision.calls == ()
    assert decision.outcome is not None
    assert decision.outcome.state is State.SUCCEEDED


def test_an_override_is_reverted_at_its_time_even_if_nobody_looked_at_that_moment(now: datetime) -> None:
    sent = parameters(until=now + timedelta(hours=1))
    held = applied(sent, now)
    assert held.outcome is None
    assert step(sent, held.state, NEW, now).calls == ()
    late = step(sent, held.state, NEW, now + timedelta(hours=9))
    assert [(call.key, call.args["slots"]) for call in late.calls] == [("revert", 8)]
    done = step(sent, late.state, OLD, now + timedelta(hours=9))
    assert done.outcome is not None
    assert done.outcome.state is State.SUCCEEDED


def test_an_override_that_somebody_changed_is_not_reverted_over_it(now: datetime) -> None:
    sent = parameters(until=now + timedelta(hours=1))
    decision = step(sent, applied(sent, now).state, OTHER, now + timedelta(hours=2))
    assert decision.calls == ()
    assert decision.outcome is not None
    assert "left so" in decision.outcome.text


def test_abort_ends_an_override_now(now: datetime) -> None:
    sent = parameters(until=now + timedelta(hours=1))
    back = step(sent, applied(sent, now).state, NEW, now, Orders(aborting=True))
    assert [call.key for call in back.calls] == ["revert"]
    done = step(sent, back.state, OLD, now, Orders(aborting=True))
    assert done.outcome is not None
    assert done.outcome.state is State.ABORTED


def test_a_pool_is_made_and_removed(now: datetime) -> None:
    assert step(parameters(revision=""), Edit(), None, now).calls[0].action == "put_pool"
    gone = step(parameters(goal=None), Edit(), OLD, now)
    assert gone.calls[0].action == "delete_pool"
    done = step(parameters(goal=None), gone.state, None, now)
    assert done.outcome is not None
    assert done.outcome.state is State.SUCCEEDED


@pytest.mark.parametrize(
    ("slots", "said"),
    [
        (20, "Tasks for 4\N{NO-BREAK SPACE}slots that wait now may start."),
        (12, "Tasks for 2\N{NO-BREAK SPACE}slots still wait."),
        (6, "nothing is stopped, and nothing starts until 5 of them end."),
        (-1, "No limit any more"),
        (None, "is removed"),
    ],
)
def test_the_consequence_is_said_before(slots: int | None, said: str) -> None:
    facts = PoolFacts("api", 10, False, 8, 2, 4, 0, 10, 0, None)
    assert said in " ".join(consequence(facts, slots))
