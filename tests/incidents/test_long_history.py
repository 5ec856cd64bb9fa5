"""Two years of incidents that are over: what the pages say of them stays true, and costs what it cost without them."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from console.accounts.roles import Role
from console.incidents import actions
from console.incidents.findings import Severity
from console.incidents.models import Incident, IncidentEvent, IncidentTally, Maintenance, Page
from console.incidents.pages import list_page
from console.incidents.store import settle
from tests.api.asking import user_of
from tests.explained import blocks
from tests.incidents.made import MIRA, finding, report

pytestmark = pytest.mark.django_db
OVER = """
INSERT INTO incidents_incident (
    key, generation, origin, detector, severity, state, title, section, target, url, own, opened_at, updated_at,
    seen_at, resolved_at, sentence, outcome, acknowledged_by, snoozed_by, resolved_by, evidence, latest, recommended,
    children, folded, triggers, owed)
SELECT 'fleets.lost:q' || n, 1, 'console', 'workers-lost', 'warning', 'resolved', 'q starves', 'fleets', 'fleets/q',
       '/', false, at, at, at, at + '5 min', '', '', '', '', '', '{}', '{}', '{}', '[]', 0, 1, false
FROM (SELECT n, now() - interval '40 days' - n * interval '2 hours' AS at FROM generate_series(1, %s) n) long_ago
"""


def long_ago(number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(OVER, [number])
        cursor.execute("ANALYZE incidents_incident")


def tallied() -> Counter[tuple[str, str, str]]:
    rows = IncidentTally.objects.filter(number__gt=0).values_list("state", "severity", "section", "number")
    return Counter({(state, severity, section): number for state, severity, section, number in rows})


def counted() -> Counter[tuple[str, str, str]]:
    return Counter(Incident.objects.values_list("state", "severity", "section"))


def test_the_tally_is_what_counting_says_whoever_changes_the_rows() -> None:
    now = timezone.now()
    parts = [finding(f"fleets.starving:q{number}", target=f"fleets/q{number}") for number in range(4)]
    settle(report(*parts), now)
    assert tallied() == counted() != Counter()
    first, second, third, fourth = Incident.objects.order_by("pk")
    actions.acknowledge(first.pk, by=MIRA, now=now)
    actions.resolve(second.pk, by=MIRA, now=now, reason="done")
    settle(report(*parts), now + timedelta(seconds=5))
    assert tallied() == counted()
    with transaction.atomic():
        actions.resolve(third.pk, by=MIRA, now=now, reason="done")
        transaction.set_rollback(True)
    assert tallied() == counted(), "what was rolled back is not counted"
    Incident.objects.filter(pk__in=[third.pk, fourth.pk]).update(severity="critical", section="pools")
    assert tallied() == counted()
    long_ago(7)
    assert tallied()["resolved", "warning", "fleets"] == 7
    Incident.objects.filter(state="resolved").delete()
    assert tallied() == counted()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("TRUNCATE incidents_incident CASCADE")
    assert tallied() == Counter()


def test_counts_and_sections_follow_the_filters() -> None:
    now = timezone.now()
    settle(report(finding(), finding("pools.full:p", target="pools/p", severity=Severity.WARNING)), now)
    long_ago(3)

    def counts(**asked: str) -> dict[str, int | None]:
        return {one.value: one.count for one in list_page(now, asked).states if one.count}

    assert counts() == {"unresolved": 2, "open": 2, "resolved": 3, "all": 5}
    assert counts(severity="warning") == {"unresolved": 1, "open": 1, "resolved": 3, "all": 4}
    assert counts(severity="warning", section="fleets") == {"resolved": 3, "all": 3}
    assert counts(q="pools.full") == {"unresolved": 1, "open": 1, "all": 1}
    page = list_page(now, {"section": "datastores"})
    assert page.sections == ("fleets", "pools")
    assert page.headline == "2\N{NO-BREAK SPACE}incidents are not over, 2 wait for somebody", (
        "of all, not of the filtered"
    )


def test_the_export_is_all_that_the_filters_leave_or_nothing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.force_login(user_of(Role.VIEWER))
    settle(report(finding()), timezone.now())
    long_ago(120)
    answer = client.get("/incidents/export.csv?state=resolved")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))  # type: ignore[attr-defined]
    assert [row["key"] for row in rows] == [f"fleets.lost:q{number}" for number in range(120, 0, -1)]
    assert rows[0]["resolved_at"] == Incident.objects.get(key="fleets.lost:q120").resolved_at.isoformat()  # type: ignore[union-attr]
    monkeypatch.setattr("console.incidents.views.EXPORT_LIMIT", 100)
    refused = client.get("/incidents/export.csv?state=all")
    assert refused.status_code == 400
    assert "121 incidents; at most 100" in refused.content.decode()
    assert client.get("/incidents/export.csv?q=q120").status_code == 200


@pytest.mark.parametrize("others", [5, 20, 70])
def test_a_long_story_says_what_of_it_is_left_out(client: Client, others: int) -> None:
    client.force_login(user_of(Role.VIEWER))
    now = timezone.now()
    settle(report(finding()), now)
    one = Incident.objects.get()
    settle(report(finding(), *(finding(f"pools.full:p{number}", target="pools/p") for number in range(others))), now)
    IncidentEvent.objects.bulk_create(IncidentEvent(incident=one, kind="note", text=f"n{n}") for n in range(230))
    Page.objects.filter(incident=one).delete()
    Page.objects.bulk_create(Page(incident=one, action="trigger", sequence=n, pager="ops") for n in range(43))
    page = client.get(f"/incidents/{one.pk}/").content.decode()
    assert f"{IncidentEvent.objects.filter(incident=one).count() - 200} earlier lines left out" in page
    assert "13 earlier ones left out here" in page
    assert '<span class="qd-count">43</span>' in page
    brief = client.get(f"/i/{one.pk}").content.decode()
    assert brief.count("and earlier ones: see the") == 2
    for text in (page, brief):
        assert (f">{others - 6} more<" in text) is (others > 6)


def test_no_window_that_is_in_force_is_left_out(client: Client) -> None:
    client.force_login(user_of(Role.VIEWER))
    now = timezone.now()

    def window(name: str, starts_h: float, ends_h: float) -> None:
        times = {"starts_at": now + timedelta(hours=starts_h), "ends_at": now + timedelta(hours=ends_h)}
        Maintenance.objects.create(targets=[name], reason="work", by_name="mira", **times)

    window("fleets/in-force", -1, 1)
    for number in range(60):
        window(f"fleets/ahead-{number}", 24 + number, 25 + number)
        window(f"fleets/over-{number}", -25 - number, -24 - number)
    text = client.get("/incidents/maintenance/").content.decode()
    assert "fleets/in-force" in text
    assert len(set(re.findall(r"fleets/ahead-\d+", text))) == 60
    assert set(re.findall(r"fleets/over-\d+", text)) == {f"fleets/over-{number}" for number in range(50)}
    found = client.get("/api/v1/maintenance").json()
    assert len(found) == 61
    assert found[-1]["targets"] == ["fleets/in-force"]


@pytest.mark.parametrize("path", ["/incidents/", "/incidents/?state=all", "/incidents/?section=fleets", "/"])
def test_a_page_reads_no_more_for_what_is_long_over(client: Client, path: str) -> None:
    client.force_login(user_of(Role.VIEWER))
    settle(report(*(finding(f"fleets.starving:q{number}") for number in range(30))), timezone.now())
    long_ago(300)
    few = blocks(client, path, "incidents_")
    Incident.objects.filter(state="resolved").delete()
    long_ago(6000)
    many = blocks(client, path, "incidents_")
    assert few
    assert many <= few + 10
    assert re.search(r"30\N{NO-BREAK SPACE}incidents", client.get("/incidents/").content.decode())
