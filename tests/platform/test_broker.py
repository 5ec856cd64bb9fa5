"""The Celery broker against real workers: what is asked of them, what comes back, what stays out, what is left behind.

The same suite runs with `global_keyprefix` and without. The workers' tasks carry a planted token, as Airflow 3's do.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from console.platform.broker import Broker
from console.platform.readings import TaskIdentity, WorkerHeartbeat, WorkerReading
from tests.platform.conftest import declared_broker
from tests.platform.contracts import BrokerContract
from tests.platform.redis_server import RedisServer

PLANTED = "eyJ-PLANTED-TOKEN-OF-A-TASK"
NODES = ["celery@i-0one", "celery@i-0two"]
WORKLOAD = {
    "token": PLANTED + "x" * 1200,  # longer than what Celery keeps of an argument's repr
    "dag_rel_path": "etl.py",
    "log_path": f"{PLANTED}.log",
    "ti": {
        "id": "0195",
        "dag_id": "etl",
        "task_id": "load",
        "run_id": "scheduled__2026-11-22",
        "try_number": 3,
        "map_index": 7,
        "queue": "default",
        "context_carrier": {"traceparent": PLANTED},
    },
    "type": "ExecuteTask",
}
LOAD = TaskIdentity("etl", "load", "scheduled__2026-11-22", 7, 3)
COMMAND = ["airflow", "tasks", "run", "old", "task", "manual__1", "--local", "--map-index", "2", "--cfg-path", PLANTED]


class Fleet:
    """Two real Celery workers, prefork as Airflow's are, and what sends tasks to them."""

    def __init__(self, server: RedisServer, prefix: str) -> None:
        self.server, self.prefix = server, prefix
        self.env = os.environ | {"TEST_BROKER_URL": server.url, "TEST_KEY_PREFIX": prefix, "LC_ALL": "C"}
        self.broker = Broker(declared_broker(server.url, prefix))
        beats = self.broker.heartbeats(idle_s=0.2)
        next(beats)  # subscribed
        self.processes = [self._start(node) for node in NODES]
        online: set[str] = set()
        end = time.monotonic() + 90
        while online < set(NODES) and time.monotonic() < end:
            beat = next(beats)
            online |= {beat.node} if beat else set()
        assert online == set(NODES)

    def _start(self, node: str, queue: str = "default") -> subprocess.Popen[bytes]:
        words = ["-m", "celery", "-A", "tests.platform.celery_worker", "worker"]
        words += ["-Q", queue, "-c", "1", "--loglevel", "CRITICAL", "-n"]
        return subprocess.Popen(
            [sys.executable, *words, node],
            env=self.env,
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def send(self, *tasks: tuple[str, object, int | None]) -> None:
        """Name, argument and priority; sent by a process of its own: the tests have no Celery application."""
        script = (
            "import json, sys; from tests.platform.celery_worker import app\n"
            "for name, argument, priority in json.load(sys.stdin):\n"
            "    options = {} if priority is None else {'priority': priority}\n"
            "    app.send_task(name, args=(argument,), queue='default', **options)"
        )
        subprocess.run(
            [sys.executable, "-c", script],
            input=json.dumps(tasks).encode(),
            env=self.env,
            cwd=Path(__file__).parents[2],
            check=True,
        )

    def idle(self, node: str, queue: str) -> None:
        """One more worker, alone on a queue of its own."""
        self.processes.append(self._start(node, queue))

    def send_for_later(self, queue: str, workload: str, in_s: float) -> None:
        script = (
            "import sys; from tests.platform.celery_worker import app\n"
            "app.send_task('execute_workload', args=(sys.argv[1],), queue=sys.argv[2], countdown=float(sys.argv[3]))"
        )
        command = [sys.executable, "-c", script, workload, queue, str(in_s)]
        subprocess.run(command, env=self.env, cwd=Path(__file__).parents[2], check=True)

    def stop(self) -> None:
        for process in self.processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


@pytest.fixture(scope="module", params=["", "airflow:"], ids=["no prefix", "global_keyprefix"])
def fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    server = RedisServer()
    fleet = Fleet(server, request.param)
    try:
        fleet.send(
            ("execute_workload", json.dumps(WORKLOAD), None),
            ("execute_command", COMMAND, None),
            *(("something_else", PLANTED, priority) for priority in (None, 3, 6, 9)),
        )
        yield fleet
    finally:
        fleet.stop()
        server.stop()


class TestTheContract(BrokerContract):
    @pytest.fixture
    def broker(self, fleet: Fleet) -> Broker:
        return fleet.broker

    @pytest.fixture
    def nodes(self, fleet: Fleet) -> list[str]:
        return NODES


def eventually(question, wanted) -> None:
    end = time.monotonic() + 20
    while not wanted(found := question()):
        assert time.monotonic() < end, found
        time.sleep(0.1)


def test_workers_tell_what_they_run_and_consume(fleet: Fleet) -> None:
    eventually(
        lambda: fleet.broker.workers(NODES, timeout_s=5),
        lambda found: len(found) == 2 and all(each.active for each in found),
    )
    one, two = fleet.broker.workers(NODES, timeout_s=5)
    assert [one.node, two.node] == NODES
    assert [one.queues, two.queues] == [("default",), ("default",)]
    assert [one.concurrency, two.concurrency] == [1, 1]
    assert [one.pid, two.pid] == [each.pid for each in fleet.processes[:2]]
    assert {task for each in (one, two) for task in each.active or ()} == {
        LOAD,
        TaskIdentity("old", "task", "manual__1", 2),
    }
    assert one.processed == 1


def test_a_token_in_the_arguments_never_leaves_the_adapter(fleet: Fleet) -> None:
    readings = (fleet.broker.workers(NODES, timeout_s=5), fleet.broker.queues(["default"]))
    assert PLANTED not in repr(readings)
    assert "eyJ" not in repr(readings)


def test_it_does_not_wait_for_the_absent_longer_than_it_was_told(fleet: Fleet) -> None:
    began_s = time.monotonic()
    assert len(fleet.broker.workers([*NODES, "celery@nobody"], timeout_s=1)) == 2
    assert 0.9 < time.monotonic() - began_s < 3


def test_it_does_not_wait_longer_than_for_the_last_answer(fleet: Fleet) -> None:
    began_s = time.monotonic()
    assert len(fleet.broker.workers(NODES, timeout_s=30)) == 2
    assert time.monotonic() - began_s < 10


def test_several_threads_each_get_their_own_answers(fleet: Fleet) -> None:
    with ThreadPoolExecutor(8) as threads:
        counts = list(threads.map(lambda n: len(fleet.broker.workers(NODES[n % 2 :], timeout_s=20)), range(16)))
    assert counts == [2, 1] * 8


def test_nothing_is_left_on_the_broker_and_no_connection_is_left_open(fleet: Fleet) -> None:
    def mine() -> int:
        return sum(each["name"] == "quarterdeck" for each in fleet.server.client.client_list())

    fleet.broker.workers(NODES, timeout_s=5)
    connections = mine()
    for _ in range(10):
        assert len(fleet.broker.workers(NODES, timeout_s=15)) == 2
    assert mine() == connections
    left = [key for key in fleet.server.client.keys("*") if b"quarterdeck" in key]
    assert all(0 < fleet.server.client.ttl(key) <= 60 for key in left)  # of earlier questions to an absent worker
    fleet.server.client.delete(*left, "nothing")
    fleet.broker.workers(NODES, timeout_s=15)
    assert not [key for key in fleet.server.client.keys("*") if b"quarterdeck" in key]


def test_waiting_messages_are_counted_over_all_priorities(fleet: Fleet) -> None:
    eventually(lambda: fleet.broker.queues(["default"]).unacknowledged, lambda number: number == 2)
    reading = fleet.broker.queues(["default", "nobody", "default"])
    assert [(each.queue, each.waiting) for each in reading.depths] == [("default", 4), ("nobody", 0)]
    assert 0 < reading.ping_s < 1


def test_heartbeats_tell_node_load_and_activity(fleet: Fleet) -> None:
    beats = fleet.broker.heartbeats(idle_s=1)
    end = time.monotonic() + 20
    found: WorkerHeartbeat | None = None
    while not (found and found.node == NODES[0]):
        assert time.monotonic() < end
        found = next(beats)
    beats.close()  # type: ignore[attr-defined]
    assert found.kind == "heartbeat"
    assert (found.active, found.processed) == (1, 1)
    assert found.pid == fleet.processes[0].pid
    assert len(found.load) == 3
    assert found.freq_s == 2.0
    assert found.sent_at is not None
    assert abs((found.received_at - found.sent_at).total_seconds()) < 5


def test_task_events_are_neither_enabled_nor_asked_for(fleet: Fleet) -> None:
    watcher = fleet.server.client.pubsub()
    watcher.psubscribe(f"{fleet.prefix}/0.celeryev/task.*", f"{fleet.prefix}/0.celery.pidbox")
    fleet.broker.workers(NODES, timeout_s=5)
    fleet.send(("something_else", PLANTED, None))
    messages = []
    while message := watcher.get_message(timeout=2):
        messages += [message] if message["type"] == "pmessage" else []
    watcher.close()
    assert len(messages) == 5  # the five questions
    assert {message["channel"] for message in messages} == {f"{fleet.prefix}/0.celery.pidbox".encode()}


def test_a_task_that_waits_for_its_time_is_told_and_its_token_is_not(fleet: Fleet) -> None:
    fleet.idle("celery@i-0later", "later")
    fleet.send_for_later("later", json.dumps(WORKLOAD), 3600)

    def asked() -> tuple[WorkerReading, ...]:
        return fleet.broker.workers(["celery@i-0later"], timeout_s=2)

    eventually(asked, lambda found: bool(found and found[0].scheduled))
    [told] = asked()
    assert (told.scheduled, told.active, told.reserved) == ((LOAD,), (), ())
    assert PLANTED not in repr(told)


def test_consumers_are_cancelled_and_taken_up_again_at_the_named_worker_only(fleet: Fleet) -> None:
    def consumed() -> list[tuple[str, ...] | None]:
        return [each.queues for each in fleet.broker.workers(NODES, timeout_s=5)]

    fleet.broker.cancel([NODES[1]], ["default"])
    eventually(consumed, lambda found: found == [("default",), ()])
    fleet.broker.consume([NODES[1]], ["default"])
    eventually(consumed, lambda found: found == [("default",), ("default",)])


def test_telling_nobody_tells_nobody(fleet: Fleet) -> None:
    fleet.broker.cancel([], ["default"])
    fleet.broker.stop([])
    time.sleep(1)
    assert [each.queues for each in fleet.broker.workers(NODES, timeout_s=5)] == [("default",), ("default",)]


def test_a_stopped_worker_answers_no_more_and_the_others_do(fleet: Fleet) -> None:
    fleet.broker.stop([NODES[1]])
    eventually(
        lambda: [each.node for each in fleet.broker.workers(NODES, timeout_s=1)], lambda found: found == [NODES[0]]
    )


def test_a_canary_is_run_by_the_one_worker_that_it_is_for(fleet: Fleet) -> None:
    node = "celery@i-0canary"
    fleet.idle(node, "canary-test")

    def asked() -> list[WorkerReading]:
        return list(fleet.broker.workers([node], timeout_s=2))

    eventually(asked, lambda found: bool(found and found[0].queues))
    assert asked()[0].canaries == 0
    fleet.broker.send_canary([node])
    eventually(asked, lambda found: bool(found and found[0].canaries == 1 and found[0].active == ()))
    assert asked()[0].queues == ("canary-test",)  # the canary's own queue is no work of Airflow's
    fleet.broker.end_canary([node])
    key = f"{fleet.prefix}quarterdeck.canary.{node}"
    eventually(lambda: fleet.server.client.exists(key), lambda number: number == 0)
    assert [each.canaries for each in fleet.broker.workers(NODES[:1], timeout_s=5)] == [0]
    fleet.broker.send_canary([])
    fleet.broker.end_canary([])
