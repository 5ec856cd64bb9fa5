"""What incidents recommend: the operation that repairs it, or whom to ask."""

from __future__ import annotations

import pytest
from django.utils import timezone

from console.freshness.findings import findings
from console.incidents.findings import Recommended
from console.platform.readings import SuspendedReading
from tests.freshness.made import CUSTOMERS, ORDERS, TASK
from tests.freshness.story import Story

pytestmark = pytest.mark.django_db


@pytest.fixture
def story() -> Story:
    return Story(timezone.now()).go(5)


def recommended(story: Story) -> Recommended:
    (found,) = [found for found in findings(story.now).findings if found.key == "freshness.task:shop-cdc"]
    assert found.recommended is not None
    return found.recommended


def test_a_task_that_failed_is_to_be_resumed(story: Story) -> None:
    story.status = "failed"
    story.go(1)
    assert (recommended(story).operation, recommended(story).url) == ("dms-resume", "/freshness/tasks/shop-cdc/resume/")
    assert set(findings(story.now).findings[0].impact) == {ORDERS.name, CUSTOMERS.name}


def test_a_suspended_table_is_to_be_reloaded(story: Story) -> None:
    story.suspended = (SuspendedReading(TASK.name, "public", "orders", story.now),)
    story.go(1)
    assert recommended(story).operation == "table-reload"
    assert recommended(story).url == f"/freshness/{ORDERS.name}/reload/"


def test_who_holds_the_rows_back_is_named(story: Story) -> None:
    story.held_since = story.now
    story.go(7)
    assert "Ask the owner of shop to end batch's transaction (pid 4711)" in recommended(story).text
