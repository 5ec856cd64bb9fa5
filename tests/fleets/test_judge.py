"""From everything that is known: who a worker is, where it belongs, who leaves the list, what a queue has."""

from __future__ import annotations

from datetime import datetime

import pytest

from console.fleets.judge import judge
from console.fleets.models import QueueSnapshot, Watch, Worker
from console.fleets.poll import save_compute, save_counts, save_queues, save_workers
from console.fleets.rules import State
from console.fleets.running import save_instances
from console.platform.sources import COMPUTE, HEARTBEATS, WORKERS
from tests.fleets.making import ago, answer, depths, group, instance, seen, task, tasks, unseen, worker

pytestmark = pytest.mark.django_db
ID = "i-0aaaaaaaaaaaaaaa1"


@pytest.fixture(autouse=True)
def all_seen(now: datetime) -> None:
    seen(now)
    Watch.objects.create(id=1, listening_since=ago(now, 7200))


def add(*rows: Worker) -> None:
    Worker.objects.bulk_create(rows)


def one(node: str) -> Worker:
    return Worker.objects.get(node=node)


def test_a_worker_named_by_its_instance_gets_its_zone_release_and_queue(now: datetime) -> None:
    save_compute([group("tests-io", instance(ID, zone="eu-north-1b"))], now)
    add(worker(f"celery@{ID}", now, queue="", serves=[], consumes=["io"]))
    judge(now)
    row = one(f"celery@{ID}")
    assert (row.instance_id, row.zone, row.version, row.home, row.serves) == (ID, "eu-north-1b", "r7", "io", ["io"])


def test_a_worker_named_by_ec2s_host_name_is_joined_by_its_address(now: datetime) -> None:
    save_compute([group("tests-io", instance(ID, ip="10.0.1.5"))], now)
    add(worker("celery@ip-10-0-1-5.eu-north-1.compute.internal", now, queue=""))
    judge(now)
    assert Worker.objects.get().instance_id == ID


def test_a_worker_by_no_convention_is_shown_as_what_it_is(now: datetime) -> None:
    add(worker("celery@laptop", now, queue="", serves=[], consumes=["adhoc", "cpu"]))
    judge(now)
    row = one("celery@laptop")
    assert (row.instance_id, row.state, row.home) == ("", State.IN_SERVICE, "cpu")  # declared before undeclared
    assert set(row.serves) == {"cpu", "adhoc"}


def test_an_instance_without_a_worker_is_launching_then_overdue(now: datetime) -> None:
    save_compute([group("tests-cpu", instance(ID, "Pending", launched_at=ago(now, 30)))], now)
    judge(now)
    assert (one(f"celery@{ID}").state, one(f"celery@{ID}").overdue) == (State.LAUNCHING, False)
    save_compute([group("tests-cpu", instance(ID, launched_at=ago(now, 700)))], now)
    judge(now)
    assert (one(f"celery@{ID}").state, one(f"celery@{ID}").overdue) == (State.LAUNCHING, True)
    assert QueueSnapshot.objects.get(queue="cpu").overdue == 1


def test_the_stand_in_goes_once_a_worker_by_another_name_reports_from_there(now: datetime) -> None:
    save_compute([group("tests-cpu", instance(ID, ip="10.0.1.5"))], now)
    judge(now)
    add(worker("celery@ip-10-0-1-5", now, queue=""))
    judge(now)
    judge(now)
    assert list(Worker.objects.values_list("node", flat=True)) == ["celery@ip-10-0-1-5"]
    assert QueueSnapshot.objects.get(queue="cpu").launching == 0


def test_a_lost_worker_leaves_the_list_by_itself_and_its_queue_forgets_it(now: datetime) -> None:
    save_compute([group("tests-cpu", instance(ID))], ago(now, 2000))
    add(worker(f"celery@{ID}", now, seen_at=ago(now, 1500), answered_at=ago(now, 1500)))
    save_compute([group("tests-cpu")], ago(now, 1400))
    seen(ago(now, 1000))
    judge(ago(now, 1000))
    assert one(f"celery@{ID}").state == State.LOST
    assert QueueSnapshot.objects.get(queue="cpu").lost == 1
    seen(now)
    judge(now)
    assert one(f"celery@{ID}").archived_at == now
    assert QueueSnapshot.objects.get(queue="cpu").lost == 0


