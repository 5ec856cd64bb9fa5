"""What the fleet's page shows of its autoscaler, and the pages beside it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.roles import Role
from console.fleets.models import ScalingDecision, ScalingSwitch
from console.fleets.scaling.act import decide_all
from console.operations.models import Operation
from tests.api.asking import user_of
from tests.fleets.story import history, tell

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture(autouse=True)
def _now() -> None:
    """Each test is about its own moment: sources age while a long suite runs."""
    global NOW
    NOW = timezone.now()


def client(role: Role = Role.OPERATOR) -> Client:
    made = Client()
    made.force_login(user_of(role))
    return made


def text(path: str, role: Role = Role.OPERATOR, status: int = 200) -> str:
    answer = client(role).get(path)
    assert answer.status_code == status, answer.content[:300]
    return answer.content.decode().replace("\N{NBSP}", " ")


def decided() -> ScalingDecision:
    tell(NOW)
    ScalingSwitch.objects.create(queue="cpu", on=True, set_at=NOW)
    decide_all(NOW)
    return ScalingDecision.objects.get()


def test_the_sentence_its_inputs_and_its_operation_are_shown() -> None:
    last = decided()
    page = text("/fleets/cpu/")
    assert last.because.replace("\N{NBSP}", " ").split(":")[0] in page
    for words in ("Worked out", "Formula", "Bounds", "Result", "Boot", "Pause…"):
        assert words in page
    if last.operation:
        assert f"OP-{last.operation}" in page


def test_an_old_decision_is_not_shown_as_one_of_now() -> None:
    decided()
    ScalingDecision.objects.update(at=NOW - timedelta(minutes=5))
    page = text("/fleets/cpu/")
    assert "Nothing was decided lately" in page
    assert "Worked out" not in page


def test_off_says_who_left_it_off() -> None:
    tell(NOW)
    assert "Nobody asked for it in platform.yaml" in text("/fleets/cpu/")
    ScalingSwitch.objects.create(queue="cpu", on=True, set_at=NOW)
    assert "nothing was decided yet" in text("/fleets/cpu/")


def test_a_viewer_reads_and_may_not_switch() -> None:
    tell(NOW)
    assert "This takes the role operator." in text("/fleets/cpu/", Role.VIEWER)
    assert client(Role.VIEWER).get("/fleets/cpu/autoscaling/").status_code == 403


def test_the_switch_shows_what_it_does_and_does_it() -> None:
    tell(NOW)
    ScalingSwitch.objects.create(queue="cpu", on=True, set_at=NOW)
    page = text("/fleets/cpu/autoscaling/")
    assert "Nothing is added to or drained from cpu by itself for 60 min" in page or "for 1 h" in page
    typed = {"autoscaling": "off", "for_s": "1800"}
    shown = client().post("/fleets/cpu/autoscaling/", typed)
    plan = shown.context["offer"].plan.id
    done = client().post("/fleets/cpu/autoscaling/", typed | {"plan": plan, "reason": "a migration"})
    assert done.status_code == 302
    operation = Operation.objects.get()
    assert (operation.kind, operation.parameters["for_s"], operation.reason) == ("autoscaling", 1800.0, "a migration")


def test_the_switch_of_an_undeclared_queue_is_not_there() -> None:
    tell(NOW)
    text("/fleets/nobody/autoscaling/", status=404)
    text("/fleets/nobody/decisions/", status=404)
    assert "Autoscaler" not in text("/fleets/nobody/")


def test_all_decisions_by_a_constant_number_of_queries(django_assert_num_queries: Any) -> None:
    def more(number: int) -> None:
        ScalingDecision.objects.bulk_create(
            ScalingDecision(queue="cpu", at=NOW - timedelta(seconds=15 * i), action="hold", because=f"calm {i}.",
                            current=2, desired=2, need=2, news=i % 3 == 0)
            for i in range(number)
        )  # fmt: skip

    more(5)
    page, seen = client(), []
    for number in (5, 200):
        more(number)
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as captured:
            assert page.get("/fleets/cpu/decisions/").status_code == 200
        seen.append(len(captured))
    assert seen[0] == seen[1]
    assert "calm 0." in text("/fleets/cpu/decisions/")
    assert "Every one" in text("/fleets/cpu/decisions/?state=all")


def test_decisions_are_marked_on_the_chart() -> None:
    tell(NOW)
    history(NOW)
    ScalingDecision.objects.create(
        queue="cpu", at=NOW - timedelta(hours=1), action="out", because="x.", current=2, desired=4, need=4, operation=7
    )
    lines = client().get("/fleets/cpu/chart.json").json()["vlines"]
    assert "+2" in [line["label"] for line in lines]


def test_what_it_cost_and_how_long_tasks_waited() -> None:
    from console.fleets.scaling.bills import save_bills
    from console.fleets.scaling.poll import save_waits
    from console.history import series
    from tests.fleets.making import task

    tell(NOW)
    for step in range(60):
        figures = {"workers_in_service": 2, "workers_launching": 1, "workers_draining": 0, "slots": 4, "running": 2}
        series.record([(f"fleet.cpu.{what}", value) for what, value in figures.items()], NOW - timedelta(minutes=step))
    save_bills(NOW)
    started = [
        task("d", "t", queue="cpu", queued_at=NOW - timedelta(seconds=wait + 5), started_at=NOW - timedelta(seconds=5))
        for wait in (1, 1, 1, 200)
    ]
    save_waits(started, NOW)
    save_waits(started[:1], NOW)
    page = text("/fleets/cpu/")
    for words in ("Always the peak", "One big machine", "Time in queued", "1 of 5", "400 %"):
        assert words in page, words
    assert client().get("/fleets/cpu/wait.json?range=1h").json()["lines"][0]["y"] == 60.0
    day, month = client().get("/api/v1/fleets/cpu/cost").json()
    assert (day["period"], month["period"]) == ("day", "month")
    assert day["static_usd"] >= day["usd"] > 0
    assert {**month, "period": "day", "month_usd": day["month_usd"]} == day, "the same hours are the same bill"
    series.record([("fleet.cpu.workers_in_service", 2)], NOW - timedelta(hours=30))
    save_bills(NOW)
    day, month = client().get("/api/v1/fleets/cpu/cost").json()
    assert month["usd"] > day["usd"]
    hour, day = client().get("/api/v1/fleets/cpu/wait").json()
    assert (hour["started"], hour["late"], hour["burn"]) == (5, 1, pytest.approx(4.0))
    assert client().get("/api/v1/fleets/nobody/cost").json() == []


def test_other_settings_are_replayed_before_they_are_declared() -> None:
    from console.history import series

    tell(NOW)
    assert "Not replayed yet" in text("/fleets/cpu/replay/")
    asked = "?span=night&baseline=1&maximum=6&target_wait_s=30&cooldown_s=60&step=4&expected_work=on"
    assert "Too little of this time was recorded" in text(f"/fleets/cpu/replay/{asked}")
    for step in range(240):
        busy = 8 if step % 60 < 20 else 0
        figures = {"outstanding": 0, "running": busy}
        series.record([(f"fleet.cpu.{what}", value) for what, value in figures.items()], NOW - timedelta(minutes=step))
    page = text(f"/fleets/cpu/replay/{asked}", Role.VIEWER)
    for words in ("As declared", "With these settings", "Plain formula", "Always "):
        assert words in page, words
    wrong = asked.replace("baseline=1", "baseline=9")
    assert "9 is above the maximum of 6" in text(f"/fleets/cpu/replay/{wrong}", status=422)
