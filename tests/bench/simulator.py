#!/usr/bin/env python3
# ruff: noqa
# fmt: off
"""Celery fleet simulator: thousands of fake workers in one process (Redis broker).

It makes a Redis broker look as if N Celery workers were connected to it, so a
monitoring tool can be tested and measured at scale without running N workers.
No task is ever executed and no task queue is ever read or written.

What it puts on the wire is what Celery 5.6 / kombu 5.7 workers put there
(formats were copied from a real worker watched with MONITOR):

* ``worker-online`` / ``worker-heartbeat`` / ``worker-offline`` events, one
  PUBLISH each on ``/<db>.celeryev/worker.*``, every ``--heartbeat`` seconds per
  worker, phases spread evenly;
* ``task-sent`` (from a client) on ``task.sent``, and ``task-received``,
  ``task-started``, ``task-succeeded`` / ``task-failed`` (from workers) as lists
  on ``task.multi``, together ``--task-rate`` events per second;
* replies to remote control (``celery inspect ...`` / ``celery control ...``):
  broadcasts are read from ``/<db>.celery.pidbox``; replies are LPUSHed to the
  caller's reply queue, after looking its binding up, as kombu does.
  ``destination`` and ``pattern``/``matcher`` are honoured.

Known commands: ping, stats, active, reserved, scheduled, revoked, registered,
active_queues, conf, clock, report, query_task, hello, heartbeat, enable_events,
disable_events, revoke, terminate, rate_limit, time_limit, pool_grow,
pool_shrink, autoscale, pool_restart, add_consumer, cancel_consumer, shutdown.
State-changing ones change the simulated state (a revoked task leaves
``active``; a shut-down worker says goodbye and stops), so a console's actions
can be tested too. An unknown command answers ``{"error": "KeyError(...)"}``.

Differences from a real fleet, to keep in mind when reading measurements:

* one subscriber connection instead of N, so Redis fans a broadcast out once;
  gossip traffic (each worker listening to the others) does not exist;
* the reply-queue binding is looked up once per batch, not once per reply;
* replies come from one process: ~30 us of work each, so 5000 replies take
  ~0.2 s. Add realistic spread with ``--reply-delay``;
* all workers share one logical clock.

With ``--args airflow`` (default) task arguments look like those of Airflow 3's
``execute_workload``: a JSON string whose *first* key is ``"token"`` with a
JWT-shaped value. The tokens are random and worthless (``iss`` is
``fleet-simulator``); they exist to check that a tool does not show them.

Usage::

    python simulator.py --broker redis://127.0.0.1:7480/0 \\
        --workers 1000 --queues 20 --task-rate 200 --seconds 120

Needs only ``redis`` (redis-py) and Python 3.9+. Use a broker of your own:
anything that consumes events there will see the simulated fleet. SIGINT or
SIGTERM ends it early, with goodbyes. Exit status 0; 2 if the broker cannot be
reached or is lost; 3 if the simulator fell behind by more than ``--max-late``
seconds (then the load was not the one asked for).
"""
from __future__ import annotations

import argparse
import base64
import fnmatch
import heapq
import itertools
import json
import os
import queue as queue_mod
import random
import re
import signal
import sys
import threading
import time
import uuid
from collections import Counter

import redis

SEP = "\x06\x16"  # kombu's separator inside binding-table members
SW = '"sw_ident": "py-celery", "sw_ver": "5.6.3", "sw_sys": "Linux"'
TICK = 0.02  # seconds between flushes to the broker
REPLIES_PER_TICK = 250  # so that a broadcast to 5000 workers does not delay heartbeats
TASK_NAME = "execute_workload"


# -- wire format -------------------------------------------------------------

_tags = itertools.count(1)
_tag_prefix = uuid.uuid4().hex


def _delivery_tag() -> str:
    """A unique UUID-shaped string (cheaper than uuid4)."""
    h = f"{_tag_prefix[:20]}{next(_tags):012x}"
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def envelope(body: str, headers: str, exchange: str, routing_key: str) -> bytes:
    """kombu's virtual-transport envelope around a JSON *body*, as Redis holds it."""
    return (
        f'{{"body": "{base64.b64encode(body.encode()).decode()}", "content-encoding": "utf-8", '
        f'"content-type": "application/json", "headers": {headers}, "properties": {{"delivery_mode": 1, '
        f'"delivery_info": {{"exchange": "{exchange}", "routing_key": "{routing_key}"}}, "priority": 0, '
        f'"body_encoding": "base64", "delivery_tag": "{_delivery_tag()}"}}}}'
    ).encode()


