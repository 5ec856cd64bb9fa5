"""Switchover and failover, look by look; what is refused and why; what the API and the pages make of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from console.accounts.roles import Role
from console.lib.words import duration
from console.operations.models import Operation
from console.operations.rules import Decision, Ledger, Orders, State
from console.platform.agents_readings import AgentReading, LeaseReading, LeasesReading, TakeoverReading
from console.platform.models import remember_success
from console.platform.readings import JobReading
from console.platform.rules import SourceState, sight
from console.platform.sources import AGENTS
from console.scheduler.agents import save_agents
from console.scheduler.lease import LeaseView, view
from console.scheduler.models import Takeover as Row
from console.scheduler.takeover_kind import load
from console.scheduler.takeover_rules import Seen, Takeover, decide, refusal
from tests.api.asking import bearer, token_for, user_of


def lease(now: datetime, holder: str = "a", token: int = 4, left_s: float = 8, **more: Any) -> LeaseReading:
    base = LeaseReading(
        "scheduler", holder, token, now + timedelta(seconds=left_s), left_s, now, now, None, 10.0,
        None, None, None, None, None, None,
    )  # fmt: skip
    return replace(base, **more)


def agent(now: datetime, name: str, *, ready: bool = True, why: str = "", age_s: float = 1) -> AgentReading:
    state = "leading" if name == "a" else "standby"
    return AgentReading(name, name, 1, 2, state, ready, why, None, "3.3.2", "c0ffee", now, now, age_s)


def leases(now: datetime, row: LeaseReading | None = None, *agents: AgentReading) -> LeasesReading:
    return LeasesReading(row or lease(now), agents or (agent(now, "a"), agent(now, "b")), (), now)


def job(host: str, started: datetime, beat: datetime, state: str = "running") -> JobReading:
    return JobReading(1, "SchedulerJob", host, state, started, beat if state != "running" else None, beat)


def look(
    state: Takeover, seen: LeasesReading, jobs: tuple[JobReading, ...] | None, now: datetime, **orders: bool
) -> Decision[Takeover]:
    parameters = {"from": "a", "to": "b", "forced": False, "why": "kernel patch"}
    return decide(parameters, load(vars(state), 1), Seen(seen, jobs), Ledger(), Orders(**orders), now)


def ordered(now: datetime) -> Takeover:
    return look(Takeover(), leases(now), (job("a", now, now),), now).state


def test_it_orders_waits_for_the_lease_and_for_two_heartbeats(now: datetime) -> None:
    first = look(Takeover(), leases(now), (job("a", now - timedelta(hours=1), now),), now)
    assert [(call.action, call.args["candidate"], call.args["kind"]) for call in first.calls] == [
        ("order", "b", "planned")
    ]
    later = now + timedelta(seconds=4)
    taken = TakeoverReading(5, later, "planned", "a", "b", "kernel patch", now)
    moved = replace(leases(later, lease(later, "b", 5)), takeovers=(taken,))
    started = later + timedelta(seconds=1)
    one = look(first.state, moved, (job("b", started, started),), later)
    assert one.outcome is None
    assert one.verified == ("order",)
    two = look(one.state, moved, (job("b", started, started + timedelta(seconds=5)),), later)
    assert two.outcome is not None
    assert two.outcome.state is State.SUCCEEDED
    assert "nobody scheduled for 5\N{NO-BREAK SPACE}s" in two.outcome.text
    assert [note.text.split(",")[0] for note in one.notes] == [
        f"b holds the lease since {later:%H:%M:%S} UTC",
        f"Its scheduler runs since {started:%H:%M:%S} UTC",
    ]
    assert two.notes == ()


def test_each_step_of_the_old_one_is_told_once_with_its_time(now: datetime) -> None:
    state = ordered(now)
    stops = leases(now, lease(now), replace(agent(now, "a"), state="stopping"), agent(now, "b"))
    first = look(state, stops, (), now)
    assert [note.text for note in first.notes] == ["a stops its scheduler."]
    gone = leases(now, replace(lease(now, left_s=0), released_at=now), agent(now, "a"), agent(now, "b"))
    second = look(first.state, gone, (), now)
    assert [note.text for note in second.notes] == [
        f"a has stopped its scheduler and gave the lease up at {now:%H:%M:%S} UTC."
    ]
    assert look(second.state, gone, (), now).notes == ()


def test_airflow_out_of_sight_is_waited_for_not_believed(now: datetime) -> None:
    moved = leases(now, lease(now, "b", 5))
    decision = look(ordered(now), moved, None, now)
    assert decision.outcome is None
    assert "can't be seen" in decision.progress.text


def test_a_candidate_that_does_not_take_it_fails_with_its_reason(now: datetime) -> None:
    late = now + timedelta(seconds=61)
    seen = leases(late, lease(late), agent(late, "a"), agent(late, "b", ready=False, why="the broker is away"))
    decision = look(ordered(now), seen, (), late)
    assert decision.outcome is not None
    assert decision.outcome.state is State.FAILED
    assert "the broker is away" in decision.outcome.text


def test_abort_takes_the_order_back_before_the_lease_moved(now: datetime) -> None:
    waiting = leases(now, lease(now, next_holder="b", next_until=now + timedelta(seconds=50)))
    assert [call.action for call in look(ordered(now), waiting, (), now, aborting=True).calls] == ["withdraw"]
    done = look(ordered(now), leases(now), (), now, aborting=True)
    assert done.outcome is not None
    assert done.outcome.state is State.ABORTED


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("a", "a", "leads already"),
        ("b", "a", "a leads now, not b"),
        ("a", "zeta", "No scheduler agent is called zeta; there is b"),
    ],
)
def test_what_makes_no_sense_is_refused(now: datetime, old: str, new: str, why: str) -> None:
    assert why in refusal(leases(now), old, new, forced=False)


def test_a_candidate_that_is_silent_or_not_ready_is_refused(now: datetime) -> None:
    silent = leases(now, lease(now), agent(now, "a"), agent(now, "b", age_s=99))
    assert "silent for" in refusal(silent, "a", "b", forced=True)
    unready = leases(now, lease(now), agent(now, "a"), agent(now, "b", ready=False, why="it loads"))
    assert refusal(unready, "a", "b", forced=True) == "b is not ready: it loads."


def test_an_expired_lease_is_failed_over_not_switched(now: datetime) -> None:
    expired = leases(now, lease(now, left_s=-3))
    assert "Fail over instead" in refusal(expired, "a", "b", forced=False)
    assert refusal(expired, "a", "b", forced=True) == ""


def seen_now(now: datetime, reading: LeasesReading) -> LeaseView:
    return view(reading, now, sight(AGENTS, SourceState(as_of=now), now), now)


def test_the_view_says_why_nothing_would_happen_by_itself(now: datetime) -> None:
    assert seen_now(now, leases(now)).not_acting == ""
    alone = leases(now, lease(now), agent(now, "a"))
    assert seen_now(now, alone).not_acting == "There is no standby: no other agent runs."
    held = leases(now, lease(now, held_until=now + timedelta(hours=1), held_reason="drill"))
    assert "paused until 04:07 UTC: drill" in seen_now(now, held).not_acting
    dead = leases(now, lease(now, left_s=-1), agent(now, "a", age_s=60), agent(now, "b", ready=False, why="it loads"))
    assert seen_now(now, dead).not_acting == "Nobody leads, and no standby is ready to."


def test_a_lease_out_of_sight_is_unknown(now: datetime) -> None:
    late = now + timedelta(minutes=5)
    found = view(leases(now), now, sight(AGENTS, SourceState(as_of=now, error="it is away"), late), late)
    assert (found.used, found.seen, found.holder) == (True, False, None)


@pytest.fixture
def agents(db: None) -> LeasesReading:
    now = timezone.now()
    reading = leases(now)
    save_agents(reading, now)
    remember_success(AGENTS.name, now, 0.1)
    return reading


def call(path: str, role: Role = Role.OPERATOR, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = Client().post(
        f"/api/v1/scheduler/{path}", body, content_type="application/json", headers=bearer(token_for(role))
    )
    return answer.status_code, answer.json()


@pytest.mark.django_db(transaction=True)
def test_the_api_switches_over_to_the_only_standby(agents: LeasesReading) -> None:
    status, told = call("switchover", reason="kernel patch")
    assert (status, told["title"], told["target"]) == (202, "Switch over from a to b", "scheduler")
    assert call("switchover", reason="again")[0] == 409


@pytest.mark.django_db(transaction=True)
def test_a_failover_takes_the_leaders_name(agents: LeasesReading) -> None:
    status, told = call("failover", reason="a is dead", confirm="b")
    assert (status, list(told["errors"])) == (422, ["confirm"])
    assert not Operation.objects.exists()
    assert call("failover", reason="a is dead", confirm="a")[0] == 202


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("to", "why"), [("a", "leads already"), ("zeta", "No scheduler agent is called")])
def test_a_wrong_candidate_is_named(agents: LeasesReading, to: str, why: str) -> None:
    status, told = call("switchover", to=to, reason="x")
    assert status == 422
    assert why in told["errors"]["to"][0]


@pytest.mark.django_db(transaction=True)
def test_the_preflight_is_shown_and_then_exactly_that_is_done(agents: LeasesReading) -> None:
    client = Client()
    client.force_login(user_of(Role.OPERATOR))
    page = client.get("/scheduler/switchover/")
    assert "The scheduler on a is told to stop." in page.content.decode()
    plan = page.context["plan"].id
    assert client.post("/scheduler/switchover/", {"plan": "stale", "reason": "x"}).status_code == 409
    done = client.post("/scheduler/switchover/", {"plan": plan, "reason": "kernel patch"})
    assert done.status_code == 302
    assert Operation.objects.get().reason == "kernel patch"


@pytest.mark.django_db(transaction=True)
def test_a_pause_ends_by_itself_and_its_length_is_checked(agents: LeasesReading) -> None:
    assert call("failover-pause", for_s=3600, reason="drill")[0] == 202
    assert call("failover-pause", for_s=99, reason="drill")[0] == 422


@pytest.mark.django_db
def test_what_was_seen_from_outside_is_explained_by_the_agents(agents: LeasesReading) -> None:
    now = timezone.now()
    Row.objects.create(at=now, kind="observed", from_host="a", to_host="b", gap_s=3)
    taken = TakeoverReading(5, now - timedelta(seconds=2), "automatic", "a", "b", "a stopped renewing", now)
    save_agents(replace(agents, takeovers=(taken,)), now)
    row = Row.objects.get()
    assert (row.kind, row.token, row.why) == ("automatic", 5, "a stopped renewing")


@pytest.mark.django_db(transaction=True)
def test_a_takeover_that_was_ordered_names_its_operation(agents: LeasesReading) -> None:
    assert call("switchover", reason="kernel patch")[0] == 202
    now = timezone.now()
    Row.objects.create(at=now, kind="observed", from_host="a", to_host="b", gap_s=3)
    save_agents(replace(agents, takeovers=(TakeoverReading(5, now, "planned", "a", "b", "kernel patch", now),)), now)
    assert Row.objects.get().operation == str(Operation.objects.get().pk)


@pytest.mark.django_db(transaction=True)
def test_a_candidate_that_is_not_ready_is_refused_and_nothing_is_ordered(db: None) -> None:
    now = timezone.now()
    b = agent(now, "b", ready=False, why="the broker can't be reached from here")
    save_agents(leases(now, lease(now), agent(now, "a"), b), now)
    remember_success(AGENTS.name, now, 0.1)
    status, told = call("switchover", to="b", reason="x")
    assert status == 409
    assert "b is not ready: the broker can't be reached from here." in told["detail"]
    assert not Operation.objects.exists()


@pytest.mark.django_db
def test_an_operator_is_offered_pauses_of_one_two_and_four_hours(agents: LeasesReading) -> None:
    client = Client()
    client.force_login(user_of(Role.OPERATOR))
    page = client.get("/scheduler/").content.decode()
    assert all(f"/scheduler/failover-pause/?for_s={hours * 3600}" in page for hours in (1, 2, 4))
    shown = client.get("/scheduler/failover-pause/?for_s=14400").content.decode()
    assert f"For {duration(14400)} nobody takes over by itself: a dead scheduler then waits for a person." in shown


def manage(*words: str) -> str:
    out = StringIO()
    call_command("scheduler", *words, stdout=out)
    return out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_the_shell_tells_who_leads_and_switches_over(agents: LeasesReading) -> None:
    told = manage("status")
    assert "lease: a, token" in told
    assert "failover: by itself" in told
    assert "is under way" in manage("switchover", "--reason", "kernel patch")
    operation = Operation.objects.get()
    assert (operation.kind, operation.reason) == ("switchover", "kernel patch")
    assert operation.requested_by_name.startswith("shell:")
    with pytest.raises(CommandError, match=f"OP-{operation.pk}"):
        manage("switchover", "--reason", "again")


@pytest.mark.django_db(transaction=True)
def test_the_shell_fails_over_only_with_the_leaders_name(agents: LeasesReading) -> None:
    with pytest.raises(CommandError, match="Type 'a' to confirm"):
        manage("failover", "--reason", "a is dead", "--confirm", "b")
    with pytest.raises(CommandError, match="leads already"):
        manage("failover", "--to", "a", "--reason", "x", "--confirm", "a")
    assert not Operation.objects.exists()
    manage("failover", "--reason", "a is dead", "--confirm", "a")
    assert Operation.objects.get().kind == "failover"


@pytest.mark.django_db(transaction=True)
def test_the_shell_pauses_automatic_failover(agents: LeasesReading) -> None:
    manage("pause", "--hours", "2", "--reason", "drill")
    assert Operation.objects.get().parameters["for_s"] == 7200
