"""The fleet: what its workers do when, and what is asked of them."""

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
import sys
import threading
import time
from collections import Counter

import redis

from tests.bench.simulator.commands import COMMANDS
from tests.bench.simulator.state import TASK_NAME, Task, Worker
from tests.bench.simulator.wire import Wire, envelope
from tests.bench.simulator.workload import airflow_workload

SEP = "\x06\x16"  # kombu's separator inside binding-table members
SW = '"sw_ident": "py-celery", "sw_ver": "5.6.3", "sw_sys": "Linux"'
TICK = 0.02  # seconds between flushes to the broker
REPLIES_PER_TICK = 250  # so that a broadcast to 5000 workers does not delay heartbeats


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
        fields = (
            (
                f'"freq": {freq or self.opt.heartbeat}, "active": {len(w.active)}, "processed": {w.processed}, '
                f'"loadavg": [{l1:.2f}, {l5:.2f}, {l15:.2f}]'
            )
            if freq is None
            else f'"freq": {freq}'
        )
        self.wire.event(
            f'{{"hostname": "{w.name}", "utcoffset": 0, "pid": {w.pid}, "clock": {self.clock}, {fields}, {SW}, '
            f'"timestamp": {time.time():.6f}, "type": "{kind}"}}',
            w.name,
            kind.replace("-", "."),
        )

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
                f'"uuid": "{t.id}", {fields}"timestamp": {time.time():.6f}, "type": "{kind}"}}'
            )
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
        desc = (
            f'"name": "{TASK_NAME}", "args": {json.dumps(t.argsrepr)}, "kwargs": "{{}}", "root_id": "{t.id}", '
            f'"parent_id": null, "retries": 0, "eta": null, "expires": null, '
        )
        if self.opt.sent_events:
            self.count["task-sent"] += 1
            self.wire.event(
                f'{{"hostname": "gen1@scheduler", "utcoffset": 0, "pid": 1, "clock": null, "uuid": "{t.id}", {desc}'
                f'"queue": "{t.queue}", "exchange": "", "routing_key": "{t.queue}", '
                f'"timestamp": {time.time():.6f}, "type": "task-sent"}}',
                "gen1@scheduler",
                "task.sent",
            )
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
            self.task_event(
                w,
                t,
                "task-failed",
                '"exception": "RuntimeError(\'simulated\')", "traceback": '
                '"Traceback (most recent call last):\\n  simulated\\n", ',
            )
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
                msg = envelope(
                    json.dumps({w.name: answer}), f'{{"ticket": "{req.get("ticket")}", "clock": {self.clock}}}', ex, key
                )
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
            self.at(
                start + opt.heartbeat * i / len(self.list),
                self.go_online,
                w,
                start + opt.heartbeat * i / len(self.list),
                True,
            )
        if opt.task_rate > 0:
            self.at(start + opt.heartbeat, self.launch, start + opt.heartbeat)
        if opt.churn > 0:
            self.at(start + opt.heartbeat, self.churn, start + opt.heartbeat)
        stats = open(opt.stats_file, "w") if opt.stats_file else None  # noqa: SIM115 - open until the end
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
                    stats.write(
                        json.dumps(
                            {
                                "t": round(time.time(), 3),
                                "events": self.events(),
                                "late": round(late_in_second, 3),
                                "cpu": round(cpu - last_cpu, 3),
                                "bytes": self.wire.sent_bytes,
                                "up": sum(w.up for w in self.list),
                                "active": sum(len(w.active) for w in self.list),
                                **self.count,
                            }
                        )
                        + "\n"
                    )
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
        print(
            json.dumps(
                {
                    "workers": len(self.list),
                    "seconds": round(took, 1),
                    "events": self.events(),
                    "events_per_s": round(self.events() / took, 1),
                    "max_late_s": round(self.max_late, 3),
                    "cpu_s": round(time.process_time(), 2),
                    "sent_bytes": self.wire.sent_bytes,
                    **self.count,
                }
            )
        )
        if self.max_late > opt.max_late:
            print(f"simulator: fell behind by {self.max_late:.2f} s; the load was less than asked for", file=sys.stderr)
            return 3
        return 0

    def events(self) -> int:
        return sum(n for k, n in self.count.items() if k.startswith(("worker-", "task-")))