def resp(*args: bytes | str) -> bytes:
    """One Redis command, RESP-encoded."""
    out = [b"*%d\r\n" % len(args)]
    for a in args:
        a = a.encode() if isinstance(a, str) else a
        out.append(b"$%d\r\n%b\r\n" % (len(a), a))
    return b"".join(out)


class Wire:
    """Write-only broker connection: commands are collected, then sent in one go.

    ``CLIENT REPLY OFF`` spares both sides the replies. TCP back-pressure still
    holds: if Redis is slow, ``flush`` blocks and the lateness is reported.
    """

    def __init__(self, url: str):
        self.client = redis.Redis.from_url(url)  # ordinary connection, for look-ups
        self.client.ping()
        pool = redis.ConnectionPool.from_url(url)
        self.conn = pool.make_connection()
        self.conn.connect()
        self.conn.send_packed_command([resp("CLIENT", "REPLY", "OFF")])
        self.db = int(pool.connection_kwargs.get("db") or 0)
        self.buf: list[bytes] = []
        self.sent_bytes = 0

    def event(self, body: str, hostname: str, routing_key: str) -> None:
        msg = envelope(body, f'{{"hostname": "{hostname}"}}', "celeryev", routing_key)
        self.buf.append(resp("PUBLISH", f"/{self.db}.celeryev/{routing_key}", msg))

    def push(self, key: str, msg: bytes) -> None:
        self.buf.append(resp("LPUSH", key, msg))

    def flush(self) -> None:
        if self.buf:
            data = b"".join(self.buf)
            self.buf.clear()
            self.sent_bytes += len(data)
            self.conn.send_packed_command([data], check_health=False)


# -- simulated state ---------------------------------------------------------


class Task:
    __slots__ = ("id", "args", "argsrepr", "worker", "started", "due", "revoked", "queue")

    def __init__(self, args: list, queue: str):
        self.id = str(uuid.UUID(int=random.getrandbits(128), version=4))
        self.args = args
        self.argsrepr = repr(tuple(args))
        if len(self.argsrepr) > 1024:  # celery's argsrepr_maxsize
            self.argsrepr = self.argsrepr[:1021] + "..."
        self.queue = queue
        self.worker: Worker | None = None
        self.started = 0.0
        self.due = 0.0
        self.revoked = False

    def info(self, safe: bool = False) -> dict:
        """As celery.worker.request.Request.info()."""
        w = self.worker
        return {
            "id": self.id, "name": TASK_NAME,
            "args": self.argsrepr if safe else self.args,
            "kwargs": "{}" if safe else {},
            "type": TASK_NAME, "hostname": w.name, "time_start": self.started or None,
            "acknowledged": False,
            "delivery_info": {"exchange": "", "routing_key": self.queue, "priority": 0, "redelivered": False},
            "worker_pid": (w.pid + 1) if self.started else None,
        }


class Worker:
    __slots__ = ("name", "pid", "queues", "concurrency", "active", "reserved", "processed", "born",
                 "up", "silent", "task_events", "revoked", "outbox")

    def __init__(self, name: str, queues: list[str], concurrency: int, silent: bool, task_events: bool):
        self.name = name
        self.queues = queues
        self.concurrency = concurrency
        self.silent = silent
        self.active: dict[str, Task] = {}
        self.reserved: dict[str, Task] = {}
        self.revoked: list[str] = []
        self.processed = 0
        self.outbox: list[str] = []  # task events of this tick
        self.boot(task_events)

    def boot(self, task_events: bool) -> None:
        self.pid = random.randint(100, 60000)
        self.born = time.time()
        self.up = True
        self.task_events = task_events


