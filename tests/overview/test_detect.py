"""What the console finds in the platform as it is remembered: nothing when all is well, and each fault by its name."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.accounts.roles import Role
from console.fleets.models import GroupSnapshot, QueueSnapshot, Watch, Worker
from console.freshness.models import TableSnapshot
from console.freshness.records import AssetNews, Burning, CutoffRow
from console.incidents.detectors import DETECTORS
from console.incidents.findings import Finding, Severity
from console.incidents.models import Incident
from console.operations.models import Operation
from console.overview.detect import detect, report
from console.platform.models import Source, remember_failure
from console.platform.sources import SCHEDULER, SOURCES, TASKS, WAREHOUSE
from console.pools.models import PoolSnapshot
from console.scheduler.models import Takeover
from tests.api.asking import user_of
from tests.datastores.made import CACHE, RDS
from tests.datastores.made import polled as datastores_polled
from tests.fleets.making import unseen
from tests.overview.made import whole
from tests.pools.made import DEFAULT, MERGE
from tests.pools.made import seen as pools_seen
from tests.scheduler.made import airflow, helpers, job
from tests.scheduler.made import polled as scheduler_polled

pytestmark = pytest.mark.django_db


def found(now: datetime) -> dict[str, Finding]:
    told = {one.key: one for one in report(now).findings}
    for one in told.values():
        assert one.detector in DETECTORS, one
        assert one.recommended is not None, one
        assert one.recommended.text.endswith("."), one
        assert one.recommended.url.startswith("/"), one
        assert not one.title.endswith("."), one
        assert one.sentence.endswith((".", "?")), one
        assert one.key.partition(".")[0] == one.section, one
    return told


def test_a_platform_that_is_well_has_no_findings(now: datetime) -> None:
    whole(now)
    assert found(now) == {}
    assert report(now).unseen == frozenset()


def test_nothing_known_yet_is_blindness_and_nothing_else(now: datetime) -> None:
    assert set(found(now)) == {"console.blind:all"}
    assert {"scheduler.", "fleets.", "freshness.", "pools.", "datastores."} <= report(now).unseen


def test_a_dead_scheduler(now: datetime) -> None:
    whole(now)
    before = now - timedelta(seconds=40)
    scheduler_polled(now - timedelta(seconds=1), airflow(job(1, "scheduler-a", before), *helpers(now)))
    one = found(now)["scheduler.down"]
    assert (one.detector, one.severity) == ("scheduler-down", Severity.CRITICAL)
    assert any("41" in fact.value or "40" in fact.value for fact in one.facts)


def test_while_a_switchover_is_under_way_nobody_is_told_at_once_that_nobody_leads(now: datetime) -> None:
    whole(now)
    ended = job(1, "scheduler-a", now - timedelta(seconds=5), state="success", ended_at=now - timedelta(seconds=4))
    scheduler_polled(now - timedelta(seconds=1), airflow(ended, *helpers(now)))
    assert found(now)["scheduler.down"].after_s == 20
    operation(now, state="running", kind="switchover", target="scheduler")
    assert found(now)["scheduler.down"].after_s == 60


def test_a_takeover_that_nobody_asked_for_is_told_and_one_that_was_ordered_is_not(now: datetime) -> None:
    whole(now)
    at = now - timedelta(minutes=2)
    Takeover.objects.create(at=at, kind="automatic", from_host="scheduler-a", to_host="scheduler-b", gap_s=17)
    Takeover.objects.create(
        at=at - timedelta(minutes=1), kind="switchover", from_host="scheduler-b", to_host="scheduler-a", gap_s=3
    )
    keys = [key for key in found(now) if key.startswith("scheduler.takeover")]
    assert keys == [f"scheduler.takeover:{at:%Y%m%dT%H%M%S}"]
    assert not found(now + timedelta(minutes=9)).keys() & set(keys)


def test_blindness_to_one_system_keeps_what_depends_on_it(now: datetime) -> None:
    whole(now)
    unseen(now, SCHEDULER, TASKS, SOURCES["airflow.pools"])
    told = found(now)
    assert told["console.blind:airflow"].severity is Severity.CRITICAL
    assert told["console.blind:airflow"].own
    assert {"scheduler.", "fleets.", "pools."} <= report(now).unseen


def test_a_system_that_goes_away_bit_by_bit_is_one_incident_told_once(now: datetime) -> None:
    whole(now)
    unseen(now, TASKS)
    assert found(now)["console.blind:airflow"].severity is Severity.ERROR
    detect(now)
    assert not Incident.objects.exists(), "a part may be the beginning of the whole"
    later = now + timedelta(seconds=15)
    whole(later, workers=0)
    unseen(later, TASKS, SCHEDULER, SOURCES["airflow.pools"])
    detect(later)
    incident = Incident.objects.get()
    assert (incident.key, incident.severity, incident.triggers) == ("console.blind:airflow", "critical", 1)


def test_the_warehouse_away_is_one_finding_however_many_tables(now: datetime) -> None:
    whole(now)
    TableSnapshot.objects.update(status="failing", word="breached", severity=3, lag_s=900)
    unseen(now, WAREHOUSE)
    told = found(now)
    assert "console.blind:warehouse" in told
    assert not any(key.startswith("freshness.") for key in told)


def test_late_tables_of_one_task_are_one_finding_with_the_tables_as_impact(now: datetime) -> None:
    whole(now)
    first = TableSnapshot.objects.first()
    assert first is not None
    first.status, first.word, first.severity, first.lag_s = "failing", "breached", 3, 900.0
    TableSnapshot.objects.bulk_create(
        [TableSnapshot(**_values(first) | {"name": f"shop.public.t{number}"}) for number in range(500)]
    )
    with CaptureQueriesContext(connection) as queries:
        told = found(now)
    (one,) = (one for key, one in told.items() if key.startswith("freshness."))
    assert one.key == f"freshness.task:{first.task}"
    assert one.title == f"{first.task}: 500\N{NO-BREAK SPACE}tables late"
    assert len(one.impact) == 200
    assert len(queries) <= 40
    changes = detect(now)
    assert changes is not None
    assert len(changes.opened) == 1


def followed(now: datetime, **other: object) -> TableSnapshot:
    """One table with a proven watermark, otherwise well."""
    row = TableSnapshot.objects.first()
    assert row is not None
    told = {"followed": True, "nine": "FRESH", "word": "fresh", "status": "healthy", "row_at": now, "speed": 1.0}
    TableSnapshot.objects.filter(pk=row.pk).update(**(told | other))
    row.refresh_from_db()
    return row


def test_a_cutoff_that_will_be_missed_is_told_within_the_runway_and_one_that_will_be_met_is_not(now: datetime) -> None:
    whole(now)
    row = followed(now, row_at=now - timedelta(minutes=30), speed=0.5)
    cutoff = CutoffRow.objects.create(
        table=row.name,
        at=now - timedelta(minutes=5),
        deadline=now + timedelta(minutes=20),
        origin="calendar",
        dag_id="revenue",
    )
    one = found(now)[f"freshness.cutoff:{row.task}"]
    assert one.severity is Severity.ERROR
    assert "at risk" in one.title
    assert one.impact == (row.name, "DAG revenue")
    CutoffRow.objects.update(deadline=now - timedelta(minutes=1))
    assert found(now)[f"freshness.cutoff:{row.task}"].severity is Severity.CRITICAL
    CutoffRow.objects.update(deadline=now + timedelta(hours=2))
    assert not any(key.startswith("freshness.") for key in found(now)), "there is time left"
    CutoffRow.objects.update(deadline=cutoff.deadline)
    followed(now, row_at=now - timedelta(minutes=10), speed=1.0)
    assert not any(key.startswith("freshness.") for key in found(now)), "it arrives in time"
    followed(now, nine="UNKNOWN", word="unknown", status="unknown", row_at=None)
    assert f"freshness.cutoff:{row.task}" in report(now).unseen


def test_a_table_that_stands_still_is_its_task_and_one_that_catches_up_is_nobodys_to_know(now: datetime) -> None:
    whole(now)
    row = followed(now, nine="STALLED", word="stalled", status="failing", severity=3, lag_s=200.0)
    assert found(now)[f"freshness.task:{row.task}"].detector == "replication-broken"
    followed(now, nine="CATCHING_UP", word="catching up", status="degraded", severity=2, lag_s=200.0)
    assert found(now) == {}
    assert not report(now).unseen


def test_heartbeats_that_are_not_written_are_no_late_table(now: datetime) -> None:
    whole(now)
    row = followed(now, nine="WRITER_DOWN", word="writer down", status="unknown", severity=1)
    told = found(now)
    assert set(told) == {f"freshness.writer:{row.source}"}
    assert told[f"freshness.writer:{row.source}"].detector == "heartbeat-writer-down"


def _values(row: TableSnapshot) -> dict[str, object]:
    return {field.attname: getattr(row, field.attname) for field in TableSnapshot._meta.concrete_fields}


def test_a_starved_pool_leads_to_its_form_with_more_slots(now: datetime) -> None:
    whole(now)
    pools_seen(now, DEFAULT, MERGE)
    assert "pools.starved:warehouse_merge" not in found(now), "it is meant to be full for a while"
    PoolSnapshot.objects.filter(name=MERGE.name).update(starving_since=now - timedelta(minutes=6))
    one = found(now)["pools.starved:warehouse_merge"]
    assert one.recommended is not None
    assert one.recommended.url == "/pools/warehouse_merge/edit/?slots=43"


def test_a_datastore_without_standby_and_one_that_is_down(now: datetime) -> None:
    whole(now)
    datastores_polled(now, replace(RDS, multi_az=False, standby_zone=None), replace(CACHE, status="deleting"))
    told = found(now)
    assert told["datastores.alone:metadata-db"].severity is Severity.WARNING
    assert told["datastores.down:queue"].severity is Severity.CRITICAL


def test_lost_workers_lead_to_their_replacement(now: datetime) -> None:
    whole(now)
    lost = list(Worker.objects.serving("cpu"))
    Worker.objects.filter(pk__in=[one.pk for one in lost]).update(state="lost", reason="silent for 4 min")
    QueueSnapshot.objects.filter(queue="cpu").update(
        in_service=0, lost=len(lost), queued=3, backlog_since=now - timedelta(minutes=5)
    )
    told = found(now)
    one = told["fleets.lost:cpu"]
    assert one.severity is Severity.CRITICAL
    assert one.recommended is not None
    assert one.recommended.operation == "drain"
    assert one.recommended.url.startswith("/fleets/cpu/drain/?workers=i-0")
    assert one.recommended.url.endswith("&replace=1")
    # Nobody serves the queue: that is the incident, the lost workers are part of it.
    assert "fleets.not-served:cpu" in one.causes
    assert "fleets.not-served:cpu" in told


def test_a_queue_that_starves_leads_to_a_resize(now: datetime) -> None:
    whole(now)
    QueueSnapshot.objects.filter(queue="cpu").update(
        queued=41, running=4, in_service=2, slots=4, backlog_since=now - timedelta(minutes=5)
    )
    GroupSnapshot.objects.filter(name="tests-cpu").update(desired=2, maximum=4)
    one = found(now)["fleets.starving:cpu"]
    assert one.recommended is not None
    assert one.recommended.url == "/fleets/cpu/resize/?desired=4"
    QueueSnapshot.objects.filter(queue="cpu").update(in_service=4, slots=8, running=8)
    GroupSnapshot.objects.filter(name="tests-cpu").update(desired=4, maximum=4)
    assert "fleets.starving:cpu" not in found(now), "it is at its maximum, and its backlog does not grow"


def test_slots_free_and_nothing_starts(now: datetime) -> None:
    whole(now)
    QueueSnapshot.objects.filter(queue="cpu").update(
        queued=9, running=0, in_service=2, slots=4, depth=9,
        backlog_since=now - timedelta(minutes=5), prior_at=now - timedelta(minutes=3), prior_queued=9,
    )  # fmt: skip
    assert found(now)["fleets.not-started:cpu"].detector == "tasks-queued-long"


def test_each_button_opens_its_preflight_with_what_is_recommended_filled_in(client: Client) -> None:
    now = timezone.now() - timedelta(seconds=31)
    whole(now)
    pools_seen(now, DEFAULT, MERGE)
    PoolSnapshot.objects.filter(name=MERGE.name).update(starving_since=now - timedelta(minutes=6))
    QueueSnapshot.objects.filter(queue="io").update(
        queued=41, running=4, in_service=2, slots=4, backlog_since=now - timedelta(minutes=5)
    )
    GroupSnapshot.objects.filter(name="tests-io").update(desired=2, maximum=4)
    lost = Worker.objects.serving("cpu").first()
    assert lost is not None
    Worker.objects.filter(pk=lost.pk).update(state="lost", reason="silent for 4 min")
    QueueSnapshot.objects.filter(queue="cpu").update(in_service=1, lost=1)
    detect(now)
    later = timezone.now()
    whole(later, workers=0)
    detect(later)
    client.force_login(user_of(Role.OPERATOR))
    seen = {}
    for incident in Incident.objects.unresolved().exclude(recommended__operation=""):
        page = client.get(f"/i/{incident.pk}").content.decode()
        (button,) = re.findall(r'<a class="b-btn b-primary" href="([^"]+)"', page)
        answer = client.get(html.unescape(button))
        assert answer.status_code == 200, (button, answer.content[:300])
        text = answer.content.decode()
        if incident.recommended["operation"] != "pool":  # whose form asks for it only once it was checked
            assert f"INC-{incident.pk}: " in html.unescape(text), "the reason is filled in"
        seen[incident.recommended["operation"]] = text
    assert set(seen) == {"pool", "resize", "drain"}
    assert 'value="43"' in seen["pool"]
    assert re.search(r'name="desired"[^>]*value="4"|value="4"[^>]*name="desired"', seen["resize"])
    assert lost.instance_id in seen["drain"]


def operation(now: datetime, **other: object) -> Operation:
    told = {"kind": "lamps", "target": "hall", "reason": "it is dark", "requested_by_name": "mira", "created_at": now}
    return Operation.objects.create(**(told | {"next_tick_at": now} | other))


def test_operations_that_wait_fail_or_are_left(now: datetime) -> None:
    whole(now)
    question = {"text": "Its deadline has passed. What now?", "choices": [["wait", "wait on"], ["force", "stop it"]]}
    asks = operation(now, state="paused", question=question)
    left = operation(now, state="running", next_tick_at=now - timedelta(minutes=5))
    stuck = operation(now, state="running", failures=9)
    failed = operation(
        now, state="failed", finished_at=now - timedelta(hours=1), outcome="Nobody answered.", target="door"
    )
    told = found(now)
    assert set(told) == {
        f"operations.waits:{asks.pk}",
        f"operations.overdue:{left.pk}",
        f"operations.stuck:{stuck.pk}",
        f"operations.failed:{failed.pk}",
    }
    operation(now, state="succeeded", finished_at=now, target="door")
    assert f"operations.failed:{failed.pk}" not in found(now)


def test_a_worker_that_begins_no_poll_and_a_watcher_that_writes_nothing(now: datetime) -> None:
    whole(now)
    Source.objects.update(attempted_at=now - timedelta(minutes=5))
    Watch.objects.update_or_create(pk=1, defaults={"noted_at": now - timedelta(minutes=1), "holder": "web-1"})
    told = found(now)
    assert told["console.behind"].severity is Severity.CRITICAL
    assert told["console.watch"].own


def test_a_section_that_fails_hides_no_other_and_is_a_finding(now: datetime) -> None:
    whole(now)

    def broken(_: datetime) -> None:
        raise ZeroDivisionError

    told = report(now, {"pools": broken})  # type: ignore[dict-item]
    assert [one.key for one in told.findings] == ["console.look:pools"]
    assert "pools." in told.unseen


def test_from_a_dead_scheduler_to_its_incident_and_back(now: datetime) -> None:
    whole(now)
    before = now - timedelta(seconds=40)
    scheduler_polled(now, airflow(job(1, "scheduler-a", before), *helpers(now)))
    detect(now)
    incident = Incident.objects.get()
    assert (incident.key, incident.severity, incident.state) == ("scheduler.down", "critical", "open")
    assert incident.pages.count() == 1
    for seconds in (10, 30):
        later = now + timedelta(seconds=seconds)
        whole(later, workers=0)
        scheduler_polled(later, airflow(job(2, "scheduler-a", later, started_at=later), *helpers(later)))
        detect(later)
    incident.refresh_from_db()
    assert incident.state == "resolved"
    assert [page.action for page in incident.pages.all()] == ["trigger", "resolve"]


def test_a_failure_that_is_still_young_is_no_blindness(now: datetime) -> None:
    whole(now)
    remember_failure(TASKS.name, now, 0.1, error="timeout", code="timeout", remedy="")
    assert found(now) == {}


def test_a_promise_that_wears_thin(now: datetime) -> None:
    whole(now)
    table = TableSnapshot.objects.order_by("name")[0]
    Burning.objects.create(
        table=table.name,
        task=table.task,
        source=table.source,
        slo_s=table.slo_s,
        alarm="page",
        hour=20.0,
        six_hours=7.5,
        three_days=0.8,
        reckoned_at=now,
    )
    at = now - timedelta(hours=1)
    AssetNews.objects.create(asset="shop-day", cutoff=at, tables="[]", created_at=at, next_at=at)
    told = found(now)
    burn = told[f"freshness.burn:{table.task}"]
    assert (burn.detector, burn.severity) == ("budget-burning", Severity.CRITICAL)
    assert "20.0× in 1\xa0h" in burn.sentence
    assert told["freshness.asset:shop-day"].detector == "asset-event-late"
    Burning.objects.update(alarm="ticket")
    assert found(now)[f"freshness.burn:{table.task}"].severity == Severity.WARNING
