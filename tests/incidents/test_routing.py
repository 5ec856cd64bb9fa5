"""Who is told, in which order; what follows from a failure."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.incidents import store
from console.incidents.findings import Severity
from console.incidents.models import Page
from console.incidents.routing import GIVE_UP_S, LONGEST_S, after_failure, chains, repage_s
from console.platform.declared import RouteDeclared, declaration
from tests.incidents.made import after, finding, opened, report

NIGHT = RouteDeclared(("critical",), ("*",), ("duty", "phones", "mail"), 900.0)
DATA = RouteDeclared(("critical", "error", "warning"), ("freshness", "pools/etl"), ("team",), 600.0)
ROUTES = (NIGHT, DATA)


@pytest.mark.parametrize(
    ("severity", "target", "level", "expected"),
    [
        ("critical", "scheduler/airflow", 0, (("duty", "phones", "mail"),)),
        ("critical", "scheduler/airflow", 1, (("phones", "mail", "duty"),)),
        ("critical", "scheduler/airflow", 9, (("mail", "duty", "phones"),)),
        ("critical", "freshness/shop.public.orders", 0, (("duty", "phones", "mail"), ("team",))),
        ("warning", "freshness/shop.public.orders", 0, (("team",),)),
        ("warning", "freshness", 0, (("team",),)),
        ("warning", "freshnessless", 0, ()),
        ("warning", "pools/etl", 0, (("team",),)),
        ("warning", "pools/etl2", 0, ()),
        ("info", "freshness", 0, ()),
    ],
)
def test_routes_by_severity_and_target(severity: str, target: str, level: int, expected: tuple[object, ...]) -> None:
    assert chains(ROUTES, severity, target, level) == expected


def test_two_routes_that_begin_alike_tell_once() -> None:
    both = (
        RouteDeclared(("error",), ("*",), ("a", "b"), None),
        RouteDeclared(("error",), ("*",), ("a", "c", "b"), None),
    )
    assert chains(both, "error", "fleets/cpu", 0) == (("a", "b", "c"),)


def test_the_shortest_interval_holds() -> None:
    assert repage_s(ROUTES, "critical", "freshness/x") == 600
    assert repage_s(ROUTES, "critical", "fleets/cpu") == 900
    assert repage_s(ROUTES, "warning", "fleets/cpu") is None


@pytest.mark.django_db
def test_a_routes_interval_decides_when_it_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = replace(declaration(), routes=(RouteDeclared(("error", "warning"), ("fleets",), ("a",), 300.0),))
    monkeypatch.setattr(store, "declaration", lambda: declared)
    incident = opened(severity=Severity.WARNING)  # a warning is told once by default
    for seconds in (100, 299, 301, 500, 602):
        store.settle(report(finding(severity=Severity.WARNING)), after(seconds))
    rows = Page.objects.filter(incident=incident).values_list("why", "level")
    assert list(rows) == [("opened", 0), ("repeated", 1), ("repeated", 2)]


class TestAfterAFailure:
    def test_a_permanent_one_is_the_last(self) -> None:
        assert after_failure(1, 0, permanent=True, retry_after_s=5, luck=0.5).given_up

    def test_a_day_is_enough(self) -> None:
        assert after_failure(99, GIVE_UP_S, permanent=False, retry_after_s=None, luck=0.5).given_up

    def test_pauses_double(self) -> None:
        waits = [after_failure(n, 0, permanent=False, retry_after_s=None, luck=0.5).wait_s for n in range(1, 8)]
        assert waits == [2, 4, 8, 16, 32, 60, 60]

    @given(st.integers(1, 10_000), st.floats(0, 1), st.none() | st.floats(0, 3600))
    def test_retry_after_is_obeyed_and_pauses_are_bounded(self, n: int, luck: float, asked: float | None) -> None:
        then = after_failure(n, 60, permanent=False, retry_after_s=asked, luck=luck)
        assert not then.given_up
        assert then.wait_s >= (asked or 1.5)
        assert then.wait_s <= max(LONGEST_S * 1.25, (asked or 0) + 1)
