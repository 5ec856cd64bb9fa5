"""When pages go out: at once by a message of the commit, and by beat's sweep."""

from __future__ import annotations

import json
import time

import pytest
import redis
from celery.app.base import Celery
from django.conf import settings
from django.db import transaction

from console.celery import app
from console.incidents import deliver, outbox, tasks
from console.incidents.models import Page
from console.incidents.rules import Action, Why
from console.schedule import OTHER
from tests.incidents.delivering import at, declares
from tests.incidents.made import T0, opened
from tests.incidents.receivers import FakePagerDuty


@pytest.fixture
def queue() -> redis.Redis:
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.delete("quarterdeck:pages")
    return client


def waiting(queue: redis.Redis) -> list[str]:
    """The tasks in the queue of pages."""
    messages = [json.loads(text) for text in queue.lrange("quarterdeck:pages", 0, -1)]  # type: ignore[union-attr]
    return [message["headers"]["task"] for message in messages]


@pytest.mark.django_db(transaction=True)
def test_a_commit_sends_a_message_and_a_rollback_none(queue: redis.Redis) -> None:
    with transaction.atomic():
        incident = opened()
        assert waiting(queue) == []
    assert waiting(queue) == ["console.incidents.tasks.deliver_page"]
    with transaction.atomic():
        outbox.page(incident, Action.TRIGGER, T0, Why.REPEATED)
        transaction.set_rollback(True)
    assert len(waiting(queue)) == 1
    queue.delete("quarterdeck:pages")


@pytest.mark.django_db(transaction=True)
def test_redis_away_loses_no_incident_and_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    away = Celery("away", broker="redis://127.0.0.1:9/0", set_as_current=False)
    away.conf.broker_transport_options = {"socket_connect_timeout": 1}
    monkeypatch.setattr(deliver, "app", away)
    monkeypatch.setattr(deliver._Redis, "away_until_s", 0.0)
    opened()
    began_s = time.monotonic()
    opened(key="fleets.starving:io")
    assert time.monotonic() - began_s < 2  # it is left alone for a while
    assert Page.objects.ready().count() == 2


@pytest.mark.django_db
def test_beat_finds_what_no_message_told(
    pd: FakePagerDuty, monkeypatch: pytest.MonkeyPatch, queue: redis.Redis
) -> None:
    declares(monkeypatch, at(pd, "on-call"))
    opened()
    sent = []
    monkeypatch.setattr(tasks.deliver_page, "apply_async", lambda args, **options: sent.append((args, options)))
    tasks.sweep_pages()
    ((args, options),) = sent
    assert options == {"expires": 10}
    tasks.deliver_page(*args)
    tasks.deliver_page(*args)
    assert len(pd.events) == 1


def test_pages_do_not_queue_behind_polls() -> None:
    def queue_of(task: str) -> str:
        return str(app.amqp.router.route({}, task)["queue"].name)

    assert {queue_of(task) for name, (task, _) in OTHER.items() if name == "incidents.pages"} == {"pages"}
    assert queue_of(tasks.deliver_page.name) == "pages"
    assert queue_of("console.fleets.tasks.judge") == "celery"
    assert set(app.amqp.queues.consume_from) == {"celery", "pages"}  # a worker takes from both unless told otherwise


def test_what_beat_starts_exists() -> None:
    for name, (task, _) in OTHER.items():
        if name.startswith("incidents."):
            assert task.rpartition(".")[0] == tasks.__name__
            assert task in app.tasks
