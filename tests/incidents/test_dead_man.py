"""The dead man's switch: the outside hears from the console only while it is well."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from console.incidents import pinging
from console.incidents.dead_man import Life, fault
from console.incidents.models import DeadMan, Page
from console.platform.declared import DeadManDeclared, declaration
from console.platform.models import remember_failure, remember_success
from tests.incidents.made import opened
from tests.incidents.receivers import Receiver

WELL = Life({"airflow.tasks": 2.0, "warehouse": 12.0}, 1.0, None)


class TestTheRule:
    def test_is_content_while_everything_was_tried_lately(self) -> None:
        assert fault(WELL) == ""
        assert fault(replace(WELL, waiting_page_s=20.0)) == ""

    @pytest.mark.parametrize(
        ("life", "says"),
        [
            (Life({}, 1.0, None), "Nothing is polled"),
            (Life({"warehouse": 9000.0}, 1.0, None), "Nothing is polled"),
            (replace(WELL, polled_s={"airflow.tasks": 1.0, "warehouse": 61.0}), "warehouse was not polled"),
            (replace(WELL, watched_s=None), "never ran"),
            (replace(WELL, watched_s=31.0), "watcher has written nothing"),
            (replace(WELL, waiting_page_s=301.0), "taken by nobody"),
        ],
    )
    def test_names_what_is_not_well(self, life: Life, says: str) -> None:
        assert says in fault(life)

    def test_forgets_what_is_not_declared_any_more(self) -> None:
        assert fault(replace(WELL, polled_s={"airflow.tasks": 1.0, "warehouse": 4000.0})) == ""


@pytest.mark.django_db
class TestThePing:
    @pytest.fixture(autouse=True)
    def _declared(self, monkeypatch: pytest.MonkeyPatch, other: Receiver) -> None:
        self.declares(monkeypatch, DeadManDeclared(f"{other.url}/s3cretping", 60.0, True))

    def declares(self, monkeypatch: pytest.MonkeyPatch, declared: DeadManDeclared | None) -> None:
        monkeypatch.setattr(pinging, "declaration", lambda: replace(declaration(), dead_man=declared))

    @pytest.fixture
    def moment(self) -> datetime:
        """A moment at which everything was seen."""
        now = timezone.now()
        for name in ("airflow.tasks", "warehouse", "broker.heartbeats"):
            remember_success(name, now, 0.1)
        return now

    def test_is_sent_while_well_and_not_more_often_than_declared(self, moment: datetime, other: Receiver) -> None:
        assert pinging.ping(moment) == ""
        assert pinging.ping(moment) is None
        assert [path for path, *_ in other.requests] == ["/s3cretping"]
        assert DeadMan.objects.get().pinged_at == moment
        DeadMan.objects.update(due_at=Now())
        assert pinging.ping(moment) == ""

    def test_a_platform_that_is_down_is_no_reason_to_be_silent(self, moment: datetime, other: Receiver) -> None:
        remember_failure("warehouse", moment, 0.1, error="away", code="refused", remedy="")
        assert pinging.ping(moment) == ""

    @pytest.mark.parametrize("silent", ["airflow.tasks", "broker.heartbeats"])
    def test_is_not_sent_when_polling_or_the_watcher_ends(self, moment: datetime, other: Receiver, silent: str) -> None:
        later = moment + timedelta(seconds=90)
        for name in {"airflow.tasks", "warehouse", "broker.heartbeats"} - {silent}:
            remember_success(name, later, 0.1)
        assert pinging.ping(later)
        assert other.requests == []
        assert DeadMan.objects.get().pinged_at is None

    def test_is_not_sent_while_a_page_reaches_nobody(self, moment: datetime, other: Receiver) -> None:
        opened()
        Page.objects.update(created_at=moment - timedelta(minutes=6))
        assert "taken by nobody" in (pinging.ping(moment) or "")
        assert other.requests == []

    def test_an_outside_that_is_away_is_noted_without_its_url(self, moment: datetime, other: Receiver) -> None:
        other.mishaps = ["500"]
        why = pinging.ping(moment) or ""
        assert "answered 500" in why
        assert "s3cretping" not in DeadMan.objects.get().fault

    def test_costs_a_few_queries(self, moment: datetime, django_assert_num_queries) -> None:
        with django_assert_num_queries(5):
            pinging.ping(moment)

    def test_without_one_nothing_is_done(
        self, monkeypatch: pytest.MonkeyPatch, moment: datetime, django_assert_num_queries
    ) -> None:
        self.declares(monkeypatch, None)
        with django_assert_num_queries(0):
            assert pinging.ping(moment) is None
