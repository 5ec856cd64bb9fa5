"""The scheduler's page and what the API tells."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.accounts.roles import Role
from console.lib.status import Status
from console.platform.models import remember_failure
from console.platform.sources import SCHEDULER
from console.scheduler.pages import scheduler_page, scheduler_summary
from tests.api.asking import bearer, token_for, user_of
from tests.scheduler.made import airflow, helpers, job, polled

pytestmark = pytest.mark.django_db


def page(client: Client) -> str:
    client.force_login(user_of(Role.VIEWER))
    answer = client.get("/scheduler/")
    assert answer.status_code == 200
    return answer.content.decode()


def told() -> dict[str, Any]:
    answer = Client().get("/api/v1/scheduler", headers=bearer(token_for(Role.VIEWER)))
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def alive(at: datetime) -> None:
    polled(at, airflow(job(7, "scheduler-a", at - timedelta(seconds=1)), *helpers(at), import_errors=2))


def test_the_page_says_who_leads_and_who_is_absent(client: Client) -> None:
    alive(timezone.now())
    html = page(client)
    assert "scheduler-a leads, scheduler-b is absent" in html
    assert "triggerer-1" in html
    assert "dag-processor-1" in html
    assert "No takeover in 90 days" in html
    assert ", absent from" in html


def test_the_page_without_any_reading_says_so(client: Client) -> None:
    html = page(client)
    assert "Whether a scheduler runs is unknown" in html
    assert "it has never been read" in html


def test_names_of_hosts_are_text(client: Client) -> None:
    now = timezone.now()
    polled(now, airflow(job(7, "<script>alert(1)</script>", now), job(8, "h" * 300, now)))
    assert "<script>alert" not in page(client)


def test_the_api_tells_the_contract(client: Client) -> None:
    now = timezone.now()
    polled(now - timedelta(minutes=3), airflow(job(6, "scheduler-b", now - timedelta(minutes=3))))
    ended = job(6, "scheduler-b", now - timedelta(minutes=2), state="success", ended_at=now - timedelta(minutes=2))
    new = job(7, "scheduler-a", now - timedelta(seconds=1), started_at=now - timedelta(seconds=115))
    polled(now, airflow(ended, new, *helpers(now)))
    found = told()
    assert (found["status"], found["automatic_failover"]) == ("healthy", False)
    assert found["heartbeat_age_s"] == pytest.approx(1, abs=1)
    assert found["age_s"] == pytest.approx(0, abs=1)
    leader = found["leader"]
    assert (leader["name"], leader["host"], leader["token"], leader["lease_expires_in_s"]) == (
        "scheduler-a",
        "scheduler-a",
        None,
        None,
    )
    [standby] = found["candidates"]
    assert (standby["name"], standby["host"], standby["ready"]) == ("scheduler-b", "scheduler-b", False)
    assert standby["seen_age_s"] == pytest.approx(120, abs=2)
    assert {(one["kind"], one["host"], one["status"]) for one in found["processes"]} == {
        ("scheduler", "scheduler-a", "healthy"),
        ("triggerer", "triggerer-1", "healthy"),
        ("dag-processor", "dag-processor-1", "healthy"),
        ("metadatabase", "", "healthy"),
    }
    [change] = found["history"]
    assert set(change) == {"at", "kind", "from", "to", "gap_s", "operation"}
    assert (change["from"], change["to"], change["kind"], change["operation"]) == (
        "scheduler-b",
        "scheduler-a",
        "observed",
        None,
    )
    assert change["gap_s"] == pytest.approx(5, abs=0.1)


def test_past_the_limit_all_figures_are_unknown(now: datetime) -> None:
    alive(now)
    remember_failure(
        SCHEDULER.name, now + timedelta(seconds=3), 3, error="it does not answer", code="timeout", remedy="Look."
    )
    later = now + timedelta(seconds=SCHEDULER.limit_s + 1)
    found = scheduler_page(later)
    assert found.state.verdict.status == Status.UNKNOWN
    assert {(card.host, card.role, card.heartbeat_age_s) for card in found.hosts} == {
        ("scheduler-a", "unknown", None),
        ("scheduler-b", "unknown", None),
    }
    assert (found.state.dags, found.state.import_errors, found.helpers) == (None, None, ())
    summary = scheduler_summary(later)
    assert (summary.status, summary.leader, summary.last_leader) == (Status.UNKNOWN, "", "scheduler-a")
    assert summary.reason == "Airflow's scheduler can't be seen: it does not answer."


def test_blind_the_api_answers_all_the_same() -> None:
    found = told()
    assert (found["status"], found["leader"], found["heartbeat_age_s"], found["processes"]) == (
        "unknown",
        None,
        None,
        [],
    )
    assert [one["ready"] for one in found["candidates"]] == [None, None]


@pytest.mark.parametrize("hosts", [1, 60])
def test_a_page_takes_five_queries(
    hosts: int, now: datetime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    polled(now, airflow(*[job(n, f"host-{n}", now) for n in range(hosts)], *helpers(now)))
    with django_assert_num_queries(5):
        scheduler_page(now)
    with django_assert_num_queries(3):
        scheduler_summary(now)
