"""The provider's parts that need no Airflow are tested here; `under_airflow` runs in Airflow's own environment."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from console.sandbox.home import REPOSITORY
from tests.provider.made import FakeConsole

sys.path.insert(0, str(REPOSITORY / "docker" / "airflow" / "provider"))


@pytest.fixture
def console() -> Iterator[FakeConsole]:
    """A console's freshness API on a real socket, told by the test what to answer."""
    made = FakeConsole()
    yield made
    made.stop()
