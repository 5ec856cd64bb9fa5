"""Generations are committed in their order: whoever asks for what came after one is told of everything."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction

from console.freshness.records import generation, next_generation

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_number_is_told_once_what_belongs_to_it_can_be_seen() -> None:
    assert generation() == 0
    with transaction.atomic():
        first = next_generation()
    polling, poll_may_end, told_first = threading.Event(), threading.Event(), []

    def poll() -> None:
        with transaction.atomic():
            told_first.append(next_generation())
            polling.set()
            poll_may_end.wait(20)
        connection.close()

    def tell() -> None:
        with transaction.atomic():
            told_first.append(next_generation())
        connection.close()

    poller, teller = threading.Thread(target=poll), threading.Thread(target=tell)
    poller.start()
    assert polling.wait(20)
    assert generation() == first, "nobody can see yet what the poll under way has found"
    teller.start()
    teller.join(0.3)
    assert teller.is_alive(), "a number that is higher waits for those before it"
    assert generation() == first
    poll_may_end.set()
    poller.join(20)
    teller.join(20)
    assert first < told_first[0] < told_first[1] == generation()


def test_what_is_rolled_back_leaves_a_gap_only() -> None:
    with transaction.atomic():
        first = next_generation()
    with transaction.atomic():
        next_generation()
        transaction.set_rollback(True)
    assert generation() == first
    with transaction.atomic():
        assert next_generation() > first
