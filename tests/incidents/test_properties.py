"""Whatever is found, hidden and done, in whatever order: the promises about incidents and pages hold."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.incidents import actions
from console.incidents.actions import NotNow
from console.incidents.findings import Finding, Report, Severity
from console.incidents.models import Incident, IncidentEvent, Page
from console.incidents.store import settle
from tests.incidents.made import MIRA, T0, after, finding, report

KEYS = ("fleets.a:x", "fleets.b:y", "freshness.c:z", "console.blind:aws")
PATIENCE_S = {"fleets.a:x": 60.0, "fleets.b:y": 30.0, "freshness.c:z": 15.0}
CAUSES = {"fleets.b:y": ("fleets.a:x",), "freshness.c:z": ("fleets.b:y",)}


def made(key: str, severity: Severity) -> Finding:
    section = key.partition(".")[0]
    return finding(
        key,
        severity=severity,
        target=f"{section}/{key}",
        causes=CAUSES.get(key, ()),
        own=section == "console",
        after_s=PATIENCE_S.get(key, 0.0),
    )


looks = st.tuples(
    st.just("look"),
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(Severity), max_size=4),
    st.frozensets(st.sampled_from(["fleets.", "freshness.", "console."]), max_size=2),
)
deeds = st.tuples(st.sampled_from(["acknowledge", "snooze", "resolve", "announce"]), st.sampled_from(KEYS))
steps = st.lists(
    st.tuples(st.sampled_from([1, 5, 20, 120, 700, 2000]), st.one_of(looks, looks, deeds)), min_size=1, max_size=25
)


class Undone(Exception):
    pass


@pytest.mark.django_db
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps)
def test_the_promises(found: list[tuple[int, tuple[object, ...]]]) -> None:
    with pytest.raises(Undone), transaction.atomic():
        _story(found)


def _story(found: list[tuple[int, tuple[object, ...]]]) -> None:
    """What happened, from beginning to end; undone afterwards."""
    now = T0
    for seconds, step in found:
        now += timedelta(seconds=seconds)
        if step[0] == "look":
            _look(step[1], step[2], now)  # type: ignore[arg-type]
        else:
            _deed(str(step[0]), str(step[1]), now)
        _hold()
    raise Undone


def _look(severities: dict[str, Severity], unseen: frozenset[str], now: datetime) -> None:
    before = {row.pk: row.state for row in Incident.objects.all()}
    seen = {key: one for key, one in severities.items() if not any(key.startswith(prefix) for prefix in unseen)}
    told = report(*(made(key, one) for key, one in seen.items()), unseen=unseen)
    settle(told, now)
    _over_only_by_evidence(before, told)
    _again_changes_nothing(told, now)


def _deed(word: str, key: str, now: datetime) -> None:
    if word == "announce":
        actions.announce(
            ["fleets"], starts_at=now, ends_at=now + timedelta(minutes=10), reason="work", by=MIRA, now=now
        )
        return
    incident = Incident.objects.filter(key=key).order_by("-generation").first()
    if incident is None:
        return
    try:
        if word == "acknowledge":
            actions.acknowledge(incident.pk, by=MIRA, now=now)
        elif word == "snooze":
            actions.snooze(incident.pk, until=now + timedelta(minutes=5), by=MIRA, now=now, reason="later")
        else:
            actions.resolve(incident.pk, by=MIRA, now=now, reason="done")
    except NotNow:
        assert incident.state == "resolved"


def _over_only_by_evidence(before: dict[int, str], told: Report) -> None:
    for incident in Incident.objects.filter(state="resolved"):
        if before.get(incident.pk, "resolved") != "resolved":
            assert incident.part_of or not told.hides(incident.key), f"{incident} ended without being seen"
            found = incident.key in {one.key for one in told.findings}
            assert incident.part_of or not found, f"{incident} ended while it is there, and is part of nothing"


def _again_changes_nothing(told: Report, now: datetime) -> None:
    def rows() -> list[object]:
        return [list(model.objects.order_by("pk").values()) for model in (Incident, IncidentEvent, Page)]

    before = rows()
    settle(told, now)
    assert rows() == before


def _hold() -> None:
    open_keys = Counter(Incident.objects.exclude(state="resolved").values_list("key", flat=True))
    assert all(number == 1 for number in open_keys.values()), open_keys
    for incident in Incident.objects.prefetch_related("pages"):
        told = [page.action for page in incident.pages.all()]
        assert [page.sequence for page in incident.pages.all()] == list(range(1, len(told) + 1))
        if told:
            assert told[0] == "trigger"
        assert "resolve" not in told[:-1], "nothing is told after it is over"
        assert incident.state != "resolved" or not told or told[-1] == "resolve"
        assert incident.triggers == told.count("trigger")
        if incident.own:
            assert told, "blindness is never silenced"


@pytest.mark.django_db
@pytest.mark.parametrize("period_s", [30, 7, 60])
def test_a_signal_that_flaps_tells_at_most_twice_in_ten_minutes(period_s: int) -> None:
    """20 changes in 10 minutes, and other paces; looked at every 5 s."""
    for at in range(0, 1200, 5):
        here = (at // period_s) % 2 == 0
        settle(report(*([finding()] if here else [])), after(at))
    triggers = list(Page.objects.filter(action="trigger", why="opened").values_list("created_at", flat=True))
    assert triggers
    for first in triggers:
        within = [at for at in triggers if first <= at < first + timedelta(minutes=10)]
        assert len(within) <= 2
    assert Page.objects.filter(action="trigger", created_at__lt=after(600)).count() <= 2
