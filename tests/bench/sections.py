"""Every page of the navigation, and one of each kind beneath it, with a large platform behind: time, weight.

1,000 workers in twenty queues, 10,000 tables, 2,000 incidents and 2,000 operations. Each page is asked for through
HTTP by somebody who is signed in, in turns, so that a noisy minute falls on all of them alike.
"""

from __future__ import annotations

import gzip
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.bench.harness import ROOT, Caller, Process, p50, percentile, started, table
from tests.bench.pages import _answers, _fill, _refresh, _session
from tests.bench.polls import names
from tests.services import free_port

if TYPE_CHECKING:
    from console.platform.declared import TableDeclared

WORKERS, TABLES, RECORDS, ROUNDS = 1_000, 10_000, 2_000, 20
PATHS = (
    "/",
    "/incidents/",
    "/incidents/?state=all",
    "/scheduler/",
    "/fleets/",
    "/fleets/cpu/",
    "/fleets/cpu/workers/celery%40i-00000000000000001/",
    "/fleets/cpu/decisions/",
    "/deploys/",
    "/pools/",
    "/freshness/",
    "/freshness/?sort=-lag",
    "/freshness/shop.public.t00001/",
    "/datastores/",
    "/storage/",
    "/history/",
    "/operations/",
    "/audit/",
    "/accounts/tokens/",
)
GOAL = "goals: every page p50 under 25 ms and 40 kB compressed"


def run(**_: object) -> None:
    _fill(WORKERS)
    _fill_records()
    _fill_tables()
    with tempfile.TemporaryDirectory() as folder:
        _measure(_declared(Path(folder)))


def _measure(platform: Path) -> None:
    port = free_port()
    server = Process("-m", "uvicorn", "console.asgi:application", "--port", str(port), "--no-access-log",
                     PLATFORM_FILE=str(platform))  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    started(server, lambda: _answers(base))
    took: dict[str, list[float]] = {path: [] for path in PATHS}
    bodies: dict[str, bytes] = {}
    caller = Caller(base, {"Cookie": _session(), "Accept-Encoding": "gzip"})
    for round_ in range(ROUNDS + 2):  # two to warm up
        _refresh(WORKERS)
        for path in PATHS:
            took_s, bodies[path] = caller.get(path)
            if round_ > 1:
                took[path].append(took_s)
    caller.close()
    server.stop()
    rows = []
    for path, times in sorted(took.items(), key=lambda pair: -p50(pair[1])):
        packed = len(gzip.compress(bodies[path], 6)) / 1000
        size = len(bodies[path]) / 1000
        rows.append((path, *(f"{value * 1000:.1f} ms" for value in (p50(times), percentile(times, 0.95))),
                     f"{size:.0f} kB", f"{packed:.1f} kB"))  # fmt: skip
    table(("path", "p50", "p95", "plain", "gzip"), rows)
    print(f"  {GOAL}")


def _declared(folder: Path) -> Path:
    """The tests' declaration with 10,000 tables in place of its two."""
    platform = yaml.safe_load((ROOT / "tests/platform.yaml").read_text())
    platform["tables"] = [
        {"name": one.name, "task": one.task, "warehouse": one.warehouse, "column": one.column, "slo": f"{one.slo_s:g}s"}
        for one in _tables()
    ]
    file = folder / "platform.yaml"
    file.write_text(yaml.safe_dump(platform))
    return file


def _tables() -> list[TableDeclared]:
    from tests.freshness import made

    return [made.table(name) for name in names(TABLES)]


def _fill_tables() -> None:
    """Four minutes of the story of 10,000 tables."""
    from django.db import transaction
    from django.utils import timezone

    from tests.freshness.story import Story

    story = Story(timezone.now() - timedelta(minutes=4), _tables())
    for _ in range(16):
        with transaction.atomic():
            story.step()


def _fill_records() -> None:
    """Incidents and operations of some weeks: nineteen in twenty are over."""
    from django.utils import timezone

    from console.incidents.models import Incident
    from console.incidents.store import settle
    from console.operations.models import Operation
    from tests.incidents.made import finding, report

    now = timezone.now()
    settle(report(*(finding(f"fleets.starving:queue-{number:04}") for number in range(RECORDS))), now)
    over = Incident.objects.filter(pk__gt=RECORDS // 20)
    over.update(state="resolved", resolved_at=now, resolved_by="evidence")
    Operation.objects.bulk_create(
        Operation(
            kind="resize", target=f"fleets/queue-{number:04}", reason="a campaign starts tomorrow",
            requested_by_name="mira", state="succeeded", started_at=now, finished_at=now, outcome="4 workers",
            progress={"done": 4, "total": 4, "text": "4 of 4"},
        )
        for number in range(RECORDS)
    )  # fmt: skip
