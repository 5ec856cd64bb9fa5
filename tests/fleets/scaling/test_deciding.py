"""From snapshots to decisions and operations: what is asked for, and when nothing is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.accounts.actor import CONSOLE, Actor
from console.accounts.roles import Role
from console.fleets.judge import judge
from console.fleets.models import (
    Instance,
    PastRuns,
    RunWidth,
    ScalingDecision,
    ScalingSwitch,
    ScheduledDag,
    Worker,
)
from console.fleets.poll import save_compute, save_counts, save_queues
from console.fleets.running import save_instances
from console.fleets.scaling.act import decide_all, forget
from console.fleets.scaling.poll import save_schedules
from console.operations.models import Operation
from console.operations.submit import submit
from console.platform.readings import BrokerReading, GroupReading, QueueDepth, UpcomingRun
from console.platform.sources import COMPUTE, TASKS
from tests.fleets.making import ago, instance, seen, task, tasks, unseen, worker
from tests.fleets.story import ids

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture(autouse=True)
def _now() -> None:
    """Each test is about its own moment: sources age while a long suite runs."""
    global NOW
    NOW = timezone.now()


def fleet(
    now: datetime,
    *,
    queued: int = 0,
    running: int = 0,
    workers: int = 2,
    busy: tuple[int, ...] = (),
    minimum: int = 1,
    maximum: int = 4,
    queue: str = "cpu",
) -> list[str]:
    """`queue` with so many workers; the others have none and want nothing. Autoscaling of `queue` is on."""
    seen(now)
    at = ago(now, 1)
    names = ids(queue, workers)
    slots = {"cpu": 2, "io": 16, "default": 4}[queue]
    instances = [task(queue=queue, state="queued", queued_at=ago(now, 30), run=f"r{i}") for i in range(queued)]
    for index, number in enumerate(busy or ((running,) if running else ())):
        instances += [
            task(queue=queue, host=names[index], started_at=ago(now, 60), run=f"x{index}", index=i)
            for i in range(number)
        ]
    total = sum(busy) or running
    save_counts(tasks(*instances, counts=[(queue, queued, total)]), at)
    save_instances(tasks(*instances, counts=[(queue, queued, total)]), at)
    save_queues(BrokerReading((QueueDepth(queue, queued),), 0, 0.001), at)
    rows = [instance(name, launched_at=ago(now, 86400)) for name in names]
    groups = [GroupReading(f"tests-{queue}", minimum, maximum, workers, "r7", tuple(rows))]
    save_compute(groups, at)
    Worker.objects.bulk_create(
        worker(f"celery@{name}", now, queue=queue, slots=slots, active=busy[i] if i < len(busy) else 0)
        for i, name in enumerate(names)
    )
    judge(now)
    ScalingSwitch.objects.create(queue=queue, on=True, set_at=now)
    return names


def decided(now: datetime, queue: str = "cpu") -> ScalingDecision:
    decide_all(now)
    return ScalingDecision.objects.filter(queue=queue).order_by("-at", "-pk")[0]


def cooled(now: datetime, need: int, queue: str = "cpu") -> None:
    """Decisions of the whole cooldown that needed so many."""
    ScalingDecision.objects.bulk_create(
        ScalingDecision(
            queue=queue, at=ago(now, 15 * step), action="hold", current=need, desired=need, need=need, because="calm."
        )
        for step in range(1, 16)
    )


def person() -> Actor:
    return Actor("mira", None, Role.OPERATOR, "command")


def asked(kind: str) -> Operation:
    return Operation.objects.active().get(kind=kind)


def test_a_backlog_asks_for_more_by_a_resize_of_the_console() -> None:
    fleet(NOW, queued=10, busy=(2, 2))
    found = decided(NOW)
    operation = asked("resize")
    assert (found.action, found.current, found.desired, found.operation) == ("out", 2, 4, operation.pk)
    assert (operation.parameters["desired"], operation.parameters["wait"]) == (4, False)
    assert (operation.requested_by_name, operation.requested_by_id) == (CONSOLE.name, None)
    assert operation.reason == found.because
    assert found.inputs["queued"] == 10


def test_while_it_is_under_way_nothing_else_is_asked_for() -> None:
    fleet(NOW, queued=10, busy=(2, 2))
    decided(NOW)
    found = decided(NOW + timedelta(seconds=5))
    assert (found.action, found.desired, found.operation) == ("hold", 2, None)
    assert "works on the whole fleet" in found.because
    assert Operation.objects.exclude(kind="protect").count() == 1


def test_after_a_change_the_group_is_read_again_first() -> None:
    fleet(NOW, queued=10, busy=(2, 2))
    decided(NOW)
    Operation.objects.update(state="succeeded", finished_at=NOW, outcome="done")
    from console.operations.models import Target

    Target.objects.update(released_at=NOW)
    found = decided(NOW + timedelta(seconds=1))
    assert "has not been read since" in found.because


@pytest.mark.parametrize("hidden", [TASKS, COMPUTE])
def test_what_can_not_be_seen_changes_nothing(hidden: Any) -> None:
    fleet(NOW, queued=10, busy=(2, 2))
    unseen(NOW, hidden)
    found = decided(NOW)
    assert (found.action, found.need, found.operation) == ("blind", None, None)
    assert "can't be seen" in found.because
    assert not Operation.objects.exists()


def test_fewer_by_a_drain_of_the_idle_after_the_cooldown() -> None:
    names = fleet(NOW, workers=4, busy=(1, 0, 1, 1))
    cooled(NOW, 2)
    found = decided(NOW)
    operation = asked("drain")
    assert (found.action, found.desired, found.operation) == ("in", 2, operation.pk)
    drained = [each["instance_id"] for each in operation.parameters["workers"]]
    assert drained[0] == names[1]
    assert operation.parameters["replace"] is False
    assert f"{names[1]} (idle" in operation.reason


def test_not_before_the_cooldown() -> None:
    fleet(NOW, workers=4)
    assert decided(NOW).action == "hold"
    assert not Operation.objects.exists()


def test_drained_ones_count_as_gone_and_are_not_taken_twice() -> None:
    names = fleet(NOW, workers=4)
    cooled(NOW, 2)
    submit("drain", {"queue": "cpu", "workers": [names[0], names[1]]}, reason="by hand", by=CONSOLE)
    found = decided(NOW)
    assert (found.current, found.desired) == (2, 2)
    assert found.inputs["leaving"] == 2


def test_off_decides_nothing_and_an_expired_switch_is_none() -> None:
    fleet(NOW, queued=10, busy=(2, 2))
    ScalingSwitch.objects.update(on=False)
    decide_all(NOW)
    assert not ScalingDecision.objects.exists()
    ScalingSwitch.objects.update(on=True, until=ago(NOW, 1))  # the tests' declaration says off
    decide_all(NOW)
    assert not ScalingDecision.objects.exists()


def test_a_repetition_is_no_news() -> None:
    fleet(NOW, busy=(1, 1))
    assert decided(NOW).news
    assert not decided(NOW + timedelta(seconds=5)).news


def test_a_schedule_warms_the_fleet_by_what_its_runs_brought() -> None:
    fleet(NOW)
    for run in range(3):
        RunWidth.objects.create(
            dag_id="nightly",
            queue="cpu",
            run_id=f"scheduled__{run}",
            width=6 + run,
            first_seen_at=ago(NOW, 86400 * run),
        )
    save_schedules([UpcomingRun("nightly", NOW + timedelta(seconds=100)), UpcomingRun("later", NOW)], NOW)
    from console.fleets.sources import SCHEDULES

    seen(NOW, SCHEDULES)
    found = decided(NOW)
    assert found.desired == 4, found.because
    assert "nightly" in found.because


def test_what_a_run_brings_is_learned_from_its_first_minute() -> None:
    def poll(number: int, at: datetime, run: str = "scheduled__1") -> None:
        save_instances(tasks(*(task("nightly", run=run, index=i) for i in range(number))), at)

    poll(3, NOW)
    poll(7, NOW + timedelta(seconds=20))
    poll(2, NOW + timedelta(seconds=40))
    poll(9, NOW + timedelta(seconds=90))
    assert [row.width for row in RunWidth.objects.all()] == [7]
    for run in range(8):
        poll(1, NOW + timedelta(hours=run + 1), f"scheduled__{run + 2}")
    assert RunWidth.objects.count() == RunWidth.KEEP
    poll(4, NOW, "manual__1")
    assert not RunWidth.objects.filter(run_id="manual__1").exists()


def test_schedules_that_are_over_are_forgotten() -> None:
    save_schedules([UpcomingRun("a", NOW), UpcomingRun("b", NOW)], NOW)
    save_schedules([UpcomingRun("b", NOW + timedelta(hours=1))], NOW)
    assert list(ScheduledDag.objects.values_list("dag_id", "next_at")) == [("b", NOW + timedelta(hours=1))]


def test_short_work_by_its_history_launches_nothing() -> None:
    fleet(NOW, queued=10, busy=(2, 2))
    PastRuns.objects.create(dag_id="pricing", task_id="elasticity_model", durations_s=[300.0] * 20, updated_at=NOW)
    found = decided(NOW)
    assert found.action == "out"  # three waves of five minutes each: a worker helps
    Operation.objects.all().delete()
    PastRuns.objects.update(durations_s=[80.0, 20.0, 10.0, 10.0, 10.0])
    found = decided(NOW + timedelta(seconds=1))
    assert (found.action, found.desired) == ("hold", 2), found.because


def test_the_number_of_queries_does_not_grow(django_assert_max_num_queries: Any) -> None:
    fleet(NOW, queued=1, busy=(1, 1), workers=4)
    Instance.objects.update(protected=True)  # asking for an operation costs its own queries
    with django_assert_max_num_queries(24):
        decide_all(NOW)
    ScalingSwitch.objects.create(queue="io", on=True, set_at=NOW)
    ScalingSwitch.objects.create(queue="default", on=True, set_at=NOW)
    with django_assert_max_num_queries(24):
        decide_all(NOW + timedelta(seconds=3))


def test_repetitions_are_forgotten_after_two_days() -> None:
    for days, news in ((1, False), (3, False), (3, True), (100, True)):
        ScalingDecision.objects.create(
            queue="cpu", at=NOW - timedelta(days=days), action="hold", because="x.", news=news
        )
    forget(NOW)
    assert ScalingDecision.objects.count() == 2


def test_what_is_left_in_service_is_never_less_than_wanted() -> None:
    """Four are there, two of them do not serve: draining the others would leave nobody."""
    names = fleet(NOW, workers=4)
    Worker.objects.filter(instance_id__in=names[:2]).update(state="stuck")
    cooled(NOW, 2)
    found = decided(NOW)
    assert (found.action, found.desired, found.operation) == ("in", 2, None)
    assert "2 of 2 wanted" in found.outcome.replace("\N{NBSP}", " ").replace("workers ", "")
    assert not Operation.objects.filter(kind="drain").exists()


def test_at_the_maximum_its_own_drains_are_called_off_and_nobody_elses() -> None:
    names = fleet(NOW, workers=4, queued=20, busy=(2, 2, 2, 2))
    by_hand = submit("drain", {"queue": "cpu", "workers": [names[0]]}, reason="by hand", by=person(), now=NOW)
    own = submit("drain", {"queue": "cpu", "workers": [names[1]]}, reason="fewer", by=CONSOLE, now=NOW)
    found = decided(NOW)
    assert (found.action, found.operation) == ("out", None)
    assert f"OP-{own.pk} called off" in found.outcome
    own.refresh_from_db()
    by_hand.refresh_from_db()
    assert (own.aborting, by_hand.aborting) == (True, False)
