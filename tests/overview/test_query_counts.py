"""Each page of the navigation takes the same number of queries on a small platform and on a large one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.accounts import audit
from console.accounts.actor import Actor
from console.accounts.roles import Role
from console.fleets.models import QueueSnapshot
from console.incidents.store import settle
from console.lib.nav import _built
from console.operations.models import Operation
from console.platform.models import Source
from console.pools.poll import save_pools
from tests.api.asking import user_of
from tests.freshness import made
from tests.incidents.made import finding, report
from tests.overview.made import whole
from tests.pools.made import DEFAULT
from tests.storage.made import handed
from tests.storage.made import polled as storage_polled

pytestmark = pytest.mark.django_db
MORE = ("/fleets/cpu/", "/search?q=adhoc", "/incidents/?state=all", "/freshness/?state=failing")
SMALL, LARGE = 10, 1000


def platform(size: int) -> None:
    """So many workers of each queue, undeclared queues, tables, pools, files, operations, incidents, audited deeds."""
    now = timezone.now()
    whole(now, workers=size)
    QueueSnapshot.objects.bulk_create(
        QueueSnapshot(queue=f"adhoc-{number}", first_seen_at=now, seen_at=now, queued=1, rank=2)
        for number in range(size)
    )
    made.level(now - timedelta(seconds=1), [made.table(f"t{number:04}") for number in range(size)], latency_s=400)
    save_pools([DEFAULT, *(replace(DEFAULT, name=f"p{number}") for number in range(size))], now)
    storage_polled(now, *(handed("dag", now, run=f"r{number}") for number in range(size)))
    Operation.objects.bulk_create(
        Operation(
            kind=("drain", "resize", "deploy")[number % 3],
            target=f"worker:i-{number}",
            reason="because",
            requested_by_name="mira",
            state="succeeded" if number % 2 else "aborted",
            created_at=now,
            started_at=now,
            finished_at=now,
        )
        for number in range(size)
    )
    settle(report(*(finding(f"fleets.starving:q{number}", target=f"fleets/q{number}") for number in range(size))), now)
    for number in range(min(size, 60)):  # a page of it
        audit.record(Actor("mira", None, Role.ADMIN, "session"), "thing.done", f"t{number}")


def counted(client: Client) -> dict[str, int]:
    found = {}
    for url in (*(entry.url for entry in _built()), *MORE):
        Source.objects.update(as_of=timezone.now(), failing_since=None, error="")  # what is out of date takes others
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url).status_code == 200, url
        found[url] = len(captured)
    return found


def test_a_page_takes_the_same_queries_at_any_size() -> None:
    clients = {role: Client() for role in (Role.OPERATOR, Role.ADMIN)}
    for role, client in clients.items():
        client.force_login(user_of(role))
    counts = []
    for size in (SMALL, LARGE):
        with transaction.atomic():
            platform(size)
            clients[Role.ADMIN].get("/fleets/")  # what a process reads once
            found = {role: counted(client) for role, client in clients.items()}
            counts.append({(role, url): number for role, by_url in found.items() for url, number in by_url.items()})
            transaction.set_rollback(True)
    small, large = counts
    assert {key: (small[key], large[key]) for key in small if small[key] != large[key]} == {}
    assert len(small) > 28
    assert max(small.values()) <= 30, small
