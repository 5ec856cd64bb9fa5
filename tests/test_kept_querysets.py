"""Every kept queryset of the console reads, to the last attribute, what the queryset that it is made of reads.

Whoever keeps another one says here with which arguments it finds rows, and with which it finds none.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest

from console.accounts.models import User
from console.datastores.models import Change, Datastore
from console.fleets.models import (
    FleetBill,
    GroupSnapshot,
    Instance,
    PastRuns,
    QueueSnapshot,
    RunningTask,
    ScalingDecision,
    ScalingSwitch,
    WaitHour,
    Watch,
    Worker,
)
from console.freshness.models import Heartbeat, OriginSnapshot, TableSnapshot, TaskSnapshot
from console.freshness.records import CutoffRow, TableEvent
from console.incidents.models import Incident, IncidentEvent, Maintenance, Page, PageAttempt, SignalRow
from console.lib import kept
from console.operations.models import Operation, Target
from console.overview.models import Verdict
from console.platform.models import Source
from console.pools.models import PoolSnapshot
from console.scheduler.models import AgentsSnapshot, Snapshot, Takeover
from console.storage.models import Store
from tests.lib.test_kept import told

import_module("console.urls")  # and with it every module that answers a request
import_module("console.accounts.sessions")
NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
DECLARED = ["cpu", "gpu"]
NONE: tuple[Any, ...] = ()

EXAMPLES: Mapping[str, list[tuple[Any, ...]]] = {
    # the first finds rows
    "console.accounts.models._by_key": [(7,), ("7",), (8,)],
    "console.accounts.sessions._living": [("k" * 32, NOW), ("k" * 32, LATER), ("x", NOW)],
    "console.datastores.models.every_datastore": [NONE],
    "console.datastores.models.newest_changes": [NONE],
    "console.fleets.hands._holders": [(["fleet:cpu", "worker:i-1"],), (["worker:i-1"],), ([],)],
    "console.fleets.rows._groups": [NONE],
    "console.fleets.rows.bills": [("cpu",), ("other",)],
    "console.fleets.rows.first_others": [(DECLARED,), ([],)],
    "console.fleets.rows.first_workers": [(["cpu"],), (["cpu", "gpu"],), (["gpu"],)],
    "console.fleets.rows.instances": [(["i-1", "i-2"],), (["i-3"],)],
    "console.fleets.rows.instances_by_group": [NONE],
    "console.fleets.rows.longest_waiting": [NONE],
    "console.fleets.rows.news": [("cpu",), ("gpu",)],
    "console.fleets.rows.past_runs": [(["d", "e"], ["t"]), (["e"], ["t"])],
    "console.fleets.rows.queue": [("cpu",), ("CPU",), ("100% it's",)],
    "console.fleets.rows.queues": [(DECLARED,), ([],), (["100% it's"],)],
    "console.fleets.rows.tasks_on": [(["host"],), ([],)],
    "console.fleets.rows.waiting": [("cpu",), ("gpu",)],
    "console.fleets.rows.waits": [("cpu", NOW - timedelta(hours=1)), ("cpu", LATER)],
    "console.fleets.rows.watch": [NONE],
    "console.fleets.rows.worker": [("celery@a",), ("celery@b",)],
    "console.fleets.rows.worst_others": [(DECLARED,), ([],), (["100% it's"],)],
    "console.fleets.scaling.switch._switches": [NONE],
    "console.freshness.budget._cutoffs": [("t1", NOW, NOW - timedelta(days=30)), ("t2", NOW, NOW - timedelta(days=30))],
    "console.freshness.cutoffs._newest": [(NOW, NOW - timedelta(days=7)), (NOW, NOW)],
    "console.freshness.detail._beats": [(("shop-cdc",),), (("shop-cdc", "other"),), ((),)],
    "console.freshness.detail._events": [("t1",), ("100% it's",)],
    "console.freshness.detail._table": [("t1",), ("100% it's",), ("other",)],
    "console.freshness.detail._task": [("shop-cdc",), ("other",)],
    "console.freshness.listed._listed": [(["t1", "100% it's"],), (["other"],), ([],)],
    "console.freshness.listed._summary": [NONE],
    "console.freshness.pages._every_task": [NONE],
    "console.freshness.rows._origins": [NONE],
    "console.incidents.one_page._gone": [("100% it's",), ("there",), ("x",)],
    "console.incidents.one_page._one": [(2,), (1,), (9,)],
    "console.incidents.one_page._story": [(1,), (2,)],
    "console.incidents.page_log._attempts": [([1, 2],), ([],)],
    "console.incidents.page_log._pages": [([1],), ([1, 2],), ([],)],
    "console.incidents.pages._newest_unresolved": [NONE],
    "console.incidents.pages._tally": [NONE],
    "console.incidents.pages._unresolved": [NONE],
    "console.incidents.pages._windows": [(NOW,), (LATER,)],
    "console.incidents.pages._worst": [NONE],
    "console.operations.pages._asking": [NONE],
    "console.operations.pages._newest": [NONE],
    "console.operations.pages._tally": [NONE],
    "console.overview.models.last_verdict": [NONE],
    "console.platform.models._rows": [NONE],
    "console.pools.models.every_pool": [NONE],
    "console.scheduler.models._since": [(NOW - timedelta(days=30),), (LATER,)],
    "console.scheduler.models._snapshot": [NONE],
    "console.scheduler.models.agents_snapshot": [NONE],
    "console.storage.models._figures": [NONE],
    "console.storage.models._whole": [NONE],
}


def known() -> dict[str, kept.Kept]:
    found = {f"{each.make.__module__}.{each.make.__qualname__}": each for each in kept.ALL}
    return {name: each for name, each in found.items() if name.startswith("console.")}


@pytest.fixture
def platform(db):
    """Rows in every table that is asked; in each some that are found and some that are not."""
    from django.contrib.sessions.models import Session

    at = {"first_seen_at": NOW, "seen_at": NOW}
    user = User.objects.create(pk=7, username="mira")
    Session.objects.create(session_key="k" * 32, session_data="{}", expire_date=NOW + timedelta(minutes=1))
    Datastore.objects.create(id="a", kind="rds", identifier="a", present=True, as_of=NOW)
    for number in range(25):
        Change.objects.create(at=NOW, datastore="a", what="status", was=str(number), became=str(number + 1))
    for number, name in enumerate((*DECLARED, "100% it's", "b", "c")):
        QueueSnapshot.objects.create(queue=name, rank=number, queued=None if name == "b" else number, **at)
    for number in range(60):
        QueueSnapshot.objects.create(queue=f"more-{number}", rank=number % 7, queued=number % 5 or None, **at)
    GroupSnapshot.objects.create(name="g", minimum=1, as_of=NOW)
    for number, gone_at in enumerate((None, NOW)):
        Instance.objects.create(
            instance_id=f"i-{number + 1}", group="g", lifecycle="InService", first_seen_at=NOW, gone_at=gone_at
        )
    for name, serves in (("a", ["cpu"]), ("c", ["cpu", "gpu"]), ("d", ["other%"])):
        Worker.objects.create(
            node=f"celery@{name}", serves=serves, consumes=serves, zone="z", state="lost", first_seen_at=NOW,
            state_since=NOW, load1=0.5,
        )  # fmt: skip
    for number, state in enumerate(("queued", "queued", "running", "running")):
        RunningTask.objects.create(
            key=str(number), dag_id="d", task_id="t", run_id="r", state=state, queue="cpu", host_key="host",
            queued_at=None if number == 1 else NOW, started_at=None if number == 3 else NOW,
        )  # fmt: skip
    PastRuns.objects.create(dag_id="d", task_id="t", durations_s=[1, 2.5], updated_at=NOW)
    for number in range(9):
        ScalingDecision.objects.create(
            queue="cpu", at=NOW, action="out", because="%s", inputs={"lines": [["a", "b"]]}, news=number != 3
        )
    ScalingSwitch.objects.create(queue="cpu", on=True, set_at=NOW)
    WaitHour.objects.create(queue="cpu", hour=NOW, counts=[1, 2])
    FleetBill.objects.create(queue="cpu", period="day", figures={"hours": 1.5}, as_of=NOW)
    Watch.objects.create(holder="w", lag_s=0.1)
    for number in range(60):
        over = {"state": "succeeded", "finished_at": NOW} if number % 3 else {"question": {"text": "?"}}
        operation = Operation.objects.create(
            kind="drain", target="fleet:cpu", reason="a test", requested_by=user if number % 2 else None,
            requested_by_name="mira", parameters={"queue": "cpu"}, memory={"long": "x" * 100}, **over,
        )  # fmt: skip
    Target.objects.create(operation=operation, target="fleet:cpu")
    Target.objects.create(operation=operation, target="worker:i-2", released_at=NOW)
    incidents()
    freshness()
    Verdict.objects.create(as_of=NOW, tone="bad", flags={"fleets": ["bad", "1"]})
    Source.objects.create(name="airflow.tasks", as_of=NOW)
    Source.objects.create(name="broker.queues", error="down", remedy="start it")
    PoolSnapshot.objects.create(
        name="p", slots=1, running=1, queued=0, scheduled=0, deferred=0, occupied=1, open=0, as_of=NOW
    )
    Snapshot.objects.create(as_of=NOW, reading={"jobs": []}, memory={})
    AgentsSnapshot.objects.create(as_of=NOW, reading={})
    for number in range(3):
        Takeover.objects.create(at=NOW, kind="observed", from_host="a", to_host=str(number), gap_s=number / 2)
    Store.objects.create(
        id="s", location="s3://x", watched_since=NOW, as_of=NOW, complete=True, files=1, bytes=2, shares=[1], listed=[]
    )


def freshness() -> None:
    TaskSnapshot.objects.create(name="shop-cdc", identifier="shop-cdc", source="shop", status="running", as_of=NOW)
    OriginSnapshot.objects.create(name="shop", as_of=NOW, server_at=NOW)
    for number, name in enumerate(("t1", "100% it's")):
        TableSnapshot.objects.create(
            name=name, source="shop", task="shop-cdc", warehouse=name, column="at", slo_s=60.0, row_at=NOW
        )  # fmt: skip
        Heartbeat.objects.create(task=("shop-cdc", "shop-archive")[number], source="shop", written_at=NOW)
    for number in range(20):
        TableEvent.objects.create(table="t1", at=NOW, generation=number, kind="status", text=f"{number} %s")
        at = NOW - timedelta(minutes=number)
        met_at = (None, at, NOW)[number % 3]
        CutoffRow.objects.create(table="t1", at=at, deadline=at + timedelta(seconds=9), origin="api", met_at=met_at)
    CutoffRow.objects.create(table="t2", at=NOW - timedelta(minutes=1), deadline=LATER, origin="api")


def incidents() -> None:
    """More than a page of them, in each state and severity; one that is part of another, with a story and pages."""
    at = {"opened_at": NOW, "updated_at": NOW, "seen_at": NOW}
    for number in range(1, 61):
        over = {"state": "resolved", "resolved_at": NOW} if number % 5 == 1 else {}
        state = {"state": "open" if number % 2 else "snoozed", "snoozed_until": NOW} | over
        severity = ("critical", "error", "warning", "info")[number % 4]
        Incident.objects.create(
            pk=number, key=f"k{number}", severity=severity, section="fleets", evidence={"facts": [1]}, **at, **state
        )
    Incident.objects.filter(pk=2).update(part_of=1)
    for number in range(3):
        IncidentEvent.objects.create(incident_id=1, at=NOW, kind="note", text=f"{number} %s")
    for number, pager in enumerate(("a", "b")):
        page = Page.objects.create(pk=number + 1, incident_id=1, action="trigger", sequence=1, pager=pager)
        PageAttempt.objects.create(page=page, pager=pager, at=NOW, ok=not number, took_s=0.5)
    for key, present in (("100% it's", False), ("there", True)):
        SignalRow.objects.create(key=key, present=present, since=NOW, clear_from=None if present else NOW)
    for hours in (-1, 1):
        begins = NOW + timedelta(hours=hours, minutes=-30)
        ends = begins + timedelta(hours=1)
        Maintenance.objects.create(targets=["*"], starts_at=begins, ends_at=ends, reason="why", by_name="mira")


def test_each_of_them_has_an_example():
    assert sorted(known()) == sorted(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_reads_what_its_queryset_reads(platform, django_assert_num_queries, name):
    one = known()[name]
    for number, values in enumerate(EXAMPLES[name]):
        with django_assert_num_queries(1):
            rows = one(*values)
        wanted = list(one.make(*values))
        assert [told(row) for row in rows] == [told(row) for row in wanted]
        assert [type(row) for row in rows] == [type(row) for row in wanted]
        assert rows or number
        assert one.first(*values) == (wanted[0] if wanted else None)
