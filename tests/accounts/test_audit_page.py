"""`/audit/`, its CSV and its API: for operators and admins, filtered, by pages."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.accounts import audit, audit_log
from console.accounts.actor import Actor
from console.accounts.models import AuditEntry, User
from console.accounts.roles import Role
from tests.api.asking import bearer, token_for
from tests.explained import blocks

pytestmark = pytest.mark.django_db


def by(name: str) -> Actor:
    return Actor(name, None, Role.OPERATOR, "session", "10.0.0.1")


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(User.objects.create_user("olga", role=Role.OPERATOR))
    return client


def targets(client: Client, query: str) -> list[str]:
    return [entry.target for entry in client.get(f"/audit/{query}").context["page"].entries]


def test_a_viewer_is_told_which_role_it_takes(client: Client) -> None:
    client.force_login(User.objects.create_user("vera", role=Role.VIEWER))
    for path in ("/audit/", "/audit/export.csv"):
        answer = client.get(path)
        assert answer.status_code == 403
        assert "operator (or admin)" in answer.content.decode()


MANY = """
INSERT INTO accounts_auditentry (
    seq, at, actor, via, action, target, reason, details, ip, request_id, previous, hash)
SELECT 1000 + n, now(), CASE WHEN n % 2000 = 0 THEN 'rare ' || n ELSE 'ada' END, '', 'thing.done', 't' || n, '', '{}',
       '', '', '', '' FROM generate_series(1, 6000) n
"""


def test_who_did_little_or_nothing_is_found_among_many_deeds_without_reading_them(operator: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute(MANY)
        cursor.execute("ANALYZE accounts_auditentry")
    assert targets(operator, "?who=RARE") == ["t6000", "t4000", "t2000"]
    assert len(targets(operator, "?who=a")) == audit_log.PAGE
    assert targets(operator, "?who=nobody") == targets(operator, "?who=%25") == []
    for who in ("rare", "nobody", "ada"):
        assert 0 < blocks(operator, f"/audit/?who={who}", "accounts_auditentry") < 40


def test_more_names_than_can_be_listed_are_found_all_the_same(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "ACTORS", 3)
    for name in ("ada", "adb", "adc", "add", "ben"):
        audit.record(by(name), "thing.done", name)
    assert targets(operator, "?who=AD") == ["add", "adc", "adb", "ada"]
    assert targets(operator, "?who=ben") == ["ben"]


def test_newest_first(operator: Client) -> None:
    for target in ("a", "b"):
        audit.record(by("ada"), "thing.done", target)
    assert targets(operator, "") == ["b", "a"]


def test_filters(operator: Client) -> None:
    audit.record(by("ada"), "token.created", "alpha")
    audit.record(by("ben"), "token.revoked", "beta")
    audit.record(by("ben"), "sign-in", "ben")
    assert targets(operator, "?who=BE") == ["ben", "beta"]
    assert targets(operator, "?action=token.") == ["beta", "alpha"]
    assert targets(operator, "?target=alp") == ["alpha"]
    assert targets(operator, "?who=ben&action=token") == ["beta"]
    later = (timezone.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    assert targets(operator, f"?since={later}") == []
    assert targets(operator, f"?until={later}") == ["ben", "beta", "alpha"]


@pytest.mark.parametrize("query", ["?since=yesterday", "?before=x", "?until=2026-99-99T00:00"])
def test_nonsense_in_the_address_is_said_and_breaks_nothing(operator: Client, query: str) -> None:
    assert operator.get(f"/audit/{query}").status_code == 200


def test_pages(operator: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(audit_log.PAGE + 5):
        audit.record(by("ada"), "thing.done", f"t{number}")
    page = operator.get("/audit/?who=ada").context["page"]
    assert len(page.entries) == audit_log.PAGE
    with django_assert_num_queries(1):
        audit_log.audit_page({"target": "t"})
    with django_assert_num_queries(2):  # whose names those are, first
        audit_log.audit_page({"who": "ada"})
    older = operator.get(f"/audit/?{page.older}").context["page"]
    assert [entry.target for entry in older.entries] == ["t4", "t3", "t2", "t1", "t0"]
    assert older.older == ""


def test_what_was_typed_is_text_and_not_html(operator: Client) -> None:
    audit.record(by("<script>x</script>"), "thing.done", "t", reason="<b>")
    content = operator.get("/audit/").content.decode()
    assert "<script>x" not in content
    assert "&lt;script&gt;x" in content


def rows(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


@pytest.mark.parametrize("start", list("=+-@\t\r") + ["＝"])
def test_no_cell_of_the_csv_is_a_formula(operator: Client, start: str) -> None:
    audit.record(by("ada"), "thing.done", f"{start}HYPERLINK(1)", reason=f"{start}1+1")
    (row,) = rows(operator.get("/audit/export.csv?who=ada"))
    assert row["target"].startswith("'")
    assert row["reason"].startswith("'")


def test_the_csv_holds_what_is_filtered_and_is_audited(operator: Client) -> None:
    audit.record(by("ada"), "thing.done", 'a "quoted", one', reason="line\nbreak")
    audit.record(by("ben"), "thing.done", "b")
    answer = operator.get("/audit/export.csv?who=ada")
    assert "attachment" in answer["Content-Disposition"]
    (row,) = rows(answer)
    assert (row["target"], row["reason"]) == ('a "quoted", one', "line\nbreak")
    assert AuditEntry.objects.order_by("-seq")[0].action == "audit.exported"


def test_too_much_is_refused_rather_than_cut_off(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.accounts.audit_views.EXPORT_LIMIT", 1)
    for _ in range(2):
        audit.record(by("ada"), "thing.done")
    answer = operator.get("/audit/export.csv")
    assert answer.status_code == 400
    assert "narrow" in answer.content.decode()


def test_the_api_gives_the_same_by_pages(client: Client) -> None:
    for number in range(audit_log.PAGE + 1):
        audit.record(by("ada"), "thing.done", f"t{number}", details={"n": number})
    headers = bearer(token_for(Role.OPERATOR))
    first = client.get("/api/v1/audit?who=ada", headers=headers).json()
    assert len(first["entries"]) == audit_log.PAGE
    assert first["entries"][0]["detail"] == {"n": audit_log.PAGE}
    second = client.get(f"/api/v1/audit?who=ada&before={first['next_before']}", headers=headers).json()
    assert [entry["target"] for entry in second["entries"]] == ["t0"]
    assert second["next_before"] is None


def test_the_api_names_a_wrong_time(client: Client) -> None:
    answer = client.get("/api/v1/audit?since=yesterday", headers=bearer(token_for(Role.OPERATOR)))
    assert answer.status_code == 422
    assert "since" in answer.json()["errors"]
