"""Deploys as pages: a lane per worker, bounded queries, predictions kept and measured; drains and resizes by forms."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.accounts.models import AuditEntry
from console.accounts.roles import Role
from console.deploys import foretell
from console.deploys.lanes import Lane
from console.deploys.memory import dump, load
from console.deploys.models import Forecast
from console.deploys.pages import deploy_page, deploys_page
from console.fleets.draining import Phase
from console.fleets.models import Instance, PastRuns, RunningTask, Worker
from console.operations.models import Operation, Order, Target
from console.platform.models import Source
from tests.api.asking import user_of
from tests.deploys import story

pytestmark = pytest.mark.django_db


def signed_in(role: Role = Role.OPERATOR) -> Client:
    client = Client()
    client.force_login(user_of(role))
    return client


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


@pytest.mark.parametrize("workers", [10, 200])
def test_its_page_costs_the_same_however_many_workers(
    workers: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    now = timezone.now()
    operation = story.half_done(now, workers=workers)
    with django_assert_num_queries(4):
        page = deploy_page(operation, now)
    assert (page.total, len(page.lanes)) == (workers, workers)
    client = signed_in(Role.VIEWER)
    client.get(f"/deploys/{operation.pk}/")  # what a process remembers after its first page
    with django_assert_num_queries(12):
        assert client.get(f"/deploys/{operation.pk}/").status_code == 200


@pytest.mark.parametrize("workers", [10, 200])
def test_predictions_cost_the_same_however_many_workers(
    workers: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    now = timezone.now()
    operation = story.half_done(now, workers=workers)
    with django_assert_num_queries(8):
        foretell.update(operation, now + timedelta(seconds=10))
    assert Forecast.objects.filter(operation=operation).count() > workers * 5 // 12


def lane_of(operation: Operation, instance: str) -> Lane:
    return next(lane for lane in deploy_page(operation, timezone.now()).lanes if lane.instance_id == instance)


def test_each_lane_tells_where_its_worker_is() -> None:
    operation = story.half_done(timezone.now(), overdue=True)
    page = deploy_page(operation, timezone.now())
    busy = ["overdue", "3\N{NO-BREAK SPACE}tasks left"]
    assert [lane.word for lane in page.lanes] == ["replaced"] * 7 + busy + ["waiting"] * 3
    assert (page.done, page.draining, page.waiting, page.overdue) == (7, 2, 3, 1)
    gone, overdue, waiting = page.lanes[0], page.lanes[7], page.lanes[9]
    assert (gone.replaced_by, gone.replacement) == (story.instance(1000), "serves")
    assert gone.drained_s == 120
    assert [bar.css for bar in gone.track.old] == ["old", "quiesced", "draining", "stopped"]
    assert [bar.css for bar in overdue.track.old][-1] == "predicted"
    assert overdue.track.whisker is not None
    assert waiting.starts_at is not None
    assert [bar.css for bar in waiting.track.old] == ["old", "oldnext", "predicted"]


def test_many_replaced_workers_are_folded_away() -> None:
    page = deploy_page(story.half_done(timezone.now(), workers=48), timezone.now())
    assert len(page.fleets[0].folded) == 28
    assert len(page.fleets[0].lanes) == 20


def test_what_runs_is_told_with_its_expected_end_and_never_its_arguments() -> None:
    operation = story.half_done(timezone.now())
    text = text_of(signed_in(Role.VIEWER).get(f"/deploys/{operation.pk}/"))
    for words in ("pricing.elasticity_model", "running 41", "ends ", "likely,", "at worst", "starts about"):
        assert words in text
    assert "This takes the role operator." in text
    assert "Force stop" not in text


def test_an_operator_gives_orders_to_one_worker() -> None:
    operation = story.half_done(timezone.now())
    text = text_of(signed_in().get(f"/deploys/{operation.pk}/"))
    for words in ("More time…", "Put back…", "Force stop…"):
        assert text.count(words) == 2


def test_a_lost_worker_is_told_by_the_names_of_its_tasks() -> None:
    operation = story.half_done(timezone.now())
    deploy = load(operation.memory, 1)
    drains = dict(deploy.rollouts["cpu"].crew.drains)
    name = story.instance(7)
    from dataclasses import replace

    drains[name] = replace(drains[name], phase=Phase.LOST, lost=("etl.load (run 5)",), died="signal 9")
    crew = replace(deploy.rollouts["cpu"].crew, drains=drains)
    operation.memory = dump(replace(deploy, rollouts={"cpu": replace(deploy.rollouts["cpu"], crew=crew)}))
    operation.save()
    assert (lane_of(operation, name).word, lane_of(operation, name).lost) == ("lost", ("etl.load (run 5)",))
    assert "etl.load (run 5)" in text_of(signed_in().get(f"/deploys/{operation.pk}/"))


def test_a_worker_that_the_cloud_took_away_and_one_without_past_runs_are_told() -> None:
    operation = story.half_done(timezone.now())
    operation.memory["rollouts"]["cpu"]["vanished"] = [story.instance(11)]
    operation.save()
    PastRuns.objects.all().delete()
    assert lane_of(operation, story.instance(11)).word == "taken away"
    assert lane_of(operation, story.instance(8)).guessed
    assert "In part a guess" in text_of(signed_in().get(f"/deploys/{operation.pk}/"))


# -- predictions -----------------------------------------------------------------------------------------


def test_the_first_prediction_stays_and_the_newest_follows() -> None:
    now = timezone.now()
    operation = story.half_done(now)
    Forecast.objects.all().delete()
    foretell.update(operation, now)
    first = Forecast.objects.get(operation=operation, subject="")
    RunningTask.objects.all().delete()
    story.seen(now + timedelta(minutes=10))
    foretell.update(operation, now + timedelta(minutes=10))
    later = Forecast.objects.get(operation=operation, subject="")
    assert (later.first_likely_at, later.first_made_at) == (first.likely_at, now)
    assert later.made_at == now + timedelta(minutes=10)
    assert later.likely_at < first.likely_at
    draining = Forecast.objects.get(operation=operation, subject=story.instance(7))
    waiting = Forecast.objects.get(operation=operation, subject=story.instance(9))
    assert draining.first_made_at is not None
    assert draining.starts_at is None
    assert waiting.first_made_at is None
    assert waiting.starts_at is not None


def test_how_far_off_it_was_is_kept_and_shown() -> None:
    now = timezone.now()
    operation = story.half_done(now)
    finished = now + timedelta(minutes=52)
    Operation.objects.filter(pk=operation.pk).update(state="succeeded", finished_at=finished, outcome="12 replaced.")
    operation.refresh_from_db()
    foretell.update(operation, finished)
    page = deploy_page(operation, finished)
    assert page.end is not None
    assert (page.end.off_s, page.end.within) == (12 * 60, True)
    text = text_of(signed_in().get(f"/deploys/{operation.pk}/"))
    assert "12\N{NO-BREAK SPACE}min later than first predicted" in text
    story.ended(now)
    listed = deploys_page(now, {})
    assert (
        "first prediction was off by 9\N{NO-BREAK SPACE}min\N{NO-BREAK SPACE}30\N{NO-BREAK SPACE}s (median)"
        in listed.text
    )
    assert "7\N{NO-BREAK SPACE}min later than first predicted" in text_of(signed_in().get("/deploys/"))


def test_a_workers_own_prediction_is_measured_too() -> None:
    now = timezone.now()
    operation = story.half_done(now)
    name = story.instance(0)
    gone_at = load(operation.memory, 1).rollouts["cpu"].crew.drains[name].at(Phase.GONE)
    assert gone_at is not None
    Forecast.objects.create(
        operation=operation, subject=name, made_at=now, likely_at=now, at_worst_at=now,
        first_likely_at=gone_at - timedelta(seconds=90), first_at_worst_at=gone_at,
    )  # fmt: skip
    foretell.update(operation, now)
    assert lane_of(operation, name).off_s == 90.0


def test_nothing_is_foretold_while_airflows_tasks_can_not_be_seen() -> None:
    now = timezone.now()
    operation = story.half_done(now)
    Forecast.objects.all().delete()
    Source.objects.all().delete()
    foretell.update(operation, now)
    assert not Forecast.objects.exists()
    assert deploy_page(operation, now).ends_likely is None


def test_an_old_prediction_is_not_shown_as_one() -> None:
    now = timezone.now()
    operation = story.half_done(now)
    page = deploy_page(operation, now + timedelta(minutes=5))
    assert page.ends_likely is None
    assert page.end is not None


class Airflow:
    """Airflow's history of tasks."""

    def __init__(self, **took: tuple[float, ...]) -> None:
        self.took = took
        self.asked: list[str] = []

    def durations(self, dag_id: str, task_id: str, *, limit: int) -> tuple[float, ...]:
        self.asked.append(f"{dag_id}.{task_id}")
        return self.took.get(task_id, ())


