"""Many drains at once: as few calls as can be, and never more than a tick can make in time."""

from __future__ import annotations

from datetime import UTC, datetime

from console.fleets.crew import MOST_TERMINATED, Crew, advance, settle
from console.fleets.draining import Act, Drain, Phase, Receipt, Seen, begin, force

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
SERVES = Seen(True, 7, ("cpu",), (), 0, (), "InService", None)
EXITED = Seen(False, lifecycle="InService", receipt=Receipt(7, 0, None, NOW))


def crew(number: int, phase: Phase) -> Crew:
    drains = {f"i-{each}": Drain(f"celery@i-{each}", f"i-{each}", ("cpu",), phase) for each in range(number)}
    return Crew("cpu", "g", drains)


def test_hundreds_of_workers_are_told_by_one_call() -> None:
    many = crew(300, Phase.SERVING)
    moved = settle(many, {i: begin(drain, SERVES, NOW, 60) for i, drain in many.drains.items()}, lambda drain: False)
    [call] = moved.calls
    assert (call.action, len(call.args["nodes"])) == ("cancel", 300)


def test_instances_are_ended_a_few_at_a_time_and_all_in_the_end() -> None:
    many = crew(25, Phase.EXITED)
    ended: list[str] = []
    for expected in (*[MOST_TERMINATED] * 2, 25 - 2 * MOST_TERMINATED, 0):
        moved = advance(many, {i: EXITED for i, drain in many.drains.items()}, NOW, lambda drain: True)
        assert len(moved.calls) == expected
        assert all(call.once and call.action == "terminate" for call in moved.calls)
        ended += [call.args["instance_id"] for call in moved.calls]
        many = moved.crew
    assert len(set(ended)) == len(ended) == 25


def test_what_a_person_forced_is_not_held_back() -> None:
    many = crew(30, Phase.DRAINING)
    results = {i: force(drain, SERVES, NOW, "mira") for i, drain in many.drains.items()}
    assert {want.act for result in results.values() for want in result.wants} == {Act.TERMINATE}
    assert len(settle(many, results, lambda drain: False).calls) == 30
