"""When an agent looks at the lease again: the holder by its loop, the others as soon as it may be free."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from console.agent.lease import Lease, next_look_s, sync

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TAKEN = sync(Lease("scheduler"), "a", None, NOW, 10.0, ready=True).lease


def looks_again_s(lease: Lease, me: str, token: int | None, after_s: float) -> float:
    now = NOW + timedelta(seconds=after_s)
    verdict = sync(lease, me, token, now, 10.0, ready=False)
    return next_look_s(verdict, me, now, 2.0, 0.25)


@pytest.mark.parametrize(
    ("me", "token", "after_s", "next_s"),
    [
        ("a", 1, 3.0, 2.0),  # the holder
        ("b", None, 3.0, 2.0),  # seven seconds are left: no hurry
        ("b", None, 9.0, 1.05),  # one is left: just after it
        ("b", None, 11.0, 2.0),  # free, and this host is not ready to take it
    ],
)
def test_it_looks_when_the_lease_may_become_free(me: str, token: int | None, after_s: float, next_s: float) -> None:
    assert looks_again_s(TAKEN, me, token, after_s) == pytest.approx(next_s)


def test_whoever_is_to_lead_next_looks_often() -> None:
    until = NOW + timedelta(seconds=60)
    ordered = Lease(**vars(TAKEN) | {"next_holder": "b", "next_until": until, "next_kind": "planned"})
    assert looks_again_s(ordered, "b", None, 3.0) == 0.25
    assert looks_again_s(ordered, "c", None, 3.0) == 2.0
    assert looks_again_s(ordered, "b", None, 70.0) == 2.0