def test_tasks_of_which_no_run_is_known_are_asked_of_airflow_once() -> None:
    now = timezone.now()
    operation = story.half_done(now)
    PastRuns.objects.all().delete()
    pairs = foretell.unknown_pairs(operation, now)
    assert sorted(pairs) == sorted(story.TASKS)
    airflow = Airflow(elasticity_model=(30.0, 20.0, 10.0, 9.0, 8.0))
    foretell.learn(airflow, pairs, now)  # type: ignore[arg-type]
    assert PastRuns.objects.get(task_id="elasticity_model").durations_s == [8.0, 9.0, 10.0, 20.0, 30.0]
    assert foretell.unknown_pairs(operation, now) == []
    assert len(foretell.unknown_pairs(operation, now + timedelta(hours=7))) == 2


# -- forms and orders ------------------------------------------------------------------------------------


@pytest.fixture
def fleet() -> str:
    """Three workers of cpu in service, of version 418; the group launches 419. The address of a drain of the first."""
    now = timezone.now()
    story.half_done(now)
    Operation.objects.all().delete()
    Instance.objects.exclude(instance_id__in=[story.instance(n) for n in range(9, 12)]).delete()
    Worker.objects.exclude(instance_id__in=[story.instance(n) for n in range(9, 12)]).delete()
    story.GroupSnapshot.objects.update(desired=3, maximum=18, minimum=0)
    return f"/fleets/cpu/drain/?workers={story.instance(9)}&replace=1"


