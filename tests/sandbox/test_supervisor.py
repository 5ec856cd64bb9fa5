"""The supervisor: `processes.json`, the control socket, bodies, the order in which everything ends."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from console.sandbox import airflow, control, reaper, supervisor
from console.sandbox.env import Site
from console.sandbox.home import SandboxError
from console.sandbox.process import Spec
from console.sandbox.supervisor import Supervisor, cut

Wait = Callable[[Callable[[], object]], Awaitable[None]]
FOREVER = "import time\ntime.sleep(600)"


def listed(site: Site) -> dict[str, Any]:
    return dict(json.loads(site.home.processes.read_text()))


@pytest.fixture
def held(site: Site) -> Supervisor:
    return Supervisor(site, lambda text: None)


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch, python: Callable[..., Spec]) -> None:
    """Bodies that only sleep."""
    monkeypatch.setattr(airflow, "worker", lambda site, name, queue, concurrency: python(FOREVER, name=name))


def test_processes_json_names_each_running_process_its_command_and_its_log(
    held: Supervisor, site: Site, python: Callable[..., Spec]
) -> None:
    async def scenario() -> None:
        process = held.add(python(FOREVER, name="web"))
        entry = listed(site)["web"]
        assert entry["pid"] == process.pid
        assert FOREVER in entry["command"]
        assert entry["log"] == str(site.home.logs / "web.log")
        await process.hold()
        assert "web" not in listed(site)
        await held.stop_all()
        assert listed(site) == {}

    asyncio.run(scenario())


def test_each_instance_gets_a_body_and_loses_it_when_it_is_gone(
    held: Supervisor, site: Site, workers: None, wait: Wait
) -> None:
    async def scenario() -> None:
        both = [{"instance": name, "queue": "io", "concurrency": 16} for name in ("i-1", "i-2")]
        await held.set_bodies(both)
        first = listed(site)
        assert set(first) == {"i-1", "i-2"}
        await held.set_bodies(both)
        assert listed(site) == first  # the same processes
        await held.set_bodies(both[1:])
        await wait(lambda: set(listed(site)) == {"i-2"})
        assert listed(site)["i-2"]["pid"] == first["i-2"]["pid"]
        assert reaper.look(first["i-1"]["pid"]) is None
        await held.stop_all()

    asyncio.run(scenario())


def test_a_killed_worker_stays_dead_while_its_instance_lives_until_it_is_mended(
    held: Supervisor, site: Site, workers: None, wait: Wait
) -> None:
    async def scenario() -> None:
        one = [{"instance": "i-1", "queue": "io", "concurrency": 16}]
        await held.set_bodies(one)
        await held.handle({"do": "break", "fault": "worker-kill", "target": []})
        await held.set_bodies(one)
        await asyncio.sleep(1.5)
        assert "i-1" not in listed(site)
        assert held.faults == {"worker-kill": ["i-1"]}
        await held.handle({"do": "mend", "fault": "worker-kill"})
        await wait(lambda: "i-1" in listed(site))
        assert held.faults == {}
        await held.stop_all()

    asyncio.run(scenario())


def test_an_instance_that_is_gone_takes_its_fault_along(held: Supervisor, workers: None, wait: Wait) -> None:
    async def scenario() -> None:
        await held.set_bodies([{"instance": "i-1", "queue": "io", "concurrency": 16}])
        await held.handle({"do": "break", "fault": "worker-kill", "target": ["i-1"]})
        await held.set_bodies([])
        assert held.faults == {}
        await wait(lambda: "i-1" not in held.processes)
        await held.stop_all()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"do": "dance"}, "Unknown request"),
        ({"do": "break", "fault": "sun-stop"}, "There is no fault 'sun-stop'; there are scheduler-kill"),
        ({"do": "break", "fault": "worker-kill", "target": ["i-9"]}, "i-9 is no instance"),
        ({"do": "break", "fault": "worker-kill"}, "No worker runs"),
        ({"do": "break", "fault": "broker-stop"}, "No process broker runs here"),
        ({"do": "break", "fault": "queue-flood", "target": ["io", "many"]}, "'many' is not a number"),
    ],
)
def test_what_can_not_be_done_is_refused_with_the_reason(
    held: Supervisor, request_: dict[str, Any], words: str
) -> None:
    with pytest.raises(SandboxError, match=words):
        asyncio.run(held.handle(request_))


def test_the_socket_answers_its_owner_only(held: Supervisor, site: Site) -> None:
    async def scenario() -> None:
        server = await held.serve()
        assert stat.S_IMODE(site.home.control_socket.stat().st_mode) == 0o600
        answer = await control.ask(site.home, {"do": "status"})
        assert answer["url"] == "http://127.0.0.1:8000"
        assert answer["faults"] == {}
        with pytest.raises(control.Refused, match="There is no fault"):
            await control.ask(site.home, {"do": "mend", "fault": "x"})
        server.close()

    asyncio.run(scenario())


def test_without_a_sandbox_the_answer_says_how_to_start_one(site: Site) -> None:
    with pytest.raises(control.Refused, match="start it with make run"):
        asyncio.run(control.ask(site.home, {"do": "status"}))


def test_the_databases_end_after_everything_that_uses_them(
    held: Supervisor, python: Callable[..., Spec], tmp_path: Path
) -> None:
    order = tmp_path / "order"

    def spec(name: str) -> Spec:
        leave = f"import signal, sys, time\ndef end(*_):\n open({str(order)!r}, 'a').write('{name} ')\n sys.exit()\n"
        return python(leave + "signal.signal(signal.SIGTERM, end)\nprint('on', flush=True)\ntime.sleep(600)", name=name)

    async def scenario() -> None:
        for name in ("postgres", "redis", "web", "cloud"):
            held.add(spec(name))
        for name in ("postgres", "redis", "web", "cloud"):
            while b"on" not in held.processes[name].spec.log.read_bytes():
                await asyncio.sleep(0.05)
        await held.stop_all()

    asyncio.run(scenario())
    ended = order.read_text().split()
    assert set(ended[:2]) == {"web", "cloud"}
    assert set(ended[2:]) == {"postgres", "redis"}


def test_a_schedulers_child_is_listed_while_it_lives_below_its_host(
    held: Supervisor, site: Site, python: Any, wait: Wait
) -> None:
    async def scenario() -> None:
        state = airflow.child_state(site.home, "scheduler-a")
        state.parent.mkdir(parents=True)
        code = f"import json, subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', {FOREVER!r}])\n"
        code += f"open({str(state)!r}, 'w').write(json.dumps({{'pid': child.pid}}))\nchild.wait()"
        held.add(python(code, name="scheduler-a"))
        await wait(lambda: "scheduler-a.child" in held.children())
        held.write_processes()
        assert set(listed(site)) == {"scheduler-a", "scheduler-a.child"}
        await held.stop_all()
        assert held.children() == {}

    asyncio.run(scenario())


def test_a_long_log_is_cut_while_its_process_goes_on_writing(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("ab") as writer:
        writer.write(b"x" * 2000)
        writer.flush()
        cut(log, longest=1000)
        writer.write(b"after")
    assert log.read_bytes() == b"after"
    assert (tmp_path / "web.log.1").stat().st_size == 2000
    assert supervisor.LONGEST_LOG > 1000
