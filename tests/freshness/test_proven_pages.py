"""The pages with heartbeats: watermarks, the last cutoffs, "complete as of…?", events; and their cost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.accounts.models import User
from console.freshness.cells import Fate, cell
from console.freshness.pages import freshness_page
from console.freshness.records import CutoffRow, Proof
from tests.freshness import made
from tests.freshness.made import ORDERS
from tests.freshness.story import Story

pytestmark = pytest.mark.django_db


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    story = Story(timezone.now())
    monkeypatch.setattr(timezone, "now", lambda: story.now)
    return story.go(5)


@pytest.fixture
def viewer(client: Client, story: Story) -> Client:
    client.force_login(User.objects.create_user(username="vera", password="correct-horse-battery"))
    return client


def shown(client: Client, address: str = "/freshness/") -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def due(story: Story, minutes_ago: float, within_s: float = 120, **more: object) -> CutoffRow:
    at = story.now - timedelta(minutes=minutes_ago)
    return CutoffRow.objects.create(
        table=ORDERS.name, at=at, deadline=at + timedelta(seconds=within_s), origin=CutoffRow.Origin.API, **more
    )


def test_the_list_has_each_tables_watermark_and_its_last_cutoffs_in_words(viewer: Client, story: Story) -> None:
    now = story.now
    due(story, 50, met_at=now - timedelta(minutes=49))
    due(story, 40, met_at=now - timedelta(minutes=31), pending_at=now - timedelta(minutes=32))
    due(story, 30, pending_at=now)
    due(story, 20, met_at=now)
    due(story, -4)
    html = shown(viewer)
    row = html[html.index(f'id="table-{ORDERS.name}"') :].split("</tr>")[0]
    for words in ("on time", "late by minutes: </span>+7", "missing", "unknown", "due, on track"):
        assert words in row
    assert "Complete to: every row stamped at the source" in html


@pytest.mark.parametrize(
    ("met_s", "pending_s", "now_s", "fate"),
    [
        (60, 50, 500, Fate.ON_TIME),
        (200, 190, 500, Fate.LATE),
        (400, 90, 500, Fate.UNKNOWN),  # nobody looked between the deadline and then
        (400, None, 500, Fate.UNKNOWN),
        (None, None, 100, Fate.DUE),
        (None, 190, 500, Fate.MISSING),
        (None, 90, 500, Fate.UNKNOWN),
    ],
)
def test_a_cutoff_is_late_only_when_somebody_saw_it_late(
    met_s: int | None, pending_s: int | None, now_s: int, fate: Fate
) -> None:
    at = timezone.now()

    def moment(seconds: int | None) -> object:
        return None if seconds is None else at + timedelta(seconds=seconds)

    found = cell(at, at + timedelta(seconds=120), moment(met_s), moment(pending_s), moment(now_s))  # type: ignore[arg-type]
    assert found.fate == fate


def test_the_question_is_answered_in_a_sentence_and_changes_nothing(viewer: Client, story: Story) -> None:
    early = f"{story.now - timedelta(minutes=2):%Y-%m-%d %H:%M}"
    late = f"{story.now + timedelta(minutes=20):%Y-%m-%d %H:%M}"
    assert f"Yes: {ORDERS.name} is proven complete to" in shown(viewer, f"/freshness/?table={ORDERS.name}&asof={early}")
    assert f"Yes: {ORDERS.name}" in shown(viewer, f"/freshness/?table=orders&asof={early}")
    assert "Not yet: it is complete to" in shown(viewer, f"/freshness/?table=orders&asof={late}")
    assert "Did you mean shop.public.orders?" in shown(viewer, "/freshness/?table=shop.public.oders")
    assert "Write a time such as" in shown(viewer, "/freshness/?table=orders&asof=noon")
    story.status = "failed"
    story.go(1)
    assert "not before somebody acts" in shown(viewer, f"/freshness/?table=orders&asof={late}")
    assert not Proof.objects.exists()


def test_a_tables_page_has_its_proof_heartbeats_and_events(viewer: Client, story: Story) -> None:
    html = shown(viewer, f"/freshness/{ORDERS.name}/")
    assert "Commits arrived to" in html
    assert "not followed → UNKNOWN" in html.replace("&gt;", ">")
    story.held_since = story.now
    story.go(7)
    html = shown(viewer, f"/freshness/{ORDERS.name}/")
    assert "A transaction of batch (pid 4711), open since" in html
    assert "batch, pid 4711, since" in html


def test_the_newest_cutoff_is_counted_over_all_tables(viewer: Client, story: Story) -> None:
    due(story, 1, met_at=story.now)
    assert "1<small> / 1</small>" in shown(viewer)


@pytest.mark.parametrize("number", [5, 60])
def test_the_page_takes_the_same_queries_however_many_tables(
    number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    story = Story(timezone.now(), [made.table(f"t{index}") for index in range(number)])
    story.go(3)
    with django_assert_num_queries(8):
        page = freshness_page(story.now, {})
    assert page.found.fresh == number