def test_a_drain_is_planned_and_then_submitted_as_planned(fleet: str) -> None:
    client = signed_in()
    page = client.get(fleet)
    assert "finishes its work, stops, and its instance ends (replaced by its group)" in text_of(page)
    assert "pricing.elasticity_model" in text_of(page)
    typed = page.context["form"].data.dict() | {"workers": [story.instance(9)], "plan": page.context["offer"].plan.id}
    done = client.post("/fleets/cpu/drain/", typed | {"reason": "kernel"})
    operation = Operation.objects.get()
    assert (done.status_code, done["Location"]) == (302, f"/operations/{operation.pk}/")
    assert (operation.reason, operation.parameters["replace"]) == ("kernel", True)


def test_a_plan_that_has_changed_comes_back_with_what_changed_and_all_that_was_typed(fleet: str) -> None:
    client = signed_in()
    offer = client.get(fleet).context["offer"]
    Worker.objects.filter(instance_id=story.instance(11)).update(state="lost")
    typed = {
        "workers": story.instance(9), "replace": "1", "deadline_min": "60", "on_deadline": "wait",
        "plan": offer.plan.id, "shown": offer.lines, "reason": "a new kernel",
    }  # fmt: skip
    answer = client.post("/fleets/cpu/drain/", typed)
    assert answer.status_code == 409
    text = text_of(answer)
    for words in ("has changed since it was shown", "no longer: 2\N{NO-BREAK SPACE}other workers", "a new kernel"):
        assert words in text
    assert answer.context["offer"].plan.id != offer.plan.id
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"reason": " "}, "Say why"),
        ({"deadline_min": "0"}, "greater than or equal to 1"),
        ({"workers": "i-nobody"}, "No worker of cpu is called"),
        ({"workers": ""}, "Choose at least one worker."),
        ({"on_deadline": "stop"}, "Type &#39;cpu&#39; to confirm."),
    ],
)
def test_what_is_wrong_is_said_beside_what_was_typed(fleet: str, typed: dict[str, str], words: str) -> None:
    client = signed_in()
    base = {"workers": story.instance(9), "replace": "1", "deadline_min": "45", "on_deadline": "wait"}
    plan = client.post("/fleets/cpu/drain/", base | typed).context.get("offer")
    answer = client.post(
        "/fleets/cpu/drain/", base | {"reason": "kernel"} | typed | {"plan": plan.plan.id if plan else "x"}
    )
    assert answer.status_code == 422
    assert words in text_of(answer)
    assert not Operation.objects.exists()


def test_where_work_may_be_lost_the_queues_name_is_typed(fleet: str) -> None:
    client = signed_in()
    typed = {"workers": story.instance(9), "replace": "1", "deadline_min": "45", "on_deadline": "stop"}
    plan = client.post("/fleets/cpu/drain/", typed).context["offer"].plan.id
    done = client.post("/fleets/cpu/drain/", typed | {"plan": plan, "reason": "it must go", "confirm": "cpu"})
    assert done.status_code == 302


def test_a_second_drain_of_the_same_worker_leads_to_the_first(fleet: str) -> None:
    client = signed_in()
    typed = {"workers": story.instance(9), "replace": "1", "deadline_min": "45", "on_deadline": "wait", "reason": "x y"}
    plan = client.post("/fleets/cpu/drain/", typed).context["offer"].plan.id
    assert client.post("/fleets/cpu/drain/", typed | {"plan": plan}).status_code == 302
    answer = client.post("/fleets/cpu/drain/", typed | {"plan": plan})
    assert answer.status_code == 409
    assert f"Open OP-{Operation.objects.get().pk}" in text_of(answer)


