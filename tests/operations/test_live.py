"""Open pages hear of each step of an operation at once, and charts show when a deploy began and ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import redis
from django.conf import settings

from console.history.models import Mark
from console.live import changes
from console.operations import kinds
from console.operations.models import Operation
from console.operations.submit import order
from tests.operations import toy
from tests.operations.conftest import MIRA, pass_time, run, tick
from tests.operations.toy import Lamps

pytestmark = pytest.mark.django_db(transaction=True)
Ask = Callable[..., Operation]


@pytest.fixture
def heard() -> Iterator[Callable[[], set[str]]]:
    changes.forget()
    subscription = redis.Redis.from_url(settings.REDIS_URL, decode_responses=True).pubsub()
    subscription.subscribe(changes.CHANNEL)
    subscription.get_message(timeout=5)

    def topics() -> set[str]:
        found = set()
        while message := subscription.get_message(timeout=0.2):
            found.add(message["data"].split()[0])
        return found

    yield topics
    subscription.close()
    changes.forget()


@pytest.fixture
def deploying() -> Iterator[None]:
    """The lamps as a kind that other pages and the charts show too."""
    kinds.register(replace(toy.KIND, topics=("deploys",), mark="deploy"))
    yield
    kinds.register(toy.KIND)


def test_submit_tick_and_order_are_each_told(
    ask: Ask, lamps: Lamps, deploying: None, heard: Callable[[], set[str]]
) -> None:
    operation = ask()
    assert heard() == {"operations", "deploys"}
    pass_time(operation)
    assert tick(operation)
    assert heard() == {"operations", "deploys"}
    order(operation.pk, "pause", reason="wait", by=MIRA)
    assert heard() == {"operations", "deploys"}


def test_its_beginning_and_end_are_marked_on_every_chart(ask: Ask, lamps: Lamps, deploying: None) -> None:
    operation = run(ask())
    assert list(Mark.objects.order_by("at").values_list("kind", "title", "url", "target")) == [
        ("deploy", f"OP-{operation.pk} asked for: Light hall", f"/operations/{operation.pk}/", "room:hall"),
        ("deploy", f"OP-{operation.pk} succeeded: Light hall", f"/operations/{operation.pk}/", "room:hall"),
    ]


def test_a_kind_without_a_mark_leaves_none(ask: Ask, lamps: Lamps) -> None:
    run(ask())
    assert not Mark.objects.exists()


def test_the_real_kinds_tell_the_pages_that_show_them() -> None:
    told = {name: set(kinds.topics_of(name)) for name in kinds.names()}
    assert told["deploy"] == {"operations", "deploys", "fleets"}
    assert told["drain"] == told["resize"] == {"operations", "fleets"}
    assert told["switchover"] == told["failover"] == {"operations", "scheduler"}
    assert told["pool"] == {"operations", "pools"}
    assert kinds.get("deploy").mark == "deploy"
    assert kinds.topics_of("of another release") == ("operations",)
