from __future__ import annotations

from collections.abc import Iterator

import pytest

from console.incidents.pagers import http
from tests.incidents.receivers import FakePagerDuty, Receiver


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No receiver is waited for as long as a real one."""
    monkeypatch.setattr(http, "ANSWER_S", 0.4)


@pytest.fixture
def pd() -> Iterator[FakePagerDuty]:
    server = FakePagerDuty()
    yield server
    server.close()


@pytest.fixture
def pd2() -> Iterator[FakePagerDuty]:
    server = FakePagerDuty()
    yield server
    server.close()


@pytest.fixture
def other() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.close()