def test_a_worker_that_finishes_after_its_goodbye_drains_by_airflows_word(now: datetime) -> None:
    add(worker("celery@w7", now, goodbye_at=now, seen_at=ago(now, 1)))
    save_instances(tasks(task(host="w7.internal", started_at=ago(now, 60))), now)
    judge(now)
    assert one("celery@w7").state == State.DRAINING
    save_instances(tasks(), now)
    judge(now)
    assert one("celery@w7").state == State.STOPPED


def test_workers_of_a_queue_are_counted_with_their_slots(now: datetime) -> None:
    add(
        worker("celery@a", now, slots=2, active=2),
        worker("celery@b", now, slots=None, active=None),  # not asked yet: as declared
        worker("celery@c", now, slots=8, consumes=["cpu", "io"], serves=["cpu", "io"]),
        worker("celery@d", now, consumes=[], active=0),
    )
    judge(now)
    cpu, io = QueueSnapshot.objects.get(queue="cpu"), QueueSnapshot.objects.get(queue="io")
    assert (cpu.in_service, cpu.quiesced, cpu.slots) == (3, 1, 2 + 2 + 8)
    assert (io.in_service, io.slots) == (1, 8)


def test_a_worker_that_takes_nothing_is_stuck_only_while_its_queue_waits(now: datetime) -> None:
    add(worker("celery@a", now, consumes=[], active=0))
    save_queues(depths(cpu=5), ago(now, 120))
    judge(now)
    assert one("celery@a").state == State.STUCK
    save_queues(depths(cpu=0), now)
    judge(now)
    assert one("celery@a").state == State.QUIESCED


def test_while_the_broker_is_away_workers_are_unknown_and_come_back_as_they_were(now: datetime) -> None:
    add(worker("celery@a", now))
    judge(now)
    unseen(now, HEARTBEATS, WORKERS)
    judge(now)
    assert one("celery@a").state == State.UNKNOWN
    assert "nothing answers at broker" in one("celery@a").reason
    seen(now)
    judge(now)
    assert one("celery@a").state == State.IN_SERVICE


def test_while_aws_is_away_workers_go_on(now: datetime) -> None:
    save_compute([group("tests-cpu", instance(ID))], now)
    add(worker(f"celery@{ID}", now))
    unseen(now, COMPUTE)
    judge(now)
    assert one(f"celery@{ID}").state == State.IN_SERVICE


def test_a_judgement_that_changes_nothing_writes_nothing(now: datetime) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    save_compute([group("tests-cpu", *(instance(f"i-{i:017x}") for i in range(20)))], now)
    add(*(worker(f"celery@i-{i:017x}", now) for i in range(20)))
    judge(now)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        judge(now)
    [counted] = [q["sql"] for q in captured if q["sql"].startswith(("UPDATE", "INSERT", "DELETE"))]
    assert counted.startswith('UPDATE "fleets_census" SET "as_of"'), "only when it was counted"


def test_messages_that_airflow_counts_and_the_broker_does_not_hold_are_dated(now: datetime) -> None:
    save_counts(tasks(counts=[("cpu", 9, 0)]), now)
    save_queues(depths(cpu=2), now)
    add(worker("celery@a", now))
    save_workers((["celery@a"], [answer("celery@a", reserved=1)]), now)
    judge(now)
    assert QueueSnapshot.objects.get(queue="cpu").mismatch_since == now
    save_queues(depths(cpu=8), now)
    judge(now)
    assert QueueSnapshot.objects.get(queue="cpu").mismatch_since is None


def test_an_undeclared_queue_that_nobody_names_for_a_day_is_forgotten(now: datetime) -> None:
    save_counts(tasks(task(queue="adhoc")), ago(now, 90_000))
    save_counts(tasks(), ago(now, 89_000))
    judge(now)
    assert set(QueueSnapshot.objects.values_list("queue", flat=True)) == {"default", "cpu", "io"}
