"""Fixtures that more than one app's tests use."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest


@pytest.fixture
def now() -> datetime:
    """The moment at which pure rules are tried."""
    return datetime(2026, 11, 22, 3, 7, tzinfo=UTC)