class Fleet:
    def __init__(self, opt: argparse.Namespace):
        self.opt = opt
        self.wire = Wire(opt.broker)
        self.clock = 0
        self.queue_names = [opt.queue_format.format(i) for i in range(opt.queues)]
        rnd = random.Random(opt.seed)
        silent = set(rnd.sample(range(opt.workers), round(opt.workers * opt.silent_ratio)))
        self.workers: dict[str, Worker] = {}
        for i in range(opt.workers):
            qs = [self.queue_names[i % opt.queues]]
            if rnd.random() < 0.3:  # some workers serve a second queue
                qs = list(dict.fromkeys(qs + [rnd.choice(self.queue_names)]))
            name = opt.name_format.format(i)
            self.workers[name] = Worker(name, qs, opt.concurrency, i in silent, opt.task_events == "on")
        self.list = list(self.workers.values())
        self.timers: list[tuple] = []  # heap of (due, seq, function, args)
        self.seq = itertools.count()
        self.dirty: set[Worker] = set()  # workers whose outbox is not empty
        self.replies: list[tuple] = []  # heap of (due, seq, worker, request)
        self.inbox: queue_mod.Queue = queue_mod.Queue()
        self.count: Counter = Counter()
        self.stopping = False
        self.max_late = 0.0
        self.load = os.getloadavg()

    # -- time

    def at(self, due: float, fun, *args) -> None:
        heapq.heappush(self.timers, (due, next(self.seq), fun, args))

    # -- worker events

    def worker_event(self, w: Worker, kind: str, freq: float | None = None) -> None:
        self.clock += 1
        self.count[kind] += 1
        l1, l5, l15 = self.load
        # A heartbeat asked for by remote control carries only freq and the software, as in celery
        fields = (f'"freq": {freq or self.opt.heartbeat}, "active": {len(w.active)}, "processed": {w.processed}, '
                  f'"loadavg": [{l1:.2f}, {l5:.2f}, {l15:.2f}]') if freq is None else f'"freq": {freq}'
        self.wire.event(
            f'{{"hostname": "{w.name}", "utcoffset": 0, "pid": {w.pid}, "clock": {self.clock}, {fields}, {SW}, '
            f'"timestamp": {time.time():.6f}, "type": "{kind}"}}',
            w.name, kind.replace("-", "."))

    def beat(self, w: Worker, due: float, pid: int) -> None:
        if w.up and w.pid == pid and not self.stopping:  # another pid: it restarted and beats by another timer
            self.worker_event(w, "worker-heartbeat")
            self.at(due + self.opt.heartbeat, self.beat, w, due + self.opt.heartbeat, pid)

    def go_online(self, w: Worker, now: float, first: bool = False) -> None:
        if not first:
            w.boot(self.opt.task_events == "on")
        self.worker_event(w, "worker-online")
        self.at(now + self.opt.heartbeat, self.beat, w, now + self.opt.heartbeat, w.pid)
        for _ in range(self.opt.long_tasks):  # stay active for ever, so that `inspect active` is never empty
            t = Task(self.make_args(), random.choice(w.queues))
            t.worker, t.started = w, time.time()
            w.active[t.id] = t

    def go_offline(self, w: Worker, goodbye: bool) -> None:
        if w.up:
            if goodbye:
                self.worker_event(w, "worker-offline")
            w.up = False
            w.active.clear()
            w.reserved.clear()

    def churn(self, due: float) -> None:
        """Restart one random worker: a goodbye or a crash, then back after --downtime."""
        w = random.choice(self.list)
        if w.up:
            crash = random.random() < self.opt.crash_ratio
            self.count["crashed" if crash else "stopped"] += 1
            self.go_offline(w, goodbye=not crash)
            self.at(due + self.opt.downtime, self.go_online, w, due + self.opt.downtime)
        self.at(due + 1 / self.opt.churn, self.churn, due + 1 / self.opt.churn)

    # -- tasks

    def make_args(self) -> list:
        if self.opt.args == "plain":
            return [random.randrange(1000), random.randrange(1000)]
        return [airflow_workload()]

    def task_event(self, w: Worker, t: Task, kind: str, fields: str = "") -> None:
        if w.task_events:
            self.clock += 1
            self.count[kind] += 1
            w.outbox.append(
                f'{{"hostname": "{w.name}", "utcoffset": 0, "pid": {w.pid}, "clock": {self.clock}, '
                f'"uuid": "{t.id}", {fields}"timestamp": {time.time():.6f}, "type": "{kind}"}}')
            self.dirty.add(w)

    def launch(self, due: float) -> None:
        """One task begins its life: sent -> received -> started -> succeeded|failed."""
        per_task = 4 if self.opt.sent_events else 3
        step = per_task / self.opt.task_rate
        self.at(due + step, self.launch, due + step)
        for _ in range(3):
            w = random.choice(self.list)
            if w.up and len(w.active) < w.concurrency + self.opt.long_tasks:
                break
        else:
            self.count["no-free-worker"] += 1
            return
        t = Task(self.make_args(), random.choice(w.queues))
        t.worker = w
        desc = (f'"name": "{TASK_NAME}", "args": {json.dumps(t.argsrepr)}, "kwargs": "{{}}", "root_id": "{t.id}", '
                f'"parent_id": null, "retries": 0, "eta": null, "expires": null, ')
        if self.opt.sent_events:
            self.count["task-sent"] += 1
            self.wire.event(
                f'{{"hostname": "gen1@scheduler", "utcoffset": 0, "pid": 1, "clock": null, "uuid": "{t.id}", {desc}'
                f'"queue": "{t.queue}", "exchange": "", "routing_key": "{t.queue}", '
                f'"timestamp": {time.time():.6f}, "type": "task-sent"}}', "gen1@scheduler", "task.sent")
        w.reserved[t.id] = t
        self.task_event(w, t, "task-received", desc)
        self.at(due + random.uniform(0.02, 0.06), self.begin, w, t, w.pid)

    def begin(self, w: Worker, t: Task, pid: int) -> None:
        if w.pid != pid or not w.up or t.revoked:
            return  # the worker has gone, or the task was revoked
        w.reserved.pop(t.id, None)
        w.active[t.id] = t
        w.processed += 1
        t.started = time.time()
        self.task_event(w, t, "task-started")
        self.at(time.monotonic() + random.expovariate(1 / self.opt.runtime), self.end, w, t, pid)

    def end(self, w: Worker, t: Task, pid: int) -> None:
        if w.pid != pid or not w.up or t.revoked:
            return
        w.active.pop(t.id, None)
        if random.random() < self.opt.fail_ratio:
            self.task_event(w, t, "task-failed", '"exception": "RuntimeError(\'simulated\')", "traceback": '
                            '"Traceback (most recent call last):\\n  simulated\\n", ')
        else:
            self.task_event(w, t, "task-succeeded", f'"result": "None", "runtime": {time.time() - t.started:.6f}, ')

    # -- remote control

    def listen(self) -> None:
        """Thread: read control broadcasts; the main loop handles them."""
        while not self.stopping:
            try:
                ps = redis.Redis.from_url(self.opt.broker).pubsub(ignore_subscribe_messages=True)
                ps.subscribe(f"/{self.wire.db}.celery.pidbox")
                while not self.stopping:
                    m = ps.get_message(timeout=0.5)
                    if m and m["type"] == "message":
                        raw = json.loads(m["data"])
                        body = raw["body"]
                        if raw["properties"].get("body_encoding") == "base64":
                            body = base64.b64decode(body)
                        self.inbox.put(json.loads(body))
                ps.close()
            except redis.RedisError as exc:
                if not self.stopping:
                    print(f"simulator: control listener: {exc!r}, again in 1 s", file=sys.stderr)
                    time.sleep(1)

    def on_broadcast(self, req: dict, now: float) -> None:
        self.count["broadcasts"] += 1
        self.count["control:" + req["method"]] += 1
        dest, pattern, matcher = req.get("destination"), req.get("pattern"), req.get("matcher")
        if dest:
            targets = [self.workers[d] for d in dest if d in self.workers]
        elif pattern and matcher:
            if matcher == "pcre":
                rx = re.compile(pattern)
                targets = [w for w in self.list if rx.match(w.name)]
            else:
                targets = [w for w in self.list if fnmatch.fnmatch(w.name, pattern)]
        else:
            targets = self.list
        lo, hi = self.opt.reply_delay
        for w in targets:
            if w.up and not w.silent:
                heapq.heappush(self.replies, (now + random.uniform(lo, hi), next(self.seq), w, req))

    def reply_some(self, now: float) -> None:
        """Run due control commands and push their replies (a bounded number per tick)."""
        bindings: dict[str, list[str]] = {}
        for _ in range(REPLIES_PER_TICK):
            if not self.replies or self.replies[0][0] > now:
                return
            _, _, w, req = heapq.heappop(self.replies)
            if not w.up:
                continue
            handler = COMMANDS.get(req["method"])
            try:
                if handler is None:
                    raise KeyError(req["method"])
                answer = handler(self, w, **(req.get("arguments") or {}))
            except Exception as exc:  # as kombu.pidbox.Node.dispatch does
                answer = {"error": repr(exc)}
            to = req.get("reply_to")
            if to and answer is not None:
                ex, key = to["exchange"], to["routing_key"]
                if ex not in bindings:
                    bindings[ex] = [m.decode().split(SEP) for m in self.wire.client.smembers(f"_kombu.binding.{ex}")]
                self.clock += 1
                msg = envelope(json.dumps({w.name: answer}),
                               f'{{"ticket": "{req.get("ticket")}", "clock": {self.clock}}}', ex, key)
                for b in bindings[ex]:
                    if b[0] == key:
                        self.wire.push(b[2], msg)
                        self.count["replies"] += 1

    # -- main loop

    def run(self) -> int:
        opt = self.opt
        start = time.monotonic()
        threading.Thread(target=self.listen, daemon=True).start()
        for i, w in enumerate(self.list):  # come online spread over one heartbeat period
            self.at(start + opt.heartbeat * i / len(self.list), self.go_online, w,
                    start + opt.heartbeat * i / len(self.list), True)
        if opt.task_rate > 0:
            self.at(start + opt.heartbeat, self.launch, start + opt.heartbeat)
        if opt.churn > 0:
            self.at(start + opt.heartbeat, self.churn, start + opt.heartbeat)
        stats = open(opt.stats_file, "w") if opt.stats_file else None
        next_stat, late_in_second, last_cpu = start + 1, 0.0, time.process_time()
        while not self.stopping:
            now = time.monotonic()
            if opt.seconds and now - start >= opt.seconds:
                break
            late = 0.0
            while self.timers and self.timers[0][0] <= now:
                due, _, fun, args = heapq.heappop(self.timers)
                late = max(late, now - due - TICK)
                fun(*args)
            for _ in range(self.inbox.qsize()):
                self.on_broadcast(self.inbox.get_nowait(), now)
            self.reply_some(now)
            for w in self.dirty:  # celery workers buffer task events and send them as lists
                self.wire.event("[" + ", ".join(w.outbox) + "]", w.name, "task.multi")
                w.outbox.clear()
            self.dirty.clear()
            self.wire.flush()
            late_in_second = max(late_in_second, late)
            if now >= next_stat:
                self.load = os.getloadavg()
                self.max_late = max(self.max_late, late_in_second)
                if stats:
                    cpu = time.process_time()
                    stats.write(json.dumps({
                        "t": round(time.time(), 3), "events": self.events(), "late": round(late_in_second, 3),
                        "cpu": round(cpu - last_cpu, 3), "bytes": self.wire.sent_bytes,
                        "up": sum(w.up for w in self.list), "active": sum(len(w.active) for w in self.list),
                        **self.count}) + "\n")
                    stats.flush()
                    last_cpu = cpu
                next_stat, late_in_second = next_stat + 1, 0.0
            pause = TICK - (time.monotonic() - now)
            if pause > 0 and not (self.replies and self.replies[0][0] <= time.monotonic()):
                time.sleep(pause)
        self.stopping = True
        if not opt.no_goodbye:
            for w in self.list:
                self.go_offline(w, goodbye=True)
            self.wire.flush()
        took = time.monotonic() - start
        print(json.dumps({
            "workers": len(self.list), "seconds": round(took, 1), "events": self.events(),
            "events_per_s": round(self.events() / took, 1), "max_late_s": round(self.max_late, 3),
            "cpu_s": round(time.process_time(), 2), "sent_bytes": self.wire.sent_bytes, **self.count}))
        if self.max_late > opt.max_late:
            print(f"simulator: fell behind by {self.max_late:.2f} s; the load was less than asked for", file=sys.stderr)
            return 3
        return 0

    def events(self) -> int:
        return sum(n for k, n in self.count.items() if k.startswith(("worker-", "task-")))


