"""One watcher acts: by compare-and-set, on the database's clock, with a fence."""

from __future__ import annotations

import time

import pytest
from django.db import connection

from console.fleets.lease import Lease
from console.fleets.models import Watch

pytestmark = pytest.mark.django_db


def test_the_first_gets_it_and_the_second_waits() -> None:
    first, second = Lease("a"), Lease("b")
    assert first.acquire()
    assert not second.acquire()
    assert first.renew({})


def test_it_ends_by_itself_and_the_next_has_a_higher_fence() -> None:
    first, second = Lease("a", ttl_s=0.2), Lease("b", ttl_s=0.2)
    first.acquire()
    time.sleep(0.25)
    assert second.acquire()
    assert (first.fence or 0) < (second.fence or 0)
    assert not first.renew({})
    assert first.fence is None


def test_one_that_is_late_and_was_not_followed_goes_on() -> None:
    first = Lease("a", ttl_s=0.1)
    first.acquire()
    time.sleep(0.15)
    assert first.renew({})


def test_a_released_one_is_free_at_once() -> None:
    first, second = Lease("a"), Lease("b")
    first.acquire()
    first.release()
    assert second.acquire()
    first.release()  # it holds nothing any more, and takes nothing from the other
    assert second.renew({})


def test_a_lease_that_ends_in_an_impossible_future_is_taken() -> None:
    """The database's clock was set back by an hour."""
    Lease("a").acquire()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE fleets_watch SET expires_at = clock_timestamp() + interval '1 hour'")
    assert Lease("b").acquire()


def test_how_the_work_goes_is_noted_with_it() -> None:
    lease = Lease("a")
    lease.acquire()
    lease.renew({"lag_s": 0.25, "events": 7, "missed": 1, "nodes": 3})
    row = Watch.objects.get()
    assert (row.lag_s, row.events, row.missed, row.nodes) == (0.25, 7, 1, 3)
