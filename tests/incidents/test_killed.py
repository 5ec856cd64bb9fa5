"""SIGKILL between commit and delivery: nothing that was committed is lost, and the other end holds one of each."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import connection
from django.utils import timezone

from console.incidents import actions
from console.incidents.models import Delivery, Page, PageAttempt
from tests.incidents.made import MIRA, opened
from tests.incidents.receivers import FakePagerDuty

KILLS = 50


def environment(pd: FakePagerDuty, folder: Path) -> dict[str, str]:
    """That of a console on the tests' database and Redis, whose one pager is `pd`."""
    platform = folder / "platform.yaml"
    declared = Path(settings.PLATFORM_FILE).read_text().replace("pagers: []", "")
    platform.write_text(
        f"{declared}\npagers:\n  - {{name: on-call, kind: pagerduty, routing_key: '${{KEY}}', "
        f"url: '{pd.url}/v2/enqueue', allow_private: true}}\n"
    )
    name = connection.settings_dict["NAME"]
    before, _, query = os.environ["DATABASE_URL"].partition("?")
    url = f"{before.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
    return {**os.environ, "PLATFORM_FILE": str(platform), "DATABASE_URL": url, "KEY": pd.KEY}


class Deliverers:
    """Delivering processes, one after another."""

    def __init__(self, pd: FakePagerDuty, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.incidents.delivering_process"],
            env=environment(pd, folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = 0

    def start(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.pid = int(self._process.stdout.readline())

    def kill(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
        self.pid = 0

    def end(self) -> None:
        self.kill()
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture
def deliverers(pd: FakePagerDuty, tmp_path: Path, transactional_db: None) -> Iterator[Deliverers]:
    found = Deliverers(pd, tmp_path)
    yield found
    found.end()
    redis.Redis.from_url(settings.REDIS_URL).delete("quarterdeck:pages")


def test_each_trigger_arrives_and_the_other_end_holds_exactly_one(
    deliverers: Deliverers, pd: FakePagerDuty, monkeypatch: pytest.MonkeyPatch
) -> None:
    luck = random.Random(7)
    accept, arrived, taken = pd.accept, threading.Event(), threading.Event()

    def slowly(path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        arrived.set()
        time.sleep(0.02)
        answer = accept(path, headers, body)
        taken.set()
        time.sleep(0.02)
        return answer

    monkeypatch.setattr(pd, "accept", slowly)
    incidents = []
    for number in range(KILLS):
        arrived.clear()
        taken.clear()
        deliverers.start()
        incidents.append(opened(key=f"fleets.starving:{number}"))
        if luck.random() < 0.5:
            actions.resolve(incidents[-1].pk, by=MIRA, now=timezone.now(), reason="It was nothing.")
        match number % 4:  # killed right after the commit, as it is sent, once it was taken, or at any time
            case 0:
                pass
            case 1:
                arrived.wait(2)
            case 2:
                taken.wait(2)
            case 3:
                time.sleep(luck.uniform(0, 0.1))
        deliverers.kill()
    cut_short = PageAttempt.objects.filter(took_s=None).count()
    for incident in incidents:
        actions.resolve(incident.pk, by=MIRA, now=timezone.now(), reason="It was nothing.")
    deliverers.start()
    until_s = time.monotonic() + 60
    while Page.objects.filter(state=Delivery.QUEUED).exists() and time.monotonic() < until_s:
        time.sleep(0.1)

    expected: Any = {f"fleets.starving:{number}" for number in range(KILLS)}
    received = Counter(event["dedup_key"] for event in pd.events if event["event_action"] == "trigger")
    assert set(received) == expected  # each at least once, none is missing
    assert Counter(what for _, what in pd.log) == {"trigger": KILLS, "resolve": KILLS}
    assert set(pd.incidents) == expected
    assert set(pd.incidents.values()) == {"resolved"}
    assert set(Page.objects.values_list("state", flat=True)) == {"delivered"}
    # The kills came in the middle of deliveries; what may have been taken was sent again.
    assert cut_short >= KILLS // 4, f"only {cut_short} of {KILLS} kills came while something was sent"
    assert sum(received.values()) > KILLS
