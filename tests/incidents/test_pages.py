"""What people see of incidents, what the buttons do, and that nothing of it is told to those not signed in."""

from __future__ import annotations

import csv
import gzip
import io
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.accounts.roles import Role
from console.incidents import actions
from console.incidents.actions import announce
from console.incidents.findings import Severity
from console.incidents.models import Incident, Maintenance
from console.incidents.pages import Filters, list_page
from console.incidents.store import settle
from console.overview.judge import judge
from tests.api.asking import user_of
from tests.incidents.made import MIRA, finding, report

pytestmark = pytest.mark.django_db
STATIC = Path(__file__).parents[2] / "static"


@pytest.fixture
def incident() -> Incident:
    settle(report(finding()), timezone.now() - timedelta(minutes=5))
    return Incident.objects.get()


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(user_of(Role.OPERATOR))
    return client


def text_of(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.content[:300]
    return answer.content.decode()


def test_a_filter_for_the_word_unresolved_stays_in_the_links() -> None:
    assert Filters(state="all", q="unresolved").address() == "?state=all&q=unresolved"
    assert Filters(q="x").address() == "?q=x"


def test_the_list_names_what_is_open_and_filters_by_its_address(operator: Client, incident: Incident) -> None:
    text = text_of(operator, "/incidents/")
    assert "1\N{NO-BREAK SPACE}incident is not over, 1 waits for somebody" in text
    assert f'href="/incidents/{incident.pk}/"' in text
    assert f'href="/incidents/{incident.pk}/"' not in text_of(operator, "/incidents/?severity=critical")
    assert f'href="/incidents/{incident.pk}/"' not in text_of(operator, "/incidents/?state=resolved")
    assert f'href="/incidents/{incident.pk}/"' in text_of(operator, "/incidents/?state=all&section=fleets&q=starv")


def test_the_list_costs_the_same_however_many_there_are(operator: Client) -> None:
    now = timezone.now()
    settle(report(finding()), now)
    text_of(operator, "/incidents/")
    with CaptureQueriesContext(connection) as few:
        text_of(operator, "/incidents/")
    settle(report(*(finding(f"fleets.starving:q{number}", target=f"fleets/q{number}") for number in range(60))), now)
    with CaptureQueriesContext(connection) as many:
        text_of(operator, "/incidents/")
    assert len(few) == len(many) <= 14


def test_the_noise_names_the_key_that_told_most_and_whether_anybody_acted(operator: Client) -> None:
    now = timezone.now() - timedelta(hours=3)
    for round_ in range(3):
        at = now + timedelta(minutes=40 * round_)
        settle(report(finding()), at)
        if round_ == 0:
            actions.acknowledge(Incident.objects.unresolved().get().pk, by=MIRA, now=at)
        settle(report(), at + timedelta(minutes=1))
        settle(report(), at + timedelta(minutes=15))
    assert Incident.objects.count() == 3
    text = text_of(operator, "/incidents/")
    assert "fleets.starving:cpu told most: 3\N{NO-BREAK SPACE}pages, acted upon 1 of 3 times." in text
    Incident.objects.filter(generation=1).update(opened_at=now - timedelta(days=31), title="zzz before the window")
    text = text_of(operator, "/incidents/")
    assert "fleets.starving:cpu told most: 2\N{NO-BREAK SPACE}pages, nobody did anything." in text
    Incident.objects.filter(generation=2).update(title="zzz of before")
    [noise] = list_page(timezone.now(), {}).noise
    assert noise.title == "cpu starves", "as the newest is called"


def test_the_export_is_what_the_list_shows_and_no_formula(operator: Client) -> None:
    settle(report(finding(title='=HYPERLINK("x")'), finding("fleets.lost:io", target="fleets/io")), timezone.now())
    answer = operator.get("/incidents/export.csv?q=starving")
    assert answer["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))  # type: ignore[attr-defined]
    assert [row["key"] for row in rows] == ["fleets.starving:cpu"]
    assert rows[0]["title"].startswith("'=")


@pytest.mark.parametrize("path", ["/incidents/{}/", "/i/{}"])
def test_one_incident_says_what_to_do_and_shows_both_evidences(operator: Client, incident: Incident, path: str) -> None:
    settle(report(finding(sentence="99 tasks wait.")), timezone.now())
    text = text_of(operator, path.format(incident.pk))
    assert "cpu starves" in text
    assert "99 tasks wait." in text
    assert "Give cpu two more workers." in text
    assert f'href="/fleets/cpu/resize/?desired=4&amp;reason=INC-{incident.pk}%3A%20cpu%20starves"' in text
    assert "41 tasks" in text
    assert f'action="/incidents/{incident.pk}/acknowledge/"' in text


def test_what_is_gone_says_when_it_closes_and_what_flaps_says_why_later(operator: Client) -> None:
    now = timezone.now()
    for seconds, there in ((-90, True), (-80, False)):
        settle(report(*([finding()] if there else [])), now + timedelta(seconds=seconds))
    pk = Incident.objects.get().pk
    assert "if it stays so" in text_of(operator, f"/i/{pk}")
    for seconds, there in ((-70, True), (-60, False)):
        settle(report(*([finding()] if there else [])), now + timedelta(seconds=seconds))
    for path in (f"/i/{pk}", f"/incidents/{pk}/"):
        assert "it came and went" in text_of(operator, path)


def test_a_viewer_sees_it_and_can_change_nothing(client: Client, incident: Incident) -> None:
    client.force_login(user_of(Role.VIEWER))
    for path in (f"/incidents/{incident.pk}/", f"/i/{incident.pk}"):
        assert "acknowledge" not in text_of(client, path)
    assert client.post(f"/incidents/{incident.pk}/acknowledge/").status_code == 403
    incident.refresh_from_db()
    assert incident.state == "open"


def test_the_short_link_tells_nothing_before_the_sign_in_and_comes_back(client: Client, incident: Incident) -> None:
    there, not_there = client.get(f"/i/{incident.pk}"), client.get("/i/999999")
    assert (there.status_code, not_there.status_code) == (302, 302)
    assert there["Location"] == f"/accounts/login/?next=/i/{incident.pk}"
    page = client.get(there["Location"]).content.decode()
    assert "cpu starves" not in page
    user = user_of(Role.OPERATOR)
    user.set_password("correct horse battery")
    user.save()
    answer = client.post(
        "/accounts/login/",
        {"username": user.username, "password": "correct horse battery", "next": f"/i/{incident.pk}"},
    )
    assert answer["Location"] == f"/i/{incident.pk}"
    assert "cpu starves" in client.get(answer["Location"]).content.decode()


def test_the_short_link_is_light(operator: Client) -> None:
    """All that a phone loads at first, compressed as whitenoise does it: under 60 kB."""
    tables = tuple(f"shop.public.table_{number}" for number in range(500))
    parts = [
        finding(f"freshness.table:t{n}", target=f"freshness/t{n}", causes=("fleets.starving:cpu",)) for n in range(80)
    ]
    settle(report(finding(impact=tables), *parts), timezone.now())
    pk = Incident.objects.get().pk
    for number in range(60):
        actions.add_note(pk, f"note {number} " + "words " * 60, by=MIRA, now=timezone.now())
    assert weight(operator.get(f"/i/{pk}").content) < 60_000


def weight(html: bytes) -> int:
    """The page, which may go uncompressed (no proxy is promised in front), and all that it names."""
    assert b"tabler" not in html
    files = {file.decode() for file in re.findall(rb'(?:href|src)="/static/([^"]+?)"', html)}
    assert files
    plain = [re.sub(r"\.[0-9a-f]{12}(?=\.)", "", name) for name in files]
    return len(html) + sum(len(gzip.compress((STATIC / name).read_bytes())) for name in plain)


def test_so_is_the_sign_in_before_it_also_when_it_fails(client: Client) -> None:
    assert weight(client.get("/accounts/login/?next=/i/7").content) < 15_000
    wrong = client.post("/accounts/login/", {"username": "nobody", "password": "nothing", "next": "/i/7"})
    assert wrong.status_code == 422
    assert weight(wrong.content) < 15_000
    assert b'role="alert"' in wrong.content
    assert b'value="/i/7"' in wrong.content
    assert b"tabler" in client.get("/accounts/login/?next=https://elsewhere.example/i/7").content


def test_acknowledge_snooze_resolve_and_note_by_plain_forms(operator: Client, incident: Incident) -> None:
    base = f"/incidents/{incident.pk}/"
    assert operator.post(f"{base}acknowledge/", {"back": "brief"})["Location"] == f"/i/{incident.pk}"
    assert operator.post(f"{base}note/", {"text": "ask shop"})["Location"] == base
    operator.post(f"{base}snooze/", {"minutes": "30", "reason": "after the batch"})
    incident.refresh_from_db()
    assert incident.state == "snoozed"
    operator.post(f"{base}resolve/", {"reason": " "})
    incident.refresh_from_db()
    assert incident.state == "snoozed", "a reason is needed"
    assert "Say why" in operator.get(base).content.decode()
    operator.post(f"{base}resolve/", {"reason": "more workers"})
    incident.refresh_from_db()
    assert incident.state == "resolved"
    text = text_of(operator, f"/i/{incident.pk}")
    assert "Resolved by operator: more workers" in text
    assert "b-bar" not in text


def test_words_that_are_none_and_minutes_that_are_none(operator: Client, incident: Incident) -> None:
    assert operator.post(f"/incidents/{incident.pk}/explode/").status_code == 404
    assert operator.post("/incidents/999999/acknowledge/").status_code == 404
    operator.post(f"/incidents/{incident.pk}/snooze/", {"minutes": "31", "reason": "x"})
    incident.refresh_from_db()
    assert incident.state == "open"


def test_work_is_announced_and_ended_early(operator: Client) -> None:
    ends = (timezone.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    sent = {"targets": "fleets/cpu, datastores", "ends_at": ends, "reason": "new kernel"}
    assert operator.post("/incidents/maintenance/", sent).status_code == 302
    window = Maintenance.objects.get()
    assert window.targets == ["fleets/cpu", "datastores"]
    assert "fleets/cpu, datastores" in text_of(operator, "/incidents/maintenance/")
    assert "Quiet until" in text_of(operator, "/incidents/")
    operator.post(f"/incidents/maintenance/{window.pk}/cancel/", {"reason": "done"})
    window.refresh_from_db()
    assert window.cancelled_by == "operator"


def test_work_that_makes_no_sense_is_refused_by_its_field(operator: Client) -> None:
    answer = operator.post(
        "/incidents/maintenance/", {"targets": "console", "ends_at": "2001-01-01T00:00", "reason": "x"}
    )
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "own blindness can" in text
    assert "After its start." in text
    assert 'value="console"' in text, "what was typed is kept"


def test_a_viewer_announces_nothing(client: Client) -> None:
    client.force_login(user_of(Role.VIEWER))
    assert "Announce" not in text_of(client, "/incidents/maintenance/")
    assert client.post("/incidents/maintenance/", {"targets": "*"}).status_code == 403
    assert not Maintenance.objects.exists()


def test_the_navigation_counts_them_and_is_bad_while_nobody_has_one(operator: Client, incident: Incident) -> None:
    from console.overview.models import Verdict

    judge(timezone.now())
    assert Verdict.objects.get().flags["incidents"] == ["bad", "1"]
    actions.acknowledge(incident.pk, by=MIRA, now=timezone.now())
    judge(timezone.now())
    assert Verdict.objects.get().flags["incidents"] == ["warn", "1"]


def test_a_quiet_incident_says_so(operator: Client) -> None:
    now = timezone.now()
    announce(["*"], starts_at=now, ends_at=now + timedelta(hours=1), reason="work", by=MIRA, now=now)
    settle(report(finding(severity=Severity.CRITICAL)), now)
    assert "kept quiet" in text_of(operator, f"/i/{Incident.objects.get().pk}")
