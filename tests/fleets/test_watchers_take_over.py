"""Two real watchers on a real broker: one acts; it is killed, stopped, or loses the broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.utils import timezone

from console.fleets.lease import TTL_S
from console.fleets.models import Watch, Worker
from console.platform.models import Source
from console.platform.sources import HEARTBEATS
from tests.fleets.processes import Running, fleet, redis_server, until, watcher
from tests.services import free_port

pytestmark = pytest.mark.django_db(transaction=True)
WORKERS = 40


@dataclass
class Scene:
    port: int
    broker: Running
    watchers: dict[str, Running]
    workers: Running

    @property
    def acting(self) -> str:
        row = Watch.objects.first()
        return row.holder if row else ""

    def fresh(self, within_s: float = 2.5) -> bool:
        """Every worker's newest heartbeat is in the database (they beat every 2 s)."""
        now = timezone.now()
        ages = [(now - at).total_seconds() for at in Worker.objects.values_list("seen_at", flat=True) if at]
        return len(ages) == WORKERS and max(ages) < within_s + 2

    def sight(self) -> bool:
        return Source.objects.sights(timezone.now(), [HEARTBEATS])[HEARTBEATS.name].seen


@pytest.fixture
def scene() -> Iterator[Scene]:
    port = free_port()
    with ExitStack() as stack:

        def keep(process: Running) -> Running:
            stack.callback(process.stop)
            return process

        broker = keep(redis_server(port))
        watchers = {name: keep(watcher(name, port)) for name in ("first", "second")}
        until(lambda: Watch.objects.filter(listening_since__isnull=False).exists(), 60)
        found = Scene(port, broker, watchers, keep(fleet(port, WORKERS)))
        until(found.fresh, 60)
        yield found


def test_the_other_takes_over_within_five_seconds_of_a_kill(scene: Scene) -> None:
    acting = scene.acting
    other = next(name for name in scene.watchers if name != acting)
    fence = Watch.objects.get().fence
    scene.watchers[acting].kill()
    assert until(lambda: scene.acting == other, 5) < 5
    until(lambda: Watch.objects.filter(holder=other, nodes=WORKERS).exists(), 5)
    assert Watch.objects.get().fence == fence + 1
    assert until(scene.fresh, 5) < 5


def test_one_that_is_told_to_stop_ends_by_itself_and_lets_the_lease_go(scene: Scene) -> None:
    acting = scene.acting
    scene.watchers.pop(next(name for name in scene.watchers if name != acting)).kill()
    scene.watchers[acting].stop()
    assert scene.watchers[acting].child.returncode == 0
    row = Watch.objects.get()
    assert row.expires_at is not None
    assert row.noted_at is not None
    assert row.expires_at < row.noted_at + timedelta(seconds=TTL_S)  # it did not just run out


def test_while_the_broker_is_away_heartbeats_turn_unknown_and_come_back(scene: Scene) -> None:
    assert scene.sight()
    scene.broker.kill()
    until(lambda: not scene.sight(), HEARTBEATS.limit_s + 10)
    row = Source.objects.get(name=HEARTBEATS.name)
    assert "nothing answers" in row.error or "broke" in row.error
    assert all(process.child.poll() is None for process in scene.watchers.values())
    scene.workers.stop()
    scene.broker = redis_server(scene.port)
    scene.workers = fleet(scene.port, WORKERS)
    try:
        assert until(lambda: scene.sight() and scene.fresh(), 15) < 10
        assert Watch.objects.get().gaps >= 1
    finally:
        scene.workers.stop()
        scene.broker.stop()
