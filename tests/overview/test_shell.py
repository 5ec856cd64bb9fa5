"""The frame of every page: environment, flags, verdict, blindness; cheap, and never the reason that a page fails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.db import OperationalError
from django.http import HttpRequest
from django.template import engines
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from console.accounts.roles import Role
from console.overview import context
from console.overview.context import build
from console.overview.judge import judge
from console.overview.models import Verdict
from console.platform.declared import declaration
from console.platform.models import Source
from console.platform.sources import POOLS
from tests.api.asking import user_of
from tests.overview.made import whole
from tests.scheduler.made import airflow, job
from tests.scheduler.made import polled as scheduler_polled

pytestmark = pytest.mark.django_db


def silent(now: datetime) -> None:
    scheduler_polled(now, airflow(job(1, "scheduler-a", now - timedelta(seconds=50))))


def test_a_platform_that_is_well_has_no_verdict_and_no_flags(now: datetime) -> None:
    whole(now)
    judge(now)
    shell = build(now)
    assert (shell.verdict, shell.blind) == (None, ())
    assert shell.flags == context.Flags()
    assert shell.environment == context.Environment("tests", "eu-north-1", "3.3.2")


def test_what_is_wrong_is_a_strip_and_a_flag(now: datetime) -> None:
    whole(now)
    silent(now)
    judge(now)
    shell = build(now, "/fleets/")
    assert shell.verdict is not None
    assert (shell.verdict.tone, shell.verdict.url) == ("bad", "/scheduler/")
    assert shell.verdict.text.startswith("scheduler-a has been silent")
    assert shell.flags.scheduler is not None
    assert (shell.flags.scheduler.tone, shell.flags.scheduler.text) == ("bad", "failing")
    assert shell.flags.fleets is None


@pytest.mark.parametrize("path", ["/", "/scheduler/"])
def test_the_strip_is_not_where_the_page_itself_says_it(now: datetime, path: str) -> None:
    whole(now)
    silent(now)
    judge(now)
    assert build(now, path).verdict is None


def test_blindness_is_found_out_when_the_page_is_asked_for(now: datetime) -> None:
    whole(now)
    judge(now)
    Source.objects.filter(name=POOLS.name).update(as_of=now - timedelta(seconds=POOLS.limit_s + 1))
    [blind] = build(now).blind
    assert blind.what == "Airflow's pools"


def test_the_overview_says_by_itself_what_the_console_is_blind_to(client: Client, now: datetime) -> None:
    assert build(now, "/").blind == ()
    client.force_login(user_of(Role.VIEWER))
    html = client.get("/").content.decode()
    assert html.count("blind to the whole platform") == 1
    assert "blind to the whole platform" in client.get("/pools/").content.decode()


def test_a_verdict_that_is_old_is_unknown_and_so_are_the_flags(now: datetime) -> None:
    whole(now)
    silent(now)
    judge(now)
    late = build(now + timedelta(seconds=20))
    assert late.verdict is not None
    assert late.verdict.tone == "unk"
    assert "has not been judged since 03:07" in late.verdict.text
    assert late.flags.scheduler is not None
    assert (late.flags.scheduler.tone, late.flags.scheduler.text) == ("unk", "unknown")


def test_before_the_first_verdict_there_is_only_blindness(now: datetime) -> None:
    shell = build(now)
    assert shell.verdict is None
    assert [one.what for one in shell.blind] == ["the whole platform"]


@pytest.mark.parametrize("workers", [10, 1000])
def test_it_takes_two_queries(now: datetime, workers: int, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    whole(now, workers=workers)
    judge(now)
    with django_assert_num_queries(2):
        build(now)


def draw(source: str, request: HttpRequest) -> str:
    return str(engines["jinja2"].from_string(source).render({}, request))


def test_a_page_without_a_frame_pays_nothing(now: datetime, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    request = RequestFactory().get("/fleets/")
    request.user = user_of(Role.VIEWER)
    with django_assert_num_queries(0):
        draw("hello", request)
    with django_assert_num_queries(2):
        draw("{{ shell.blind|length }}{{ shell.verdict }}{{ shell.flags }}", request)


def test_who_is_not_signed_in_learns_nothing(client: Client) -> None:
    assert context.shell(RequestFactory().get("/")) == {"shell": None}
    assert "tests" not in client.get("/accounts/login/").content.decode().split("<main")[-1]


@pytest.fixture
def broken(settings: Settings, tmp_path: Path) -> Iterator[None]:
    path = tmp_path / "platform.yaml"
    path.write_text("version: 1\nname: [\n")
    settings.PLATFORM_FILE = str(path)
    declaration.cache_clear()
    yield
    declaration.cache_clear()


@pytest.mark.usefixtures("broken")
def test_a_declaration_that_can_t_be_read_leaves_a_frame_that_says_so(now: datetime) -> None:
    shell = build(now)
    assert shell.environment is None
    assert [one.what for one in shell.blind] == ["what it operates"]


def test_a_database_that_does_not_answer_leaves_a_frame_that_says_so(
    now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(context, "_shell", fail)
    [blind] = build(now).blind
    assert blind.because == "its own database does not answer"


def test_whatever_else_fails_leaves_a_frame(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "_shell", lambda *args: 1 / 0)
    assert build(now).blind[0].what == "its own verdict"


def test_every_page_shows_the_frame(client: Client) -> None:
    now = timezone.now()
    whole(now)
    silent(now)
    judge(now)
    client.force_login(user_of(Role.VIEWER))
    html = client.get("/datastores/").content.decode()
    assert "scheduler-a has been silent" in html
    assert "Airflow 3.3.2" in html


def test_the_verdict_is_one_row(now: datetime) -> None:
    whole(now)
    judge(now)
    judge(now + timedelta(seconds=2))
    assert Verdict.objects.count() == 1
