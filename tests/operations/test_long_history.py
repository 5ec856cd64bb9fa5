"""Many operations that are over: the list says the truth of them, and costs what it cost without them."""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from console.accounts.roles import Role
from console.operations.models import Operation, OperationTally
from console.operations.pages import list_page
from tests.api.asking import user_of
from tests.explained import blocks

pytestmark = pytest.mark.django_db
OVER = """
INSERT INTO operations_operation (
    kind, target, parameters, reason, requested_by_name, plan_id, created_at, started_at, finished_at, state, held,
    aborting, memory, memory_version, progress, outcome, fence, failures)
SELECT 'resize', 'fleet:q' || n, '{}', 'a campaign', 'autoscaling', '', at, at, at, %s, false, false, '{}', 1, '{}', '',
       1, 0
FROM (SELECT n, now() - n * interval '2 hours' AS at FROM generate_series(1, %s) n) long_ago
"""


def over(number: int, state: str = "succeeded") -> None:
    with connection.cursor() as cursor:
        cursor.execute(OVER, [state, number])
        cursor.execute("ANALYZE operations_operation")


def under_way(number: int, **fields: object) -> None:
    user = user_of(Role.OPERATOR)
    for each in range(number):
        told = {"kind": "drain", "target": f"worker:{each}", "reason": "old kernel", "requested_by": user} | fields
        Operation.objects.create(requested_by_name=user.username, state="running", **told)


def test_the_tally_is_what_counting_says() -> None:
    over(5)
    over(2, "failed")
    under_way(3)
    Operation.objects.filter(target="worker:0").update(state="aborted", finished_at=timezone.now())
    Operation.objects.update(requested_by=None)
    tallied = OperationTally.objects.filter(number__gt=0).values_list("state", "kind", "by_console", "number")
    counted = Counter(Operation.objects.values_list("state", "kind"))
    assert {row[:2]: row[3] for row in tallied} == dict(counted)
    assert all(by_console for _, _, by_console, _ in tallied)


@pytest.mark.parametrize("words", ["", "e"])
def test_the_counts_and_the_total_are_of_what_is_shown(words: str) -> None:
    over(60)
    over(3, "failed")
    under_way(2)
    now = timezone.now()

    def page(**asked: str) -> tuple[int, int, int]:
        found = list_page(now, {"q": words} | asked)
        return len(found.rows), found.total, found.counts["all"]

    assert page() == (50, 65, 65)
    assert page(state="failed") == (3, 3, 65), "the total is of the state that is shown"
    assert page(state="active") == (2, 2, 65)
    assert page(who="console") == (50, 63, 63)
    assert page(who="people") == page(kind="drain") == (2, 2, 2)
    assert page(kind="drain", state="failed") == (0, 0, 2)
    older = list_page(now, {"q": words, "before": str(list_page(now, {"q": words}).earlier)})
    assert len(older.rows) == 15
    assert older.earlier is None


def test_the_headline_is_of_all_whatever_the_filters() -> None:
    over(2)
    under_way(2, question={"text": "Go on?", "choices": []})
    for asked in ({"q": "campaign"}, {"kind": "resize"}, {"state": "failed"}, {}):
        headline = list_page(timezone.now(), asked).headline
        assert headline == "2\N{NO-BREAK SPACE}operations are under way, 2 wait for a person", asked


@pytest.mark.parametrize("path", ["/operations/", "/operations/?state=active", "/operations/?kind=deploy", "/deploys/"])
def test_a_page_reads_no_more_for_what_is_over(client: Client, path: str) -> None:
    client.force_login(user_of(Role.VIEWER))
    under_way(3, kind="deploy")
    over(300)
    few = blocks(client, path, "operations_operation")
    over(6000)
    assert 0 < blocks(client, path, "operations_operation") <= few + 10
