"""The table's page: what Airflow was told of its cutoffs, when, and why not."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from console.freshness.records import AssetNews, CutoffRow
from console.freshness.told import Told, one, told
from console.lib.status import Status
from tests.freshness.made import CUSTOMERS, ORDERS
from tests.freshness.story import Story

ASSET = "warehouse://shop/day"
AT = datetime.fromisoformat("2026-11-22T00:00:00+00:00")
NOBODY = "Not told: nobody has tried. Look whether the console's workers run."
DUE = AT + timedelta(minutes=2)


def row(at: datetime = AT, met: bool = True, table: str = ORDERS.name, asset: str = ASSET) -> CutoffRow:
    return CutoffRow(
        table=table, at=at, deadline=at + timedelta(minutes=2), asset=asset, met_at=at if met else None, origin="api"
    )


def news(**more: object) -> AssetNews:
    return AssetNews(**{"asset": ASSET, "cutoff": AT, "tables": "[]", "created_at": AT, "next_at": AT, **more})


@pytest.mark.parametrize(
    ("cutoff", "sent", "waits", "passed_s", "status", "text"),
    [
        (row(met=False), None, [], 60, None, "Not told yet: this table has not met the cutoff."),
        (row(met=False), None, [], 600, Status.DEGRADED, "Not told yet: this table has not met the cutoff."),
        (row(), None, ["a", "b"], 60, None, "Not told yet: it is not met by a, b."),
        (row(), None, list("abcde"), 600, Status.DEGRADED, "Not told yet: it is not met by a, b, c and 2 more."),
        (row(), None, [], 60, None, "Not told: the asset was declared after the cutoff was met."),
        (row(), news(), [], 60, None, "It is being told."),
        (row(), news(), [], 1000, Status.FAILING, NOBODY),
        (
            row(), news(error="nothing answers", remedy="Is it running?", attempts=3), [], 60, Status.FAILING,
            "Not told: nothing answers. Is it running?. Tried 3\xa0times, again at 00:00:00 UTC.",
        ),
        (row(), news(sent_at=DUE, event_id=7, attempts=1), [], 600, Status.HEALTHY, "Told: event 7."),
        (row(), news(sent_at=DUE, event_id=7, attempts=2), [], 600, Status.HEALTHY, "Told: event 7, at try 2."),
    ],
)  # fmt: skip
def test_what_became_of_it(
    cutoff: CutoffRow, sent: AssetNews | None, waits: list[str], passed_s: float, status: Status | None, text: str
) -> None:
    at = sent.sent_at if sent else None
    assert one(cutoff, sent, waits, AT + timedelta(seconds=passed_s)) == Told(AT, ASSET, status, at, text)


@pytest.mark.django_db
def test_the_newest_that_have_come_are_shown_in_two_queries_and_none_without_an_asset() -> None:
    now = AT + timedelta(hours=1)
    mine = [row(AT + timedelta(minutes=10 * number)) for number in range(9)]
    CutoffRow.objects.bulk_create([*mine, row(mine[6].at, met=False, table=CUSTOMERS.name)])
    sent = news(cutoff=mine[5].at, sent_at=now, event_id=3, attempts=1)
    sent.save()
    with CaptureQueriesContext(connection) as queries:
        found = told(ORDERS.name, mine, now)
    assert len(queries) == 2
    assert [each.cutoff for each in found] == [each.at for each in mine[6:1:-1]]
    assert found[0].text == f"Not told yet: it is not met by {CUSTOMERS.name}."
    assert (found[1].at, found[1].text) == (now, "Told: event 3.")
    with CaptureQueriesContext(connection) as queries:
        assert told(ORDERS.name, [row(asset="")], now) == ()
    assert len(queries) == 0


@pytest.mark.django_db
def test_the_page_shows_it_and_what_airflow_said_is_no_markup(client: Client, django_user_model: type) -> None:
    story = Story(datetime.now(AT.tzinfo) - timedelta(minutes=5)).go(5)
    at = story.now - timedelta(minutes=1)
    CutoffRow.objects.bulk_create([row(at)])
    news(cutoff=at, error="<script>no</script>", remedy="A DAG must name it.", attempts=1, next_at=story.now).save()
    client.force_login(django_user_model.objects.create_user("reader"))  # type: ignore[attr-defined]
    page = client.get(f"/freshness/{ORDERS.name}/").content.decode()
    assert "Told to Airflow" in page
    assert "Not told: &lt;script&gt;no&lt;/script&gt;. A DAG must name it. Tried 1" in page
    assert "Told to Airflow" not in client.get(f"/freshness/{CUSTOMERS.name}/").content.decode()
