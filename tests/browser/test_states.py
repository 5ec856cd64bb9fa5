"""Every state that a worker and an operation can be in, in a real browser: both themes, desktop and phone, with axe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from console.fleets.figures import worker_url
from console.fleets.models import Worker
from console.fleets.names import kept
from console.fleets.rules import State
from console.operations.models import Operation
from console.operations.rules import ACTIVE
from console.operations.rules import State as Standing
from console.platform.models import Source
from tests.browser.page import DESKTOP, PHONE, THEMES, Page
from tests.fleets.making import worker
from tests.overview.made import whole

pytestmark = [pytest.mark.browser, pytest.mark.django_db]
OVERDUE = "celery@i-0eeeeeeeeeeeeeee0"
NODES = {state: f"celery@i-0{index:016x}" for index, state in enumerate(State)}
# What nobody declared: no instance, no host, a name with markup that reads from the right, one that is long.
ODD = (kept("celery@\u202egpj.elif\u202c <b>x</b>"), "celery@" + "long" * 70)


def made() -> None:
    now = timezone.now()
    whole(now)
    rows = [
        worker(node, now, state=state, reason="it says why", instance_id=node.removeprefix("celery@"))
        for state, node in NODES.items()
    ]
    rows.append(worker(OVERDUE, now, state=State.LAUNCHING, overdue=True, reason="launched 15 min ago"))
    rows += [worker(name, now, instance_id="") for name in ODD]
    Worker.objects.bulk_create(rows)
    Operation.objects.bulk_create(
        Operation(
            kind="drain",
            target=f"worker:i-{state}",
            reason="because it is late",
            requested_by_name="mira",
            state=state,
            started_at=now - timedelta(minutes=5),
            finished_at=None if state in ACTIVE else now,
            progress={"done": 1, "total": 3, "text": "one of three"},
            parameters={"queue": "cpu", "workers": [{"instance_id": "i-1"}]},
        )
        for state in Standing
    )


@pytest.fixture(scope="module")
def freshen(console_server: str, django_db_blocker: Any) -> Iterator[Callable[[], None]]:
    """The states, in the database that the server reads; what is given makes every source as young as it was."""
    from django.core.management import call_command

    with django_db_blocker.unblock():
        made()

    def write() -> None:
        Source.objects.update(as_of=timezone.now(), failing_since=None, error="")
        connection.close()

    def again() -> None:
        thread = Thread(target=write)  # what a test writes itself the server never sees
        thread.start()
        thread.join()

    yield again
    with django_db_blocker.unblock():
        call_command("flush", verbosity=0, interactive=False)


def looked_at(page: Page, path: str, theme: str, freshen: Callable[[], None], name: str) -> None:
    for size in (DESKTOP, PHONE):
        freshen()
        page.open(path, theme, size)
        page.shoot(f"{name}-{size[0]}-{theme}")
        page.assert_fits()
        assert page.axe() == [], f"{path} at {size[0]} px"
    page.assert_no_console_errors()


@pytest.mark.parametrize("theme", THEMES)
def test_workers_in_every_state(freshen: Callable[[], None], sign_in: Callable[..., Page], theme: str) -> None:
    page = sign_in("operator")
    looked_at(page, "/fleets/cpu/", theme, freshen, "states-fleet")
    pills = page.js("return [...document.querySelectorAll('#workers .qd-pill')].map(pill => pill.textContent.trim())")
    assert {str(state).replace("_", " ") for state in State} | {"overdue"} <= set(pills)
    stopped = page.js("return document.getElementById(arguments[0]).innerText", f"w-{NODES[State.TERMINATED]}")
    assert "/2" not in stopped, "what it said last is no figure of now"
    assert not page.all(f"[id='w-{NODES[State.TERMINATED]}'] [data-row-check]"), "there is nothing to drain"
    for node in (NODES[State.STUCK], NODES[State.TERMINATED], OVERDUE, *ODD):
        looked_at(page, worker_url("cpu", node), theme, freshen, f"states-{node[7:15]}")


@pytest.mark.parametrize("theme", THEMES)
def test_operations_in_every_state(freshen: Callable[[], None], sign_in: Callable[..., Page], theme: str) -> None:
    page = sign_in("operator")
    looked_at(page, "/operations/", theme, freshen, "states-operations")
    assert not page.all("main tbody .qd-pill-unk")