# -- fake Airflow arguments --------------------------------------------------

def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_JWT_HEAD = _b64(b'{"alg": "HS512", "typ": "JWT"}')


def airflow_workload() -> str:
    """The JSON argument of Airflow 3's execute_workload; its token is random and opens nothing."""
    tid = str(uuid.UUID(int=random.getrandbits(128), version=4))
    now = int(time.time())
    claims = (f'{{"jti": "{random.getrandbits(128):032x}", "iss": "fleet-simulator", "aud": "urn:airflow.apache.org:task", '
              f'"nbf": {now}, "exp": {now + 600}, "iat": {now}, "sub": "{tid}", "scope": "workload"}}')
    token = f"{_JWT_HEAD}.{_b64(claims.encode())}.{_b64(random.randbytes(64))}"
    dag, task = f"dag_{random.randrange(200):03d}", f"task_{random.randrange(20):02d}"
    run = "scheduled__2025-11-22T00:00:00+00:00"
    return (
        f'{{"token":"{token}","dag_rel_path":"{dag}.py","bundle_info":{{"name":"dags-folder","version":null}},'
        f'"log_path":"dag_id={dag}/run_id={run}/task_id={task}/attempt=1.log","ti":{{"id":"{tid}",'
        f'"dag_version_id":"{uuid.UUID(int=random.getrandbits(128), version=4)}","task_id":"{task}","dag_id":"{dag}",'
        f'"run_id":"{run}","try_number":1,"map_index":-1,"hostname":null,"context_carrier":{{}},"queue":"default",'
        f'"pool_slots":1,"priority_weight":1}},"sentry_integration":"","type":"ExecuteTask"}}')


