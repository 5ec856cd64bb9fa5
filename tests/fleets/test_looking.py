"""What a worker holds back: fetched, or kept until its time. With any part unanswered it is unknown, never nothing."""

from __future__ import annotations

import pytest

from console.fleets.looking import _waiting
from console.platform.readings import TaskIdentity, WorkerReading

ONE, TWO, THREE = (TaskIdentity("d", "t", f"r{number}") for number in range(3))
Tasks = tuple[TaskIdentity, ...] | None


@pytest.mark.parametrize(
    ("active", "reserved", "scheduled", "waiting"),
    [
        ((), (), (), 0),
        ((ONE,), (ONE,), (), 0),  # between two of the answers it was started
        ((ONE,), (TWO,), (), 1),
        ((), (), (THREE,), 1),
        ((ONE,), (TWO,), (THREE,), 2),
        ((), (), None, None),
        ((), None, (), None),
        (None, (), (), None),
    ],
)
def test_what_waits_in_a_worker(active: Tasks, reserved: Tasks, scheduled: Tasks, waiting: int | None) -> None:
    assert _waiting(WorkerReading("celery@i-1", 1, 1, (), active, reserved, 0, scheduled)) == waiting
