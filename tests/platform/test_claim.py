"""A source is polled by one process at a time, and a poll that died frees it by itself."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from console.platform.models import Source

pytestmark = pytest.mark.django_db


def test_a_second_poll_is_turned_away_while_the_first_is_under_way(now: datetime) -> None:
    assert Source.objects.claim("aws.compute", now, 10)
    assert not Source.objects.claim("aws.compute", now + timedelta(seconds=9), 10)


def test_a_poll_that_died_frees_its_source(now: datetime) -> None:
    assert Source.objects.claim("aws.compute", now, 10)
    assert Source.objects.claim("aws.compute", now + timedelta(seconds=10), 10)


def test_a_clock_set_back_does_not_block_the_source(now: datetime) -> None:
    assert Source.objects.claim("aws.compute", now, 10)
    assert Source.objects.claim("aws.compute", now - timedelta(hours=1), 10)