# -- remote control commands (answers shaped like celery.worker.control) ------

def _ok(text: str) -> dict:
    return {"ok": text}


def c_stats(f: Fleet, w: Worker, **_) -> dict:
    n = w.concurrency
    return {
        "total": {TASK_NAME: w.processed} if w.processed else {}, "pid": w.pid, "clock": str(f.clock),
        "uptime": int(time.time() - w.born),
        "pool": {"implementation": "celery.concurrency.prefork:TaskPool", "max-concurrency": n,
                 "processes": list(range(w.pid + 1, w.pid + 1 + n)), "max-tasks-per-child": "N/A",
                 "put-guarded-by-semaphore": False, "timeouts": [0, 0],
                 "writes": {"total": w.processed, "avg": f"{w.processed / max(n, 1):.2f}",
                            "all": ", ".join(["%.2f" % (1 / max(n, 1))] * n), "raw": ", ".join(["1"] * n),
                            "strategy": "fair", "inqueues": {"total": n, "active": 0}}},
        "broker": {"hostname": "127.0.0.1", "userid": None, "virtual_host": str(f.wire.db), "port": 6379,
                   "insist": False, "ssl": False, "transport": "redis", "connect_timeout": 4,
                   "transport_options": {"visibility_timeout": 86400}, "login_method": None, "uri_prefix": None,
                   "heartbeat": 120.0, "failover_strategy": "round-robin", "alternates": [],
                   "credential_provider": None},
        "prefetch_count": n,
        "rusage": {"utime": 10.472457, "stime": 2.084088, "maxrss": 157556, "ixrss": 0, "idrss": 0, "isrss": 0,
                   "minflt": 21101, "majflt": 0, "nswap": 0, "inblock": 848, "oublock": 88, "msgsnd": 0,
                   "msgrcv": 0, "nsignals": 0, "nvcsw": 117, "nivcsw": 37},
    }


