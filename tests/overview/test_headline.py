"""One sentence that names the worst thing and its remedy."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from console.fleets.verdicts import RULES as FLEET_RULES
from console.lib.status import Status
from console.overview.rules import Blind, Part, blindness, fleet_remedy, headline, rank
from console.platform.rules import Sight, SourceState, sight
from console.platform.sources import SOURCES

WELL = {
    "scheduler": Part("scheduler", Status.HEALTHY, "scheduler-a leads"),
    "fleets": Part("fleets", Status.HEALTHY, "3 queues, 6 workers in service"),
    "freshness": Part("freshness", Status.HEALTHY, "All 2 tables are within their SLO"),
    "pools": Part("pools", Status.HEALTHY, "No pool is full"),
    "datastores": Part("datastores", Status.HEALTHY, "2 datastores available"),
}
DEAD = ("scheduler", Status.FAILING, "No scheduler runs", "Start one on scheduler-b: nothing new starts.")
SLOW = ("scheduler", Status.DEGRADED, "scheduler-a is late", "Look at its host.")
UNSERVED = ("fleets", Status.FAILING, "cpu: 41 tasks wait and no worker is in service", "Start workers.")
LOST = ("fleets", Status.DEGRADED, "io: 1 worker is lost", "Wait for the group to replace it; look at its tasks.")
LATE = ("freshness", Status.FAILING, "orders is 14 min behind", "Look at its DMS task shop-cdc.")
HALF = ("freshness", Status.DEGRADED, "orders is 3 min behind", "Look at its DMS task shop-cdc.")
FULL = ("pools", Status.DEGRADED, "merge is full and starves its tasks", "Give the pool more slots.")
DOWN = ("datastores", Status.FAILING, "metadata-db is rebooting", "Look at its events.")
ALONE = ("datastores", Status.DEGRADED, "queue has no replica", "Add a replica.")
UNTOLD = ("datastores", Status.UNKNOWN, "queue may have no standby", "")
AWS = Blind("AWS", datetime.fromisoformat("2026-11-22T03:01:00+00:00"), "nothing answers", "Start it.")

Row = tuple[str, Status, str, str]


def parts(*bad: Row) -> list[Part]:
    found = [part for name, part in WELL.items() if name not in {row[0] for row in bad}]
    return found + [
        Part(section, status, title, "", remedy, f"/{section}/", section, rank(section, status))
        for section, status, title, remedy in bad
    ]


@pytest.mark.parametrize(
    ("blind", "bad", "status", "sentence"),
    [
        ([], [], Status.HEALTHY, "All is well: scheduler-a leads."),
        ([], [DEAD], Status.FAILING, "No scheduler runs; start one on scheduler-b: nothing new starts."),
        ([], [ALONE, FULL, LATE, LOST, UNSERVED, SLOW, DOWN, DEAD], Status.FAILING,
         "No scheduler runs; start one on scheduler-b: nothing new starts."),
        ([], [ALONE, FULL, LATE, LOST, UNSERVED, SLOW, DOWN], Status.FAILING,
         "cpu: 41 tasks wait and no worker is in service; start workers."),
        ([], [ALONE, FULL, LATE, LOST, SLOW, DOWN], Status.FAILING, "metadata-db is rebooting; look at its events."),
        ([], [ALONE, FULL, LATE, LOST, SLOW], Status.FAILING,
         "orders is 14 min behind; look at its DMS task shop-cdc."),
        ([], [ALONE, FULL, HALF, LOST, SLOW], Status.DEGRADED, "scheduler-a is late; look at its host."),
        ([], [ALONE, FULL, HALF, LOST], Status.DEGRADED,
         "io: 1 worker is lost; wait for the group to replace it; look at its tasks."),
        ([], [ALONE, FULL, HALF], Status.DEGRADED, "merge is full and starves its tasks; give the pool more slots."),
        ([], [ALONE, HALF], Status.DEGRADED, "orders is 3 min behind; look at its DMS task shop-cdc."),
        ([], [ALONE], Status.DEGRADED, "queue has no replica; add a replica."),
        ([], [UNTOLD], Status.UNKNOWN, "queue may have no standby."),
        ([AWS], [], Status.UNKNOWN,
         "The console is blind to AWS since 03:01 because nothing answers; start it."),
        ([AWS], [DEAD, ALONE], Status.FAILING,
         "The console is blind to AWS since 03:01 because nothing answers; start it."),
        ([replace(AWS, since=None)], [], Status.UNKNOWN,
         "The console is blind to AWS because nothing answers; start it."),
        ([replace(AWS, since=AWS.since - timedelta(days=2))], [], Status.UNKNOWN,  # type: ignore[operator]
         "The console is blind to AWS since Fri 20 Nov 03:01 because nothing answers; start it."),
    ],
)  # fmt: skip
def test_the_sentence(now: datetime, blind: list[Blind], bad: list[Row], status: Status, sentence: str) -> None:
    found = headline(blind, parts(*bad), now)
    assert found.sentence == sentence
    assert found.status == status


def test_when_all_is_well_it_says_of_what_that_is_known(now: datetime) -> None:
    found = headline([], parts(), now)
    assert found.text == (
        "3 queues, 6 workers in service; all 2 tables are within their SLO; no pool is full; 2 datastores available."
    )


def test_the_rest_is_listed_the_worst_first(now: datetime) -> None:
    found = headline([], parts(ALONE, DEAD, LOST), now)
    assert [part.title for part in found.also] == ["io: 1 worker is lost", "queue has no replica"]
    assert found.url == "/scheduler/"


def test_what_follows_from_blindness_is_not_repeated_but_what_is_seen_to_be_wrong_is(now: datetime) -> None:
    other = Blind("the warehouse", None, "it has never been read")
    found = headline([AWS, other], parts(UNTOLD, DEAD), now)
    assert [part.title for part in found.also] == ["Blind to the warehouse", "No scheduler runs"]
    assert found.tone == Status.UNKNOWN


def test_where_nothing_is_declared_it_says_what_to_do(now: datetime) -> None:
    found = headline([], [], now)
    assert "platform.yaml" in found.text


# --- blindness -------------------------------------------------------------------------------------------------------


def sights(now: datetime, *hidden: str, error: str = "nothing answers") -> dict[str, Sight]:
    found = {}
    for name, spec in SOURCES.items():
        age_s = spec.limit_s + 60 if name in hidden else 1
        failing = now - timedelta(seconds=60) if name in hidden and error else None
        state = SourceState(now - timedelta(seconds=age_s), now, failing, error if name in hidden else "", "Start it.")
        found[name] = sight(spec, state, now)
    return found


def blind(now: datetime, *hidden: str) -> list[tuple[str, str]]:
    return [(one.what, one.because) for one in blindness(sights(now, *hidden), SOURCES.values())]


def test_while_all_is_seen_there_is_no_blindness(now: datetime) -> None:
    assert blind(now) == []


def test_a_system_that_is_away_is_one_line(now: datetime) -> None:
    aws = [name for name, spec in SOURCES.items() if spec.system == "aws"]
    assert blind(now, *aws) == [("AWS", "nothing answers")]


def test_a_part_of_a_system_is_named_by_itself(now: datetime) -> None:
    assert blind(now, "aws.datastores") == [("RDS and ElastiCache", "nothing answers")]
    assert blind(now, "airflow.pools", "airflow.tasks") == [
        ("Airflow's task instances and Airflow's pools", "nothing answers")
    ]


def test_blindness_since_is_when_the_first_figure_turned_unknown(now: datetime) -> None:
    [found] = blindness(sights(now, "airflow.pools", "airflow.tasks"), SOURCES.values())
    assert found.since == now - timedelta(seconds=60)


def test_several_systems_are_several_lines_airflow_first(now: datetime) -> None:
    assert [what for what, _ in blind(now, "warehouse", *[n for n in SOURCES if n.startswith("airflow")])] == [
        "Airflow",
        "the warehouse",
    ]


def test_nothing_seen_at_all_is_one_line_with_the_likely_cause(now: datetime) -> None:
    found = blindness({n: sight(s, SourceState(), now) for n, s in SOURCES.items()}, SOURCES.values())
    assert [(one.what, one.since) for one in found] == [("the whole platform", None)]
    assert "worker" in found[0].remedy


@pytest.mark.parametrize("rule", FLEET_RULES[:-2], ids=lambda rule: rule.__name__)
def test_every_verdict_on_a_fleet_has_a_remedy(rule: object) -> None:
    """The words of the fleets' rules, read from their source: a new one must get a remedy here."""
    import inspect
    import re

    source = inspect.getsource(rule)  # type: ignore[arg-type]
    words = re.findall(r'Verdict\(\s*Status\.\w+,\s*f?"([^"]+)"', source)
    assert words
    assert [word for word in words if not fleet_remedy(word)] == []


def test_a_remedy_that_is_a_question_ends_as_one(now: datetime) -> None:
    gone = Blind("the warehouse", now, "nothing answers at 10.0.0.9", "Is it running?")
    sentence = headline([gone], [], now).sentence
    assert sentence.endswith("is it running?")
