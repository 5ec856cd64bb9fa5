"""The fleets' pages: what they say, at any size of the fleet, whatever names hold."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.accounts.models import User
from console.fleets.figures import fleet_url, worker_url
from console.fleets.judge import judge
from console.fleets.models import Instance, QueueSnapshot, Worker
from console.fleets.names import kept
from console.fleets.poll import save_compute, save_counts
from console.fleets.running import save_instances
from console.platform.sources import COMPUTE, HEARTBEATS, QUEUES, TASKS, WORKERS
from tests.fleets import story
from tests.fleets.making import ago, group, instance, seen, task, tasks, unseen, worker

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(User.objects.create_user(username="viewer", role="viewer"))
    return client


@pytest.fixture
def get(client: Client) -> Callable[[str], str]:
    def ask(url: str) -> str:
        answer = client.get(url)
        assert answer.status_code == 200, url
        return answer.content.decode()

    return ask


def large(workers: int) -> None:
    """One fleet of that many workers with a task each, and as many undeclared queues."""
    now = timezone.now()
    seen(now)
    nodes = [f"i-{number:017x}" for number in range(workers)]
    running = [task("d", f"t{number}", host=node, started_at=ago(now, number)) for number, node in enumerate(nodes)]
    save_instances(tasks(*running), now)
    save_counts(tasks(*running, counts=[("cpu", 3, workers)]), now)
    QueueSnapshot.objects.bulk_create(
        [
            QueueSnapshot(queue=f"adhoc-{number:05}", first_seen_at=now, seen_at=now, queued=1)
            for number in range(workers)
        ]
    )
    save_compute([group("tests-cpu", *(instance(node, launched_at=ago(now, 9000)) for node in nodes))], now)
    Worker.objects.bulk_create([worker(f"celery@{node}", now) for node in nodes])
    judge(now)


FIGURE = re.compile(
    r'<span class="qd-label">([^<]+)</span>(<span class="qd-fig.*?)(?=<span class="qd-label">|<span class="qd-age)',
    re.S,
)
PAGES = [
    "/fleets/",
    "/fleets/?q=adhoc&sort=-seen&page=2",
    "/fleets/cpu/",
    "/fleets/cpu/?sort=oldest&state=in_service&q=i-0&page=2",
    "/fleets/cpu/?sort=-up",
    "/fleets/cpu/workers/celery%40i-00000000000000003/",
    "/fleets/cpu/chart.json?range=24h",
    "/api/v1/fleets",
    "/api/v1/fleets/cpu",
    "/api/v1/fleets/cpu/workers",
]


def test_a_thousand_workers_take_as_many_queries_as_ten(client: Client) -> None:
    counts: dict[int, dict[str, int]] = {10: {}, 1000: {}}
    for workers, found in counts.items():
        large(workers)
        client.get("/fleets/")
        for url in PAGES:
            seen(timezone.now())  # however slow this machine is: what is out of date takes other queries
            with CaptureQueriesContext(connection) as captured:
                assert client.get(url).status_code == 200
            found[url] = len(captured)
        Worker.objects.all().delete()
        QueueSnapshot.objects.all().delete()
    assert counts[10] == counts[1000]
    assert max(counts[10].values()) <= 22


def test_a_page_of_a_large_fleet_is_light(client: Client) -> None:
    large(1000)
    for url in ("/fleets/", "/fleets/cpu/"):
        assert len(gzip.compress(client.get(url).content)) < 40_000


def test_the_worst_comes_first_in_words(get: Callable[[str], str]) -> None:
    story.tell(timezone.now())
    page = get("/fleets/")
    assert "<h2>io: 1\N{NO-BREAK SPACE}worker is lost" in page
    assert "2 of 3 need a look" in page


def test_a_fleet_shows_its_workers_with_their_oldest_task(get: Callable[[str], str]) -> None:
    story.tell(timezone.now())
    page = get("/fleets/cpu/")
    assert "pricing.elasticity_0" in page
    assert "overdue: launched" in page
    assert page.count('<tr id="w-') == 6


@pytest.mark.parametrize(("gone", "buttons"), [(False, 1), (True, 0)])
def test_a_worker_whose_instance_is_gone_has_nothing_to_drain(gone: bool, buttons: int) -> None:
    now = timezone.now()
    story.tell(now)
    lost = Worker.objects.get(serves=["io"], state="lost")
    Instance.objects.filter(instance_id=lost.instance_id).update(gone_at=now if gone else None)
    operator = Client()
    operator.force_login(User.objects.create_user(username="operator", role="operator"))
    page = operator.get("/fleets/io/").content.decode()
    assert f'id="w-{lost.node}"' in page
    assert page.count(f'?workers={lost.instance_id}"') == buttons


def test_the_view_is_in_the_address(get: Callable[[str], str]) -> None:
    story.tell(timezone.now())
    page = get("/fleets/cpu/?state=launching&sort=-worker&range=7d")
    assert page.count('<tr id="w-') == 2
    assert page.index("i-0dddddddddddddddd") < page.index("i-0cccccccccccccccc")
    assert "chart.json?range=7d" in page
    assert "?state=launching&amp;sort=worker&amp;range=7d" in page or "sort=worker" not in page
    assert "No worker matches" in get("/fleets/cpu/?q=nothing-like-it")


def test_a_filter_keeps_the_range_of_the_chart_and_the_order_of_the_rows(get: Callable[[str], str]) -> None:
    story.tell(timezone.now())
    form = get("/fleets/cpu/?range=7d&sort=-slots").split('role="search"')[1].split("</form>")[0]
    assert '<input type="hidden" name="range" value="7d">' in form
    assert '<input type="hidden" name="sort" value="-slots">' in form
    assert 'name="range"' not in get("/fleets/cpu/").split('role="search"')[1].split("</form>")[0]
    others = get("/fleets/?sort=queue").split('role="search"')[1].split("</form>")[0]
    assert '<input type="hidden" name="sort" value="queue">' in others


def test_a_workers_page_tells_when_its_tasks_should_end(get: Callable[[str], str]) -> None:
    story.tell(timezone.now())
    page = get(worker_url("cpu", "celery@" + story.ids("cpu", 1)[0]))
    assert "from 3 past runs" in page
    assert "no past runs known" in page
    assert page.index("elasticity_0") < page.index("elasticity_4")


@pytest.mark.parametrize(
    ("sources", "hidden", "shown"),
    [
        ((QUEUES, WORKERS, HEARTBEATS), ("In service", "Messages"), ("Outstanding", "Running")),
        ((TASKS,), ("Outstanding", "Running", "Clears in"), ("In service",)),
        ((COMPUTE,), (), ("Outstanding", "Running", "In service")),
    ],
)
def test_exactly_what_cannot_be_seen_is_unknown(
    get: Callable[[str], str], sources: tuple[object, ...], hidden: tuple[str, ...], shown: tuple[str, ...]
) -> None:
    now = timezone.now()
    story.tell(now)
    unseen(now, *sources)  # type: ignore[arg-type]
    page = get("/fleets/cpu/")

    figures = dict(FIGURE.findall(page))
    figures["Messages"] = page.split("<li>Messages in the broker")[1][:100]
    assert {label for label in (*hidden, *shown) if "unknown" in figures[label].split("qd-note")[0]} == set(hidden)
    assert "nothing answers at broker:6379/0" in page


def test_a_fleet_nobody_has_seen_yet_says_so(get: Callable[[str], str]) -> None:
    assert "No worker has been seen" in get("/fleets/cpu/")
    assert "it has never been read" in get("/fleets/")


def test_a_name_nobody_knows_is_not_found(client: Client) -> None:
    assert client.get("/fleets/nothing/").status_code == 404
    assert client.get("/fleets/cpu/workers/celery%40nobody/").status_code == 404
    assert client.get("/fleets/nothing/chart.json").status_code == 404


@pytest.mark.parametrize(
    "name", [story.NASTY, '"><img src=x onerror=alert(1)>', "a/b/../c", "ü" * 300, "q?x=1&y=#z", "ne\nw"]
)
def test_names_from_outside_neither_run_nor_break_anything(get: Callable[[str], str], name: str) -> None:
    now = timezone.now()
    seen(now)
    save_counts(tasks(task("<b>d</b>", "<i>t</i>", queue=name, state="queued", queued_at=ago(now, 9))), now)
    save_instances(tasks(task("<b>d</b>", "<i>t</i>", queue=name, host="<u>h</u>", started_at=ago(now, 9))), now)
    Worker.objects.bulk_create([worker(kept(f"celery@{name}"), now, queue=kept(name), host_key="<u>h</u>")])
    judge(now)
    name = kept(name)
    for url in ("/fleets/", fleet_url(name), worker_url(name, f"celery@{name}")):
        page = get(url)
        for raw in ("<script>alert", "<img src=x", "<b>d", "<i>t", "<u>h"):
            assert raw not in page
    assert get(f"/api/v1/fleets/{quote(name, safe='')}")


def test_nobody_gets_in_without_signing_in() -> None:
    for url in PAGES:
        assert Client().get(url).status_code in (302, 401)