def c_active_queues(f: Fleet, w: Worker, **_) -> list:
    return [{
        "name": q,
        "exchange": {"name": "default", "type": "direct", "arguments": None, "durable": True, "passive": False,
                     "auto_delete": False, "delivery_mode": None, "no_declare": False},
        "routing_key": q, "queue_arguments": None, "binding_arguments": None, "consumer_arguments": None,
        "durable": True, "exclusive": False, "auto_delete": False, "no_ack": False, "alias": None, "bindings": [],
        "no_declare": None, "expires": None, "message_ttl": None, "max_length": None, "max_length_bytes": None,
        "max_priority": None} for q in w.queues]


def c_conf(f: Fleet, w: Worker, with_defaults=False, **_) -> dict:
    return {"broker_url": "redis://:********@127.0.0.1:6379/0", "result_backend": "db+postgresql://airflow:********@db/airflow",
            "deprecated_settings": None, "accept_content": ["json"], "event_serializer": "json",
            "worker_prefetch_multiplier": 1, "task_acks_late": True, "task_default_queue": "default",
            "task_default_exchange": "default", "task_track_started": True, "worker_concurrency": w.concurrency,
            "broker_transport_options": {"visibility_timeout": 86400}, "worker_enable_remote_control": True,
            "worker_redirect_stdouts": False, "worker_hijack_root_logger": False,
            "include": ["celery.app.builtins", "airflow.providers.celery.executors.celery_executor_utils"]}


