"""Remote control commands: answers shaped like celery.worker.control's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.bench.simulator.state import TASK_NAME, Worker

if TYPE_CHECKING:
    from tests.bench.simulator.fleet import Fleet


def _ok(text: str) -> dict:
    return {"ok": text}


def c_stats(f: Fleet, w: Worker, **_) -> dict:
    n = w.concurrency
    return {
        "total": {TASK_NAME: w.processed} if w.processed else {},
        "pid": w.pid,
        "clock": str(f.clock),
        "uptime": int(time.time() - w.born),
        "pool": {
            "implementation": "celery.concurrency.prefork:TaskPool",
            "max-concurrency": n,
            "processes": list(range(w.pid + 1, w.pid + 1 + n)),
            "max-tasks-per-child": "N/A",
            "put-guarded-by-semaphore": False,
            "timeouts": [0, 0],
            "writes": {
                "total": w.processed,
                "avg": f"{w.processed / max(n, 1):.2f}",
                "all": ", ".join(["%.2f" % (1 / max(n, 1))] * n),
                "raw": ", ".join(["1"] * n),
                "strategy": "fair",
                "inqueues": {"total": n, "active": 0},
            },
        },
        "broker": {
            "hostname": "127.0.0.1",
            "userid": None,
            "virtual_host": str(f.wire.db),
            "port": 6379,
            "insist": False,
            "ssl": False,
            "transport": "redis",
            "connect_timeout": 4,
            "transport_options": {"visibility_timeout": 86400},
            "login_method": None,
            "uri_prefix": None,
            "heartbeat": 120.0,
            "failover_strategy": "round-robin",
            "alternates": [],
            "credential_provider": None,
        },
        "prefetch_count": n,
        "rusage": {
            "utime": 10.472457,
            "stime": 2.084088,
            "maxrss": 157556,
            "ixrss": 0,
            "idrss": 0,
            "isrss": 0,
            "minflt": 21101,
            "majflt": 0,
            "nswap": 0,
            "inblock": 848,
            "oublock": 88,
            "msgsnd": 0,
            "msgrcv": 0,
            "nsignals": 0,
            "nvcsw": 117,
            "nivcsw": 37,
        },
    }


def c_active_queues(f: Fleet, w: Worker, **_) -> list:
    return [
        {
            "name": q,
            "exchange": {
                "name": "default",
                "type": "direct",
                "arguments": None,
                "durable": True,
                "passive": False,
                "auto_delete": False,
                "delivery_mode": None,
                "no_declare": False,
            },
            "routing_key": q,
            "queue_arguments": None,
            "binding_arguments": None,
            "consumer_arguments": None,
            "durable": True,
            "exclusive": False,
            "auto_delete": False,
            "no_ack": False,
            "alias": None,
            "bindings": [],
            "no_declare": None,
            "expires": None,
            "message_ttl": None,
            "max_length": None,
            "max_length_bytes": None,
            "max_priority": None,
        }
        for q in w.queues
    ]


def c_conf(f: Fleet, w: Worker, with_defaults=False, **_) -> dict:
    return {
        "broker_url": "redis://:********@127.0.0.1:6379/0",
        "result_backend": "db+postgresql://airflow:********@db/airflow",
        "deprecated_settings": None,
        "accept_content": ["json"],
        "event_serializer": "json",
        "worker_prefetch_multiplier": 1,
        "task_acks_late": True,
        "task_default_queue": "default",
        "task_default_exchange": "default",
        "task_track_started": True,
        "worker_concurrency": w.concurrency,
        "broker_transport_options": {"visibility_timeout": 86400},
        "worker_enable_remote_control": True,
        "worker_redirect_stdouts": False,
        "worker_hijack_root_logger": False,
        "include": ["celery.app.builtins", "airflow.providers.celery.executors.celery_executor_utils"],
    }


def _drop(f: Fleet, w: Worker, task_id, terminate: bool) -> list[str]:
    ids = [task_id] if isinstance(task_id, str) else list(task_id or [])
    hit = []
    for tid in ids:
        w.revoked.append(tid)
        t = w.reserved.pop(tid, None) or (w.active.pop(tid, None) if terminate else None)
        if t:
            t.revoked = True
            hit.append(tid)
            f.task_event(
                w, t, "task-revoked", f'"terminated": {str(terminate).lower()}, "signum": "SIGTERM", "expired": false, '
            )
    del w.revoked[:-1000]
    return hit


def c_revoke(f: Fleet, w: Worker, task_id=None, terminate=False, **_) -> dict:
    hit = _drop(f, w, task_id, terminate)
    if terminate:
        return _ok("terminate: " + (", ".join(hit) or "tasks unknown"))
    return _ok(f"tasks {task_id} flagged as revoked")


def c_events(on: bool):
    def handler(f: Fleet, w: Worker, **_) -> dict:
        was, w.task_events = w.task_events, on
        word = "enabled" if on else "disabled"
        return _ok(f"task events already {word}" if was is on else f"task events {word}")

    return handler


def c_pool(sign: int):
    def handler(f: Fleet, w: Worker, n=1, **_) -> dict:
        w.concurrency = max(0, w.concurrency + sign * n)
        return _ok("pool will grow" if sign > 0 else "pool will shrink")

    return handler


def c_add_consumer(f: Fleet, w: Worker, queue, **_) -> dict:
    if queue not in w.queues:
        w.queues.append(queue)
    return _ok(f"add consumer {queue}")


def c_cancel_consumer(f: Fleet, w: Worker, queue, **_) -> dict:
    if queue in w.queues and len(w.queues) > 1:
        w.queues.remove(queue)
    return _ok(f"no longer consuming from {queue}")


def c_shutdown(f: Fleet, w: Worker, **_) -> None:
    f.go_offline(w, goodbye=True)


def c_query_task(f: Fleet, w: Worker, ids=(), **_) -> dict:
    ids = [ids] if isinstance(ids, str) else ids
    return {
        i: (state, d[i].info()) for i in ids for state, d in (("active", w.active), ("reserved", w.reserved)) if i in d
    }


def _error(exc: Exception):
    def handler(f: Fleet, w: Worker, **_):
        raise exc

    return handler


COMMANDS = {
    "ping": lambda f, w, **_: _ok("pong"),
    "stats": c_stats,
    "active": lambda f, w, safe=False, **_: [t.info(safe) for t in w.active.values()],
    "reserved": lambda f, w, **_: [t.info() for t in w.reserved.values()],
    "scheduled": lambda f, w, **_: [],
    "revoked": lambda f, w, **_: list(w.revoked),
    "registered": lambda f, w, **_: [TASK_NAME],
    "active_queues": c_active_queues,
    "conf": c_conf,
    "clock": lambda f, w, **_: {"clock": f.clock},
    "report": lambda f, w, **_: _ok("software -> celery:5.6.3 (simulated)"),
    "query_task": c_query_task,
    "hello": lambda f, w, from_node=None, **_: None if from_node == w.name else {"revoked": {}, "clock": f.clock},
    "heartbeat": lambda f, w, **_: f.worker_event(w, "worker-heartbeat", freq=5),
    "enable_events": c_events(True),
    "disable_events": c_events(False),
    "revoke": c_revoke,
    "terminate": lambda f, w, task_id=None, signal=None, **_: c_revoke(f, w, task_id, terminate=True),
    "rate_limit": lambda f, w, **_: _ok("new rate limit set successfully"),
    "time_limit": lambda f, w, **_: _ok("time limits set successfully"),
    "pool_grow": c_pool(+1),
    "pool_shrink": c_pool(-1),
    "autoscale": _error(ValueError("Autoscale not enabled")),
    "pool_restart": _error(ValueError("Pool restarts not enabled")),
    "add_consumer": c_add_consumer,
    "cancel_consumer": c_cancel_consumer,
    "shutdown": c_shutdown,
}
for _alias, _name in {
    "dump_conf": "conf",
    "dump_active": "active",
    "dump_reserved": "reserved",
    "dump_schedule": "scheduled",
    "dump_revoked": "revoked",
    "dump_tasks": "registered",
}.items():
    COMMANDS[_alias] = COMMANDS[_name]
