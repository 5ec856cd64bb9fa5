"""The Redis broker of Airflow's Celery workers: queue depth, inspection by name, heartbeats.

Task arguments never leave this package: they hold a token (`wire.identity`). Task events are never enabled, and no
command goes to a worker that was not named.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from console.platform.broker import control, heartbeats, inspection
from console.platform.broker.errors import place, reported
from console.platform.broker.wire import UNACKED, canary, canary_queue, lists_of
from console.platform.declared import BrokerDeclared
from console.platform.readings import BrokerReading, QueueDepth, WorkerHeartbeat, WorkerReading

CONNECT_S = 2.0
ANSWER_S = 4.0
CANARY_S = 300
"""A canary that nobody took is gone after this long."""


class Broker:
    """One broker. Safe for threads: every call takes a connection of its own from the pool. Raises PlatformError."""

    def __init__(self, declared: BrokerDeclared, *, connect_s: float = CONNECT_S, answer_s: float = ANSWER_S) -> None:
        self._where = place(declared.url)
        self._prefix = declared.key_prefix
        self._redis = redis.Redis.from_url(
            declared.url,
            protocol=2,
            socket_connect_timeout=connect_s,
            socket_timeout=answer_s,
            socket_keepalive=True,
            # A repetition hides a gap in the heartbeats and doubles every time limit: the next poll is the retry.
            retry=Retry(NoBackoff(), 0),
            client_name="quarterdeck",
        )

    def queues(self, queues: Sequence[str]) -> BrokerReading:
        """How many messages wait in each queue, over its priority lists, and how many are not acknowledged."""
        names = list(dict.fromkeys(queues))
        with reported(self._where):
            began_s = time.monotonic()
            self._redis.ping()
            ping_s = time.monotonic() - began_s
            pipe = self._redis.pipeline(transaction=False)
            for name in names:
                for key in lists_of(name):
                    pipe.llen(self._prefix + key)
            pipe.hlen(self._prefix + UNACKED)
            lengths = pipe.execute()
        step = len(lists_of(""))
        depths = tuple(
            QueueDepth(name, sum(lengths[number * step : (number + 1) * step])) for number, name in enumerate(names)
        )
        return BrokerReading(depths=depths, unacknowledged=lengths[-1], ping_s=ping_s)

    def workers(self, nodes: Sequence[str], *, timeout_s: float) -> tuple[WorkerReading, ...]:
        """What these workers say of themselves; those that do not answer within `timeout_s` are left out.

        An empty sequence asks nobody and touches no network: Celery would take it for *every* worker.
        """
        if not nodes:
            return ()
        with reported(self._where):
            return inspection.ask(self._redis, self._prefix, list(dict.fromkeys(nodes)), timeout_s)

    def cancel(self, nodes: Sequence[str], queues: Sequence[str]) -> None:
        """Tell these workers to take nothing more from these queues. Scheduled, not done: ask `workers` afterwards."""
        self._tell(nodes, "cancel_consumer", [{"queue": queue} for queue in queues])

    def consume(self, nodes: Sequence[str], queues: Sequence[str]) -> None:
        """Tell these workers to take up these queues. Celery 5.6 forgets it at a reconnect: look for a while."""
        self._tell(nodes, "add_consumer", [{"queue": queue} for queue in queues])

    def stop(self, nodes: Sequence[str]) -> None:
        """Tell these workers to stop, warm: they answer nothing from then on, and end when their tasks have ended."""
        self._tell(nodes, "shutdown", [{}])

    def send_canary(self, nodes: Sequence[str]) -> None:
        """Have each of these workers run one harmless task, by a queue of its own: see `WorkerReading.canaries`."""
        for node in dict.fromkeys(nodes):
            queue = canary_queue(node)
            self._tell([node], "add_consumer", [{"queue": queue}])
            with reported(self._where):
                pipe = self._redis.pipeline(transaction=True)
                pipe.delete(self._prefix + queue)  # an earlier one that was never taken
                pipe.lpush(self._prefix + queue, canary(node))
                pipe.expire(self._prefix + queue, CANARY_S)
                pipe.execute()

    def end_canary(self, nodes: Sequence[str]) -> None:
        """Let these workers consume their canary queues no more."""
        for node in dict.fromkeys(nodes):
            self._tell([node], "cancel_consumer", [{"queue": canary_queue(node)}])

    def _tell(self, nodes: Sequence[str], method: str, arguments: list[dict[str, str]]) -> None:
        if not nodes:
            return  # never an empty destination: it would be everybody
        with reported(self._where):
            for each in arguments:
                control.tell(self._redis, self._prefix, list(dict.fromkeys(nodes)), method, dict(each))

    def heartbeats(self, *, idle_s: float) -> Iterator[WorkerHeartbeat | None]:
        """Worker events for ever; None whenever `idle_s` passed without one. Ends by PlatformError.

        Redis keeps nothing for a subscriber that is away, and cuts off one that lags: an error means a gap, after which
        no worker may be called silent until it has had the time to beat again.
        """
        with reported(self._where):
            yield from heartbeats.received(self._redis, self._prefix, idle_s)