def _drop(f: Fleet, w: Worker, task_id, terminate: bool) -> list[str]:
    ids = [task_id] if isinstance(task_id, str) else list(task_id or [])
    hit = []
    for tid in ids:
        w.revoked.append(tid)
        t = w.reserved.pop(tid, None) or (w.active.pop(tid, None) if terminate else None)
        if t:
            t.revoked = True
            hit.append(tid)
            f.task_event(w, t, "task-revoked",
                         f'"terminated": {str(terminate).lower()}, "signum": "SIGTERM", "expired": false, ')
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
    return {i: (state, d[i].info()) for i in ids for state, d in (("active", w.active), ("reserved", w.reserved)) if i in d}


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
for _alias, _name in {"dump_conf": "conf", "dump_active": "active", "dump_reserved": "reserved",
                      "dump_schedule": "scheduled", "dump_revoked": "revoked", "dump_tasks": "registered"}.items():
    COMMANDS[_alias] = COMMANDS[_name]


# -- command line --------------------------------------------------------------

def parse(argv: list[str] | None = None) -> argparse.Namespace:
    p = argparse.ArgumentParser(description="Simulate a fleet of Celery workers on a Redis broker.",
                                formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--broker", default="redis://127.0.0.1:7480/0", help="Redis URL of a broker of your own")
    p.add_argument("--workers", type=int, default=10)
    p.add_argument("--queues", type=int, default=5, help="number of queues the workers are spread over")
    p.add_argument("--task-rate", type=float, default=0, help="task events per second, all kinds together")
    p.add_argument("--seconds", type=float, default=60, help="0: until SIGINT/SIGTERM")
    p.add_argument("--heartbeat", type=float, default=2.0, help="seconds between a worker's heartbeats")
    p.add_argument("--concurrency", type=int, default=16, help="pool size each worker reports")
    p.add_argument("--runtime", type=float, default=2.0, help="mean task runtime, seconds (exponential)")
    p.add_argument("--long-tasks", type=int, default=1, help="tasks every worker has active for ever")
    p.add_argument("--fail-ratio", type=float, default=0.02)
    p.add_argument("--args", choices=["airflow", "plain"], default="airflow", help="shape of the task arguments")
    p.add_argument("--no-sent-events", dest="sent_events", action="store_false",
                   help="no task-sent events (as with Airflow's default settings)")
    p.add_argument("--task-events", choices=["on", "remote"], default="on",
                   help="on: always sent (worker -E); remote: only after `control enable_events`")
    p.add_argument("--silent-ratio", type=float, default=0.0, help="share of workers that never answer remote control")
    p.add_argument("--reply-delay", type=float, nargs=2, metavar=("MIN", "MAX"), default=(0.0, 0.02),
                   help="seconds before a worker answers remote control (uniform)")
    p.add_argument("--churn", type=float, default=0.0, help="worker restarts per second, in the whole fleet")
    p.add_argument("--crash-ratio", type=float, default=0.5, help="share of restarts without worker-offline")
    p.add_argument("--downtime", type=float, default=15.0, help="seconds a restarted worker stays away")
    p.add_argument("--name-format", default="celery@worker-{:05d}")
    p.add_argument("--queue-format", default="queue-{:02d}")
    p.add_argument("--no-goodbye", action="store_true", help="end without worker-offline events (a mass crash)")
    p.add_argument("--stats-file", help="write counters here once a second, as JSON lines")
    p.add_argument("--max-late", type=float, default=1.0, help="tolerated lateness, seconds, before exit status 3")
    p.add_argument("--seed", type=int, default=1)
    opt = p.parse_args(argv)
    if opt.workers < 1 or opt.queues < 1:
        p.error("--workers and --queues must be at least 1")
    if opt.heartbeat <= 0 or opt.runtime <= 0:
        p.error("--heartbeat and --runtime must be positive")
    return opt


def main(argv: list[str] | None = None) -> int:
    opt = parse(argv)
    random.seed(opt.seed)
    try:
        fleet = Fleet(opt)
    except redis.RedisError as exc:
        print(f"simulator: cannot use the broker: {exc}", file=sys.stderr)
        return 2

    def stop(*_):
        fleet.stopping = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    try:
        return fleet.run()
    except (redis.RedisError, OSError) as exc:
        print(f"simulator: lost the broker: {exc!r}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