def test_a_resize_begins_with_what_the_group_has(fleet: str) -> None:
    client = signed_in()
    page = client.get("/fleets/cpu/resize/")
    assert page.context["form"]["desired"].value() == "3"
    assert "nothing would change" in text_of(page)
    typed = {"baseline": "0", "desired": "2", "max": "18", "deadline_min": "60", "on_deadline": "wait"}
    page = client.post("/fleets/cpu/resize/", typed)
    assert "1\N{NO-BREAK SPACE}worker drained, idle ones first: 3 → 2" in text_of(page)
    done = client.post("/fleets/cpu/resize/", typed | {"plan": page.context["offer"].plan.id, "reason": "night"})
    assert done.status_code == 302
    assert Operation.objects.get().parameters["desired"] == 2
    assert client.get("/fleets/cpu/resize/?desired=lots").status_code == 422


def test_a_deploy_is_typed_planned_and_begun(fleet: str) -> None:
    client = signed_in()
    page = client.get("/deploys/new/?queues=cpu")
    assert "3\N{NO-BREAK SPACE}workers replaced by version 419 (now on 418)" in text_of(page)
    both_zero = page.context["form"].data.dict() | {"max_surge": "0", "queues": ["cpu"]}
    assert "both 0" in text_of(client.post("/deploys/new/", both_zero))
    typed = page.context["form"].data.dict() | {"queues": ["cpu"], "plan": page.context["offer"].plan.id}
    done = client.post("/deploys/new/", typed | {"reason": "Airflow 3.1.2"})
    operation = Operation.objects.get()
    assert done["Location"] == f"/deploys/{operation.pk}/"
    assert "The fleets are looked at first" in text_of(client.get(f"/deploys/{operation.pk}/"))


@pytest.mark.parametrize("path", ["/deploys/new/", "/fleets/cpu/drain/", "/fleets/cpu/resize/"])
def test_a_viewer_may_not_and_the_attempt_is_audited(fleet: str, path: str) -> None:
    client = signed_in(Role.VIEWER)
    assert client.get(path).status_code == 403
    assert client.post(path, {"plan": "x"}).status_code == 403
    assert AuditEntry.objects.latest("seq").action == "access.denied"


def test_a_force_is_asked_for_by_the_workers_name() -> None:
    operation = story.half_done(timezone.now(), overdue=True)
    client = signed_in()
    name = story.instance(7)
    dialog = text_of(client.get(f"/fleets/orders/{operation.pk}/{name}/force/"))
    assert dialog.count("is lost") == 3
    order = {"word": "force", "instance_id": name, "reason": "it hangs"}
    client.post(f"/operations/{operation.pk}/order/", order)
    assert not Order.objects.exists()
    client.post(f"/operations/{operation.pk}/order/", order | {"confirm": name})
    assert Order.objects.get().args == {"instance_id": name}
    assert client.get(f"/fleets/orders/{operation.pk}/{name}/explode/").status_code == 404
    assert signed_in(Role.VIEWER).get(f"/fleets/orders/{operation.pk}/{name}/force/").status_code == 403


# -- the fleet's page ------------------------------------------------------------------------------------


def test_the_fleets_page_offers_what_can_be_done(fleet: str) -> None:
    text = text_of(signed_in().get("/fleets/cpu/"))
    for words in (
        "Resize…",
        "/deploys/new/?queues=cpu",
        "Replace<span",
        "data-row-check",
        "running tasks that would finish first",
    ):
        assert words in text


def test_the_fleets_page_says_why_not() -> None:
    now = timezone.now()
    operation = story.half_done(now)
    text = text_of(signed_in().get("/fleets/cpu/"))
    assert f'disabled title="OP-{operation.pk} (deploy) works on the whole fleet."' in text
    assert f'<a href="/deploys/{operation.pk}/">OP-{operation.pk}</a>' in text
    assert text.count("Put back…") == 2
    viewers = text_of(signed_in(Role.VIEWER).get("/fleets/cpu/"))
    assert 'disabled title="This takes the role operator."' in viewers
    assert "data-row-check" not in viewers


@pytest.mark.parametrize("workers", [10, 200])
def test_the_fleets_page_costs_the_same_with_operations_on_its_workers(
    workers: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    from console.fleets.fleet_page import fleet_page

    now = timezone.now()
    story.half_done(now, workers=workers)
    assert Target.objects.count() == workers + 1
    with django_assert_num_queries(15):
        page = fleet_page("cpu", now, {})
    assert page.fleet_busy is not None
    assert page.busy
