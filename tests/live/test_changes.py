"""What is said, and when: after the commit, and only what is news."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis
from django.conf import settings
from django.db import transaction
from pytest_django import Settings

from console.live import changes, publish
from console.live.changes import publish_reading
from console.live.topics import TOPICS, asked_for, fed_by
from console.platform.sources import SOURCES


@pytest.fixture
def heard() -> Iterator[redis.client.PubSub]:
    changes.forget()
    subscription = redis.Redis.from_url(settings.REDIS_URL, decode_responses=True).pubsub()
    subscription.subscribe(changes.CHANNEL)
    subscription.get_message(timeout=5)
    yield subscription
    subscription.close()
    changes.forget()


def topics(heard: redis.client.PubSub) -> list[str]:
    found = []
    while message := heard.get_message(timeout=0.2):
        found.append(message["data"].split()[0])
    return found


@dataclass(frozen=True)
class Reading:
    values: tuple[int, ...]


@pytest.mark.django_db(transaction=True)
def test_a_change_is_said_after_the_commit_and_not_at_all_after_a_rollback(heard: redis.client.PubSub) -> None:
    with transaction.atomic():
        publish("fleets")
        assert topics(heard) == []
    assert topics(heard) == ["fleets"]
    with transaction.atomic():
        publish("fleets")
        transaction.set_rollback(True)
    assert topics(heard) == []


@pytest.mark.django_db(transaction=True)
def test_the_same_reading_is_said_again_only_after_a_while(
    heard: redis.client.PubSub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for values in ((1, 2), (1, 2), (1, 2), (1, 3), (1, 3)):
        publish_reading("broker.queues", ("fleets",), Reading(values))
    assert topics(heard) == ["fleets", "fleets"]
    monkeypatch.setattr(changes, "REPEAT_S", 0.0)
    publish_reading("broker.queues", ("fleets",), Reading((1, 3)))
    assert topics(heard) == ["fleets"]


@pytest.mark.django_db(transaction=True)
def test_what_can_not_be_compared_counts_as_changed(heard: redis.client.PubSub) -> None:
    publish_reading("broker.queues", ("fleets",), [1])
    publish_reading("broker.queues", ("fleets",), [1])
    assert topics(heard) == ["fleets", "fleets"]


@pytest.mark.django_db(transaction=True)
def test_redis_away_fails_no_work_and_is_not_asked_again_at_once(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    changes.forget()
    began = time.monotonic()
    for _ in range(1000):
        publish("fleets")
    assert time.monotonic() - began < 2
    changes.forget()


def test_a_misspelt_topic_is_an_error() -> None:
    with pytest.raises(ValueError, match="flets"):
        publish("flets")


def test_every_source_feeds_a_topic() -> None:
    assert {name: fed_by(name) for name in SOURCES if not fed_by(name)} == {}
    assert {topic for name in SOURCES for topic in fed_by(name)} <= TOPICS
    assert fed_by("unheard.of") == ()


def test_topics_asked_for() -> None:
    assert asked_for("fleets, pools,nonsense") == {"fleets", "pools"}
    assert asked_for("") == TOPICS
    assert asked_for("nonsense") == frozenset()
