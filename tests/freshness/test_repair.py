"""Resuming a DMS task and reloading a table: preflight, calls, and how each ends; whatever state DMS is in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from console.accounts.roles import Role
from console.freshness import repair_rules
from console.freshness.models import Heartbeat
from console.freshness.repair_rules import Reload, Resume, TableSeen, TaskSeen
from console.operations import engine
from console.operations.models import Operation
from console.operations.rules import Ledger, Orders, State, StepSeen, StepState
from console.platform.ports import PlatformError, Ports
from console.platform.readings import ReplicationTaskReading, TableStatistics
from tests.api.asking import bearer, token_for, user_of
from tests.freshness import made
from tests.freshness.made import ORDERS, TASK
from tests.freshness.story import Story
from tests.operations.conftest import pass_time

TABLE = {"table": ORDERS.name, "task": TASK.name, "identifier": TASK.identifier, "schema": "public", "name": "orders"}


@dataclass
class Dms:
    """A task and its tables, as DMS would move them: a little further at each look."""

    status: str = "running"
    states: list[str] = field(default_factory=list)  # of `orders`, one after the other
    starts: list[str] = field(default_factory=lambda: ["starting", "running"])
    calls: list[str] = field(default_factory=list)
    refuses: bool = False
    ended_at: datetime | None = None

    def replication(self) -> Dms:
        return self

    def tasks(self, identifiers: Sequence[str], *, now: datetime) -> tuple[ReplicationTaskReading, ...]:
        if "resume" in self.calls and self.starts:
            self.status = self.starts.pop(0)
        return (replace(made.task(now, status=self.status), identifier=identifiers[0]),)

    def table_statistics(self, arn: str) -> tuple[TableStatistics, ...]:
        state = "Table completed"
        if "reload" in self.calls and self.states:
            state = self.states.pop(0)
            self.ended_at = timezone.now() if not self.states else None
        return (replace(made.statistics(ORDERS.name, state), full_load_ended_at=self.ended_at),)

    def resume(self, arn: str) -> None:
        self._call("resume")

    def reload_table(self, arn: str, schema: str, table: str) -> None:
        assert (schema, table) == ("public", "orders")
        self._call("reload")

    def _call(self, name: str) -> None:
        if self.refuses:
            raise PlatformError("AWS DMS", "rejected", "AWS DMS refused", permanent=True)
        self.calls.append(name)


def run(operation: Operation, dms: Dms) -> Operation:
    for _ in range(20):
        pass_time(operation, lease=True)
        engine.tick(operation.pk, cast(Ports, dms))
        operation.refresh_from_db()
        if operation.finished_at:
            break
    return operation


def post(path: str, role: Role = Role.OPERATOR, **body: Any) -> tuple[int, dict[str, Any]]:
    client = Client(headers=bearer(token_for(role)))
    answer = client.post(f"/api/v1/freshness/{path}", body, content_type="application/json")
    return answer.status_code, answer.json()


@pytest.mark.django_db(transaction=True)
class TestResume:
    def test_a_stopped_task_is_started_where_it_stopped_and_runs(self) -> None:
        made.level(timezone.now())
        made.dms(timezone.now(), made.task(timezone.now(), status="stopped"))
        status, told = post("tasks/shop-cdc/resume", reason="the network is back")
        assert (status, told["kind"], told["target"]) == (202, "dms-resume", "dms:shop-cdc")
        dms = Dms("stopped")
        operation = run(Operation.objects.get(pk=told["id"]), dms)
        assert (operation.state, dms.calls) == (State.SUCCEEDED, ["resume"])

    def test_one_that_runs_is_refused_at_the_preflight(self) -> None:
        made.level(timezone.now())
        status, told = post("tasks/shop-cdc/resume", reason="x")
        assert status in (409, 422)
        assert "shop-cdc is running" in str(told)

    def test_one_that_fails_again_and_one_that_dms_refuses_say_so(self) -> None:
        made.level(timezone.now())
        for dms, words in (
            (Dms("failed", refuses=True), "refused"),
            (Dms("failed", starts=["modifying"]), "modifying"),
        ):
            made.dms(timezone.now(), made.task(timezone.now(), status="failed"))
            _, told = post("tasks/shop-cdc/resume", reason="x")
            operation = Operation.objects.get(pk=told["id"])
            run(operation, dms)
            if not operation.finished_at:  # it waits; DMS never comes back
                operation.memory = operation.memory | {"began_at": (timezone.now() - timedelta(hours=1)).isoformat()}
                operation.save()
                run(operation, dms)
            assert operation.state == State.FAILED
            assert words in operation.outcome

    def test_a_task_that_is_not_declared_names_the_nearest(self) -> None:
        made.level(timezone.now())
        made.dms(timezone.now(), made.task(timezone.now(), status="stopped"))
        status, told = post("tasks/shop-cdcc/resume", reason="x")
        assert status == 422
        assert "Did you mean shop-cdc?" in str(told)


@pytest.mark.django_db(transaction=True)
class TestReload:
    def test_it_is_ordered_once_watched_and_over_when_dms_has_loaded_it(self) -> None:
        made.level(timezone.now())
        status, told = post(f"tables/{ORDERS.name}/reload", reason="rows got lost", confirm=ORDERS.name)
        assert (status, told["kind"], told["target"]) == (202, "table-reload", f"table:{ORDERS.name}")
        loading = ["Table completed", "Table is being reloaded", "Full load", "Table completed", "Table completed"]
        dms = Dms(states=loading)
        operation = run(Operation.objects.get(pk=told["id"]), dms)
        assert (operation.state, dms.calls) == (State.SUCCEEDED, ["reload"])

    def test_its_name_has_to_be_typed(self) -> None:
        made.level(timezone.now())
        status, told = post(f"tables/{ORDERS.name}/reload", reason="x")
        assert status in (409, 422)
        assert ORDERS.name in str(told)

    def test_a_load_that_ends_in_an_error_fails(self) -> None:
        made.level(timezone.now())
        _, told = post(f"tables/{ORDERS.name}/reload", reason="x", confirm=ORDERS.name)
        operation = run(Operation.objects.get(pk=told["id"]), Dms(states=["Full load", "Table error", "Table error"]))
        assert operation.state == State.FAILED
        assert "Table error" in operation.outcome

    def test_a_viewer_may_not(self) -> None:
        made.level(timezone.now())
        assert post(f"tables/{ORDERS.name}/reload", Role.VIEWER, reason="x", confirm=ORDERS.name)[0] == 403


@pytest.mark.django_db
def test_the_preflight_says_what_is_lost(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(timezone.now())
    monkeypatch.setattr(timezone, "now", lambda: story.now)
    story.go(4)
    client.force_login(user_of(Role.OPERATOR))
    html = client.get(f"/freshness/{ORDERS.name}/reload/").content.decode()
    for words in ("DMS empties public.orders", "What was proven of it is revoked", "sees it in part", "shop-cdc runs."):
        assert words in html
    story.status = "failed"
    story.go(1)
    page = client.get(f"/freshness/{ORDERS.name}/").content.decode()
    assert "/freshness/tasks/shop-cdc/resume/" in page
    assert "DMS goes on where it stopped" in client.get("/freshness/tasks/shop-cdc/resume/").content.decode()
    client.force_login(user_of(Role.VIEWER))
    assert client.get(f"/freshness/{ORDERS.name}/reload/").status_code == 403
    assert "/reload/" not in client.get(f"/freshness/{ORDERS.name}/").content.decode()


@pytest.mark.django_db
def test_a_new_epoch_is_attested_on_the_tables_page(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(timezone.now())
    monkeypatch.setattr(timezone, "now", lambda: story.now)
    story.go(4)
    story.epoch = 2
    story.go(1)
    client.force_login(user_of(Role.OPERATOR))
    page = client.get(f"/freshness/{ORDERS.name}/").content.decode()
    assert "Attest to epoch 2" in page
    url = "/freshness/tasks/shop-cdc/attest/"
    assert client.post(url, {"reason": " ", "back": "/freshness/"}).status_code == 302
    assert Heartbeat.objects.get().unsettled
    assert client.post(url, {"reason": "compared", "back": "https://elsewhere.example/"}).url == "/freshness/"  # type: ignore[attr-defined]
    assert not Heartbeat.objects.get().unsettled
    client.force_login(user_of(Role.VIEWER))
    assert client.post(url, {"reason": "x"}).status_code == 403


# --- The rules, whatever DMS says ----------------------------------------------------------------------------------

statuses = st.sampled_from([None, "running", "starting", "stopped", "failed", "modifying", "deleting", "stopping"])
states = st.sampled_from(
    [None, "Table completed", "Full load", "Before load", "Table error", "Table is being reloaded"]
)


def ledger(stage: StepState | None, key: str, now: datetime) -> Ledger:
    return Ledger({key: StepSeen(key, stage, now, "")} if stage else {})


@given(st.lists(statuses, max_size=30), st.booleans())
def test_a_resume_is_called_at_most_once_and_only_for_a_task_that_stands_still(
    seen: list[str | None], aborting: bool
) -> None:
    now, state, stage, calls = timezone.now(), Resume(), None, 0
    for status in seen:
        now += timedelta(seconds=30)
        found = repair_rules.resume(
            {"task": "t"}, state, TaskSeen(status, "arn"), ledger(stage, "resume", now), Orders(aborting=aborting), now
        )
        state = found.state
        if found.calls:
            assert status in repair_rules.RESUMABLE
            assert not aborting
            calls, stage = calls + 1, StepState.CALLED
        if found.outcome:
            assert (found.outcome.state == State.SUCCEEDED) <= (status in repair_rules.GOING)
            break
    assert calls <= 1


@given(st.lists(st.tuples(statuses, states), max_size=30))
def test_a_reload_is_ordered_at_most_once_and_succeeds_only_on_a_completed_table(
    seen: list[tuple[str | None, str | None]],
) -> None:
    now, state, stage, calls = timezone.now(), Reload(), None, 0
    for number, (status, word) in enumerate(seen):
        now += timedelta(seconds=30)
        table = TableSeen(status, "arn", word, now - timedelta(seconds=number % 3))
        found = repair_rules.reload(TABLE, state, table, ledger(stage, "reload", now), Orders(), now)
        state = found.state
        if found.calls:
            assert status == "running"
            calls, stage = calls + 1, StepState.CALLED
        if found.outcome:
            assert (found.outcome.state == State.SUCCEEDED) <= (word == "Table completed" and calls == 1)
            break
    assert calls <= 1
