"""How long nobody schedules: real Airflow schedulers under their agents, in a sandbox of their own.

Three ways to lose a scheduler, `--runs` times each (10): a planned switchover, SIGKILL of the agent and its scheduler
together (the host dies), SIGSTOP of the scheduler (a hang). A pass of Airflow's scheduling loop writes
`dag_run.last_scheduling_decision` for each run that is under way: the gap is from the last such moment before to the
first one after, on one clock. Before each loss tasks are started, more than there are slots for: those that run and
those that are queued must all end well at their first try.

`BENCH_SANDBOX_HOME=…` uses a sandbox that runs already (and leaves it running).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2

from console.sandbox import control
from console.sandbox.home import Home
from tests.bench.harness import table, until
from tests.journeys.conftest import Sandbox, make_folder, start
from tests.services import free_port

TASKS, TASK_S, QUEUE = 10, 12, "cpu"
TTL_S, HANG_S = 10.0, 30.0
LIMITS = {
    # kind: (what the median may be, what the worst may be); seconds
    "planned": (5.0, None),
    "kill": (TTL_S + 3, TTL_S + 5),
    "hang": (None, HANG_S + 5),
}
SAMPLE_S = 0.05


def process_environment(pid: int) -> dict[str, str]:
    text = Path(f"/proc/{pid}/environ").read_bytes().decode()
    return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)


@dataclass
class Loops:
    """Each pass of the scheduling loop that was seen, as the moment that Airflow wrote down for it."""

    url: str
    seen: list[datetime] = field(default_factory=list)
    ended: bool = False

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        while not self.ended:
            with connection.cursor() as cursor:
                cursor.execute("SELECT max(last_scheduling_decision) FROM dag_run WHERE state = 'running'")
                row = cursor.fetchone()
            if row and row[0] and (not self.seen or row[0] > self.seen[-1]):
                self.seen.append(row[0])
            time.sleep(SAMPLE_S)
        connection.close()

    def around(self, at: datetime, again_after: datetime) -> tuple[datetime, datetime] | None:
        """The last pass before `at` and the first one after `again_after`; None while there is none."""
        before = [moment for moment in self.seen if moment <= at]
        after = [moment for moment in self.seen if moment > again_after]
        return (before[-1], after[0]) if before and after else None


class Platform:
    """What the measurements do and ask, past the console: the store, Airflow's own tables, the supervisor."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.home = Home(sandbox.home)
        agent = next(one for name, one in sandbox.processes().items() if name == "scheduler-a")
        self.metadata_url = process_environment(agent["pid"])["METADATA_URL"]
        self._store = psycopg2.connect(sandbox.env["LEASE_URL"])
        self._metadata = psycopg2.connect(self.metadata_url)
        for connection in (self._store, self._metadata):
            connection.autocommit = True
        self.loops = Loops(self.metadata_url)
        self.runs: list[str] = []

    def store(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._store.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def metadata(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._metadata.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()

    def now(self) -> datetime:
        moment: datetime = self.metadata("SELECT clock_timestamp()")[0][0]
        return moment

    def leader(self) -> str | None:
        rows = self.store("SELECT holder FROM quarterdeck.lease WHERE expires_at > clock_timestamp()")
        return rows[0][0] if rows else None

    def standby(self) -> str | None:
        rows = self.store(
            "SELECT a.name FROM quarterdeck.agent a, quarterdeck.lease l WHERE a.kind = 'scheduler' AND a.name <>"
            " l.holder AND (a.detail->>'ready')::boolean AND a.seen_at > clock_timestamp() - interval '5 s'"
        )
        return rows[0][0] if rows else None

    def job(self) -> int | None:
        rows = self.metadata("SELECT max(id) FROM job WHERE job_type = 'SchedulerJob' AND state = 'running'")
        return rows[0][0] if rows else None

    def tell(self, word: str, fault: str, target: str) -> str:
        answer = asyncio.run(control.ask(self.home, {"do": word, "fault": fault, "target": [target]}))
        return str(answer)

    def begin_work(self) -> None:
        """Tasks of which some run and some wait, and a pass of the loop just now."""
        body = {"logical_date": None, "conf": {"tasks": TASKS, "seconds": TASK_S, "queue": QUEUE}}
        run = str(self.sandbox.airflow("POST", "/dags/sleepers/dagRuns", body)["dag_run_id"])
        self.runs.append(run)
        query = "SELECT count(*) FROM task_instance WHERE run_id = %s AND task_id = %s AND state = 'running'"
        until(lambda: self.metadata(query, run, f"sleep_{QUEUE}")[0][0] > 0, 90)

    def owned(self, job: int | None) -> int:
        """Tasks that wait or run and still belong to the scheduler with this Job."""
        query = "SELECT count(*) FROM task_instance WHERE queued_by_job_id = %s AND state IN ('queued', 'running')"
        return int(self.metadata(query, job)[0][0])

    def results(self) -> tuple[int, list[tuple[Any, ...]]]:
        """Of all runs: how many tasks ended well at once, and those that did not."""
        query = (
            "SELECT run_id, task_id, map_index, state, try_number FROM task_instance"
            " WHERE run_id = ANY(%s) AND task_id = %s"
        )
        rows = self.metadata(query, self.runs, f"sleep_{QUEUE}")
        bad = [row for row in rows if row[3] != "success" or row[4] != 1]
        return len(rows) - len(bad), bad

    def finish_work(self) -> None:
        query = "SELECT count(*) FROM dag_run WHERE run_id = ANY(%s) AND state NOT IN ('success', 'failed')"
        until(lambda: self.metadata(query, self.runs)[0][0] == 0, 300, 0.5)


@dataclass(frozen=True)
class Trial:
    """Seconds. `gap_s`: without a pass of the loop; `back_s`: from the fault to the first pass; `adopted_s`: until no
    task belonged to the old Job."""

    gap_s: float
    back_s: float
    adopted_s: float


def switch_over(platform: Platform) -> None:
    with platform.sandbox.client("operator") as client:
        client.post("scheduler/switchover", json={"reason": "bench"}).raise_for_status()


def kill(platform: Platform) -> None:
    platform.tell("break", "scheduler-kill", platform.leader() or "")


def hang(platform: Platform) -> None:
    platform.tell("break", "scheduler-hang", platform.leader() or "")


def trial(platform: Platform, lose: Callable[[Platform], None], fault: str | None) -> Trial:
    until(lambda: platform.leader() and platform.standby(), 120)
    until(lambda: platform.job() is not None, 60)
    platform.begin_work()
    leader, job, at = platform.leader(), platform.job(), platform.now()
    lose(platform)
    # A new Job: on the other host, or on the same one after a restart in place.
    until(lambda: (platform.job() or 0) > (job or 0), 150, 0.05)
    [(began,)] = platform.metadata("SELECT start_date FROM job WHERE id > %s ORDER BY id LIMIT 1", job)
    until(lambda: platform.loops.around(began, began), 60, 0.05)
    before, after = platform.loops.around(began, began) or (at, at)
    until(lambda: platform.owned(job) == 0, 330, 0.1)
    adopted_s = (platform.now() - at).total_seconds()
    if fault is not None:
        platform.tell("mend", fault, leader or "")
    return Trial((after - before).total_seconds(), (after - at).total_seconds(), adopted_s)


WAYS: dict[str, tuple[Callable[[Platform], None], str | None]] = {
    "planned": (switch_over, None),
    "kill": (kill, "scheduler-kill"),
    "hang": (hang, "scheduler-hang"),
}


def run(*, runs: int = 10, ways: Sequence[str] = tuple(WAYS), **_: Any) -> None:
    running = os.environ.get("BENCH_SANDBOX_HOME")
    folder = None if running else make_folder()
    sandbox = Sandbox(Path(running).resolve()) if running else start(folder / "home", free_port())  # type: ignore[operator]
    try:
        platform = Platform(sandbox)
        platform.loops.start()
        rows = [measured(platform, way, runs) for way in ways]
        platform.loops.ended = True
        table(("seconds", "runs", "gap p50", "gap worst", "back p50", "back worst", "adopted p50", "worst", "ok"), rows)
        print("   planned: gap p50 <= 5 · kill: back p50 <= ttl + 3, worst <= ttl + 5 · hang: back worst <= hang + 5")
        if any(row[-1] != "yes" for row in rows):
            sys.exit("failover: not as promised")
    finally:
        if sandbox.process is not None:
            sandbox.process.terminate()
            sandbox.process.wait(60)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def measured(platform: Platform, way: str, runs: int) -> list[Any]:
    platform.runs = []
    lose, fault = WAYS[way]
    trials = []
    for number in range(runs):
        trials.append(trial(platform, lose, fault))
        one = trials[-1]
        print(
            f"   {way} {number + 1}: gap {one.gap_s:.1f}, back {one.back_s:.1f}, adopted {one.adopted_s:.1f} s",
            flush=True,
        )
    platform.finish_work()
    good, bad = platform.results()
    print(f"   {way}: {good} tasks ended well at their first try, {len(bad)} did not {bad[:5] or ''}", flush=True)
    figures = [[getattr(one, name) for one in trials] for name in ("gap_s", "back_s", "adopted_s")]
    median, worst = LIMITS[way]
    judged = figures[0] if way == "planned" else figures[1]
    kept = (median is None or statistics.median(judged) <= median) and (worst is None or max(judged) <= worst)
    cells = [f"{value:.1f}" for each in figures for value in (statistics.median(each), max(each))]
    return [way, runs, *cells, "yes" if kept and not bad else "NO"]
