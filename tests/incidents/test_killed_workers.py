"""SIGKILL of real Celery workers, with a real beat, between commit and delivery: `KILLS=50` is the whole of it.

With more than a few kills no time is skipped: what a dead worker held is followed when its lease of 45 s is over.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone

from console.incidents import actions, deliver
from console.incidents.deliver import LEASE_S
from console.incidents.models import Delivery, Incident, Page, PageAttempt
from tests.incidents.made import MIRA, opened
from tests.incidents.receivers import FakePagerDuty
from tests.incidents.test_killed import environment

KILLS = int(os.environ.get("KILLS", "6"))
SKIP = KILLS <= 12
"""Whether the tests skip the lease of what was killed."""
READY_S = 60.0
MOMENTS = ("committed", "sending", "taken", "any")


class Console:
    """The console's own processes, as they are started in production; the worker takes the queue of the pages alone, so
    that no poll of a platform that is not there looks at these incidents."""

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self._env, self._folder = env, folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "console", *arguments],
                env=self._env, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        return self._running[name]

    def said(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(errors="replace")

    def start_worker(self) -> subprocess.Popen[bytes]:
        worker = self.start(
            "worker", "worker", "--pool", "threads", "--concurrency", "16", "-n", "console@%h", "--without-gossip",
            "--without-mingle", "-Q", "pages", "--loglevel", "INFO",
        )  # fmt: skip
        until(lambda: " ready." in self.said("worker") or worker.poll() is not None, READY_S)
        assert worker.poll() is None, self.said("worker")
        return worker

    def end(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait(10)


def until(true: Callable[[], Any], within_s: float) -> bool:
    """Wait for a truth; whether it came in time."""
    deadline = time.monotonic() + within_s
    while not (found := bool(true())) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


class Held:
    """The other end, which holds a request until it is let go: before it takes the event, or with the answer ready."""

    def __init__(self, pd: FakePagerDuty) -> None:
        self._accept, self.moment = pd.accept, ""
        self.there, self.go = threading.Event(), threading.Event()

    def arm(self, moment: str) -> None:
        self.there.clear()
        self.go.clear()
        self.moment = moment

    def release(self) -> None:
        self.moment = ""
        self.go.set()

    def accept(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        moment, self.moment = self.moment, ""
        if moment == "sending":
            self.there.set()
            self.go.wait(READY_S)
        answer = self._accept(path, headers, body)
        if moment == "taken":
            self.there.set()
            self.go.wait(READY_S)
        return answer


@pytest.fixture
def console(
    pd: FakePagerDuty, tmp_path: Path, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Console]:
    url = f"{settings.REDIS_URL.rpartition('/')[0]}/9"  # apart from other tests' messages
    broker = redis.Redis.from_url(url)
    broker.flushdb()
    app = Celery("console")
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.broker_url = url
    monkeypatch.setattr(deliver, "app", app)
    found = Console({**environment(pd, tmp_path), "REDIS_URL": url}, tmp_path)
    found.start("beat", "beat", "-S", "redbeat.RedBeatScheduler", "--pidfile=")
    yield found
    found.end()
    broker.flushdb()


@pytest.mark.timeout(240 + 30 * KILLS)
def test_no_kill_of_a_worker_loses_a_page_or_makes_two_incidents(
    console: Console, pd: FakePagerDuty, monkeypatch: pytest.MonkeyPatch
) -> None:
    luck, held = random.Random(7), Held(pd)
    monkeypatch.setattr(pd, "accept", held.accept)
    incidents: list[Incident] = []
    interrupted = 0
    began_s = time.monotonic()
    for number in range(KILLS):
        worker = console.start_worker()
        moment = MOMENTS[number % len(MOMENTS)]
        held.arm(moment)
        incidents.append(opened(key=f"fleets.starving:{number}"))
        if luck.random() < 0.5:
            actions.resolve(incidents[-1].pk, by=MIRA, now=timezone.now(), reason="It was nothing.")
        if moment in ("sending", "taken"):
            assert held.there.wait(READY_S), f"nothing was sent: {console.said('worker')}"
            interrupted += 1
        elif moment == "any":
            time.sleep(luck.uniform(0, 0.3))
        worker.kill()
        worker.wait(10)
        held.release()
        if SKIP:
            Page.objects.filter(state=Delivery.QUEUED).update(next_attempt_at=Now())
    killed_s = time.monotonic() - began_s
    for incident in incidents:
        actions.resolve(incident.pk, by=MIRA, now=timezone.now(), reason="It was nothing.")
    console.start_worker()
    left = Page.objects.filter(state=Delivery.QUEUED)
    assert until(lambda: not left.exists(), 60 + (0 if SKIP else LEASE_S)), list(left.values())

    expected = {f"fleets.starving:{number}" for number in range(KILLS)}
    received = Counter(event["dedup_key"] for event in pd.events if event["event_action"] == "trigger")
    assert set(received) == expected  # each at least once, none is missing
    for key in expected:  # and the other end, which goes by the key, holds one, told in order
        assert [what for which, what in pd.log if which == key] == ["trigger", "resolve"], key
    assert set(pd.incidents.values()) == {"resolved"}
    assert set(Page.objects.values_list("state", flat=True)) == {"delivered"}
    # The kills came in the middle of sends, and what may have been taken was sent again.
    cut_short = PageAttempt.objects.filter(took_s=None).count()
    assert cut_short >= interrupted, f"only {cut_short} attempts were cut short by {interrupted} kills"
    assert sum(received.values()) > KILLS
    print(
        f"{KILLS} kills in {killed_s:.0f} s cut {cut_short} attempts short; {sum(received.values())} triggers came "
        f"for {KILLS} incidents; all told {time.monotonic() - began_s - killed_s:.0f} s after the last kill"
    )
