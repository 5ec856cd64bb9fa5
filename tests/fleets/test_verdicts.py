"""What is said of a fleet, worst first: one row a rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from console.fleets.verdicts import Blind, Bounds, Demand, Facts, Supply, clears, headline, judge_fleet
from console.lib.status import Status

NOW = datetime.fromisoformat("2026-11-22T03:07:00+00:00")


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


CALM = Facts(
    queue="cpu",
    declared=True,
    now=NOW,
    demand=Demand(queued=0, running=3, depth=0, reserved=0),
    supply=Supply(in_service=2, slots=4, active=3),
    bounds=Bounds(baseline=2, desired=2, maximum=4, group="cpu-workers"),
)


def work(queued: int, running: int = 4, waited_s: float = 600, **more: object) -> Demand:
    values: dict[str, object] = {"depth": queued, "reserved": 0, "backlog_since": ago(waited_s)}
    return Demand(queued=queued, running=running, **(values | more))  # type: ignore[arg-type]


NOBODY = Supply(in_service=0, slots=0, active=0)


@pytest.mark.parametrize(
    ("because", "facts", "status", "words"),
    [
        ("all is well", CALM, Status.HEALTHY, "3 of 4 slots in use"),
        ("nothing runs", replace(CALM, demand=Demand(0, 0, depth=0, reserved=0)), Status.HEALTHY, "idle"),
        ("a young backlog is ordinary", replace(CALM, demand=work(41, 4, 20)), Status.HEALTHY, "41 tasks wait, 4 of 4"),
        (
            "nobody serves it",
            replace(CALM, demand=work(41, 0, 45), supply=NOBODY),
            Status.FAILING,
            "41 tasks wait and no worker is in service",
        ),
        (
            "one task is one task",
            replace(CALM, demand=work(1, 0, 45), supply=NOBODY),
            Status.FAILING,
            "1 task waits and no worker",
        ),
        (
            "nobody serves it yet, but workers come",
            replace(CALM, demand=work(41, 0), supply=replace(NOBODY, launching=2)),
            Status.DEGRADED,
            "2 workers are launching",
        ),
        (
            "those that come are overdue: they don't count",
            replace(CALM, demand=work(41, 0), supply=replace(NOBODY, launching=2, overdue=2)),
            Status.FAILING,
            "no worker is in service",
        ),
        (
            "it can't be said whether anybody serves it",
            replace(CALM, demand=work(41, 0), supply=replace(NOBODY, unknown=2)),
            Status.DEGRADED,
            "none of 2 workers is known",
        ),
        ("all workers are lost", replace(CALM, supply=replace(NOBODY, lost=2)), Status.FAILING, "every worker is lost"),
        (
            "a worker is lost and is being replaced",
            replace(CALM, supply=Supply(in_service=1, slots=2, lost=1, launching=1)),
            Status.DEGRADED,
            "1 worker is lost; 1 is launching",
        ),
        (
            "a worker was lost and has been replaced",
            replace(CALM, supply=replace(CALM.supply, lost=1)),
            Status.HEALTHY,
            "1 lost worker has been replaced",
        ),
        (
            "a worker is lost that no group replaces",
            replace(CALM, declared=False, bounds=Bounds(), supply=replace(CALM.supply, lost=1)),
            Status.DEGRADED,
            "1 worker is lost",
        ),
        (
            "a worker is stuck",
            replace(CALM, supply=replace(CALM.supply, stuck=1)),
            Status.DEGRADED,
            "takes nothing while tasks wait",
        ),
        (
            "all are stuck",
            replace(CALM, demand=work(3), supply=Supply(0, stuck=2, slots=0)),
            Status.FAILING,
            "take nothing",
        ),
        (
            "starving",
            replace(CALM, demand=work(41)),
            Status.DEGRADED,
            "all 4 slots are taken and no worker is on the way",
        ),
        (
            "not starving: the group is about to launch",
            replace(CALM, demand=work(41), bounds=replace(CALM.bounds, desired=3)),
            Status.HEALTHY,
            "41 tasks wait",
        ),
        (
            "at its maximum, and the backlog grows",
            replace(
                CALM,
                demand=work(41, pace_per_s=0.05),
                supply=Supply(in_service=4, slots=4),
                bounds=replace(CALM.bounds, desired=4),
            ),
            Status.DEGRADED,
            "at its maximum of 4 workers, and its backlog grows by 3 a minute",
        ),
        (
            "at its maximum, and the backlog shrinks: capacity is what was declared",
            replace(
                CALM,
                demand=work(41, pace_per_s=-0.05),
                supply=Supply(in_service=4, slots=4),
                bounds=replace(CALM.bounds, desired=4),
            ),
            Status.HEALTHY,
            "41 tasks wait",
        ),
        (
            "slots are free and yet nothing starts",
            replace(CALM, demand=work(12, 1, pace_per_s=0.0)),
            Status.DEGRADED,
            "12 tasks wait though 3 slots are free",
        ),
        (
            "overdue",
            replace(CALM, supply=replace(CALM.supply, launching=1, overdue=1)),
            Status.DEGRADED,
            "over 10 min ago",
        ),
        (
            "below its baseline",
            replace(CALM, supply=Supply(in_service=1, slots=2)),
            Status.DEGRADED,
            "1 of 2 workers of its baseline is in service",
        ),
        (
            "the broker lost messages",
            replace(CALM, demand=work(9, 4, 90, depth=2, reserved=1, mismatch_since=ago(90))),
            Status.DEGRADED,
            "Airflow counts 9 queued tasks, the broker holds only 3: 6 messages were lost",
        ),
        (
            "a difference of a moment is a race, not a loss",
            replace(CALM, demand=work(9, 4, 90, depth=2, reserved=1, mismatch_since=ago(20))),
            Status.HEALTHY,
            "9 tasks wait",
        ),
        (
            "the broker holds more than Airflow waits for",
            replace(CALM, demand=Demand(0, 0, depth=5, reserved=0, mismatch_since=ago(90))),
            Status.DEGRADED,
            "5 belong to tasks that Airflow no longer waits for",
        ),
        (
            "its group does not exist",
            replace(CALM, bounds=replace(CALM.bounds, desired=None, missing=True)),
            Status.DEGRADED,
            "cpu-workers does not exist",
        ),
        (
            "Airflow can't be seen",
            replace(CALM, demand=Demand(), blind=Blind(work="Airflow is away", both="Airflow is away")),
            Status.UNKNOWN,
            "Airflow is away",
        ),
        (
            "the workers can't be seen",
            replace(CALM, supply=Supply(), blind=Blind(workers="the broker is away", both="the broker is away")),
            Status.UNKNOWN,
            "the broker is away",
        ),
        (
            "what is seen to be wrong is said though Airflow can't be seen",
            replace(
                CALM, demand=Demand(), supply=Supply(in_service=1, slots=2, lost=1), blind=Blind(work="x", both="x")
            ),
            Status.DEGRADED,
            "1 worker is lost",
        ),
        (
            "AWS alone can't be seen: work and workers go on",
            replace(CALM, bounds=replace(CALM.bounds, desired=None), blind=Blind(bounds="AWS is away")),
            Status.HEALTHY,
            "its group can't be seen: AWS is away",
        ),
        (
            "nobody declared it",
            replace(CALM, declared=False, bounds=Bounds()),
            Status.HEALTHY,
            "nobody declared this queue",
        ),
    ],
)
def test_verdict(because: str, facts: Facts, status: Status, words: str) -> None:
    verdict = judge_fleet(facts)
    reason = verdict.reason.replace("\N{NO-BREAK SPACE}", " ")
    assert (verdict.status, words in reason) == (status, True), f"{because}: {verdict}"


@pytest.mark.parametrize(
    ("queued", "pace_per_s", "seconds", "text"),
    [
        (None, None, None, "unknown"),
        (0, None, 0.0, "clear"),
        (30, None, None, "too early"),
        (30, -0.1, 300.0, "5 min"),
        (30, -1.0, 30.0, "< 1 min"),
        (30, 0.1, None, "growing"),
        (30, 0.0, None, "not falling"),
    ],
)
def test_when_a_backlog_clears_is_only_said_where_it_falls(
    queued: int | None, pace_per_s: float | None, seconds: float | None, text: str
) -> None:
    found = clears(replace(CALM, demand=Demand(queued=queued, pace_per_s=pace_per_s)))
    assert (found.seconds, found.text.replace("\N{NO-BREAK SPACE}", " ")) == (
        pytest.approx(seconds) if seconds is not None else None,
        text,
    )


def test_the_headline_is_the_worst_and_says_nothing_of_calm_ones() -> None:
    calm = judge_fleet(CALM)
    lost = judge_fleet(replace(CALM, supply=Supply(in_service=1, slots=2, lost=1)))
    unserved = judge_fleet(replace(CALM, demand=work(41, 0), supply=NOBODY))
    assert headline([("a", calm)]) is None
    assert headline([("a", calm), ("b", lost), ("c", unserved)]) == ("c", unserved)
