"""One whole sandbox for all journeys: real Airflow, real workers, the console on top.

`JOURNEY_SANDBOX_HOME=.sandbox` uses one that runs already (and leaves it running); it must be one that may be broken.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from console.sandbox.home import REPOSITORY
from tests.services import free_port

START_WITHIN_S = 600
ONE_WITHIN_S = 900
LONGEST = ("test_incidents", "test_nothing_is_lost", "test_switchovers", "test_autoscaling")
LONG = ("stock_count", "partner_files")
"""Their tasks take up to seven minutes, and a drain waits for each: journeys bring work of their own."""


@dataclass
class Sandbox:
    """A running sandbox."""

    home: Path
    process: subprocess.Popen[bytes] | None = None
    ready_after_s: float = 0.0

    @property
    def env(self) -> dict[str, str]:
        """What `. $SANDBOX_HOME/env` gives."""
        text = subprocess.run(
            ["sh", "-c", f". {self.home}/env && env -0"], env={"PATH": os.defpath}, capture_output=True, check=True
        ).stdout.decode()
        return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)

    @property
    def url(self) -> str:
        return self.env["BASE_URL"]

    @property
    def output(self) -> str:
        return (self.home.parent / "output").read_text()

    def token(self, role: str) -> str:
        return (self.home / "tokens" / role).read_text().strip()

    def processes(self) -> dict[str, dict[str, Any]]:
        """`processes.json`."""
        return dict(json.loads((self.home / "processes.json").read_text()))

    def client(self, role: str = "viewer") -> httpx.Client:
        """Calls of the console's API, as this role: `client.get("fleets")`."""
        return httpx.Client(
            base_url=f"{self.url}/api/v1/", headers={"Authorization": f"Bearer {self.token(role)}"}, timeout=10
        )

    def get(self, path: str, role: str = "viewer") -> Any:
        """The JSON of a GET of the console's API. Raises on anything but 200."""
        with self.client(role) as client:
            return client.get(path).raise_for_status().json()

    def airflow(self, method: str, path: str, body: object | None = None) -> Any:
        """A call of Airflow's own REST API: what the console's figures are held against."""
        env = self.env
        with httpx.Client(base_url=env["AIRFLOW_URL"], timeout=30) as client:
            who = {"username": env["AIRFLOW_USERNAME"], "password": env["AIRFLOW_PASSWORD"]}
            token = client.post("/auth/token", json=who).raise_for_status().json()["access_token"]
            answer = client.request(
                method, f"/api/v2{path}", json=body, headers={"Authorization": f"Bearer {token}"}
            ).raise_for_status()
            return answer.json() if answer.content else None

    def manage(self, *arguments: str, expect: int = 0) -> str:
        """`manage.py …` in the sandbox's environment; its output."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments], env={**os.environ, **self.env}, cwd=REPOSITORY,
            capture_output=True, text=True, timeout=180,
        )  # fmt: skip
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    def tell(self, *arguments: str) -> str:
        """`python -m console.sandbox …`, which is `manage.py sandbox …` without Django; its output."""
        done = subprocess.run(
            [sys.executable, "-m", "console.sandbox", *arguments], env={**os.environ, **self.env}, cwd=REPOSITORY,
            capture_output=True, text=True, timeout=180,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def break_(self, fault: str, *target: str) -> str:
        return self.tell("break", fault, *target)

    def mend(self, fault: str, *target: str) -> str:
        return self.tell("mend", fault, *target)

    @contextmanager
    def broken(self, fault: str, *target: str) -> Iterator[str]:
        """A fault that is mended again, whatever becomes of the block."""
        said = self.break_(fault, *target)
        try:
            yield said
        finally:
            self.mend(fault, *target)

    def wait(self, true: Callable[[], Any], within_s: float, what: str = "it") -> Any:
        """The first true value of `true()`, asked every half second. Fails after `within_s` seconds."""
        deadline = time.monotonic() + within_s
        last: object = None
        while time.monotonic() < deadline:
            try:
                last = true()
                if last:
                    return last
            except (httpx.HTTPError, KeyError, OSError, ValueError) as error:
                last = error
            time.sleep(0.5)
        raise AssertionError(f"{what} did not become true within {within_s} s; last: {last!r}")


def start(home: Path, port: int) -> Sandbox:
    """Start one as `make run` does and wait until it says that it is ready."""
    began = time.monotonic()
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "console.sandbox", "run"],
            env={**os.environ, "SANDBOX_HOME": str(home), "PORT": str(port)},
            cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    sandbox = Sandbox(home, process)
    try:
        while "Quarterdeck is ready: " not in sandbox.output:
            assert process.poll() is None, sandbox.output
            assert time.monotonic() - began < START_WITHIN_S, f"not ready in {START_WITHIN_S} s:\n{sandbox.output}"
            time.sleep(0.25)
    except BaseException:  # a time limit ends the tests by an interrupt: nothing is left running
        process.terminate()
        process.wait(60)
        raise
    sandbox.ready_after_s = time.monotonic() - began
    return sandbox


def make_folder() -> Path:
    """A temporary folder that other users may pass through: under root PostgreSQL runs as another one, and pytest
    closes its own folders to them.
    """
    folder = Path(tempfile.mkdtemp(prefix="qd-"))
    folder.chmod(0o711)
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The start is measured before the sandbox that all share takes the machine's time; the longest go last."""
    places = {name: place for place, name in enumerate(LONGEST, start=1)} | {"test_start_and_stop": -1}
    items.sort(key=lambda item: places.get(item.path.stem, 0) if "journeys" in item.path.parts else -2)
    for item in items:
        if "tests/journeys/" in item.nodeid and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(ONE_WITHIN_S))


def rest(sandbox: Sandbox, dags: tuple[str, ...]) -> None:
    """Pause DAGs, and end what runs of them."""
    for dag in dags:
        sandbox.airflow("PATCH", f"/dags/{dag}", {"is_paused": True})
        for run in sandbox.airflow("GET", f"/dags/{dag}/dagRuns?state=running")["dag_runs"]:
            name = run["dag_run_id"].replace(":", "%3A").replace("+", "%2B")
            sandbox.airflow("PATCH", f"/dags/{dag}/dagRuns/{name}", {"state": "failed"})


@pytest.fixture(scope="session")
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A sandbox that runs; a journey that breaks something mends it again."""
    running = os.environ.get("JOURNEY_SANDBOX_HOME")
    if running:
        yield Sandbox(Path(running).resolve())
        return
    folder = make_folder()
    made = start(folder / "home", free_port())
    rest(made, LONG)
    yield made
    if request.session.testsfailed:
        print("What the sandbox said:", *made.output.splitlines()[-60:], sep="\n  ")
    assert made.process is not None
    if made.process.poll() is None:
        made.process.terminate()
        made.process.wait(60)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def fixed_sizes(sandbox: Sandbox) -> Iterator[None]:
    """Fleets at their baseline that nobody resizes by himself, for journeys that count workers."""
    switched = [fleet["queue"] for fleet in sandbox.get("fleets") if fleet["autoscaling"] == "on"]
    for queue in switched:
        switch_autoscaling(sandbox, queue, "off")
    for queue in switched:
        back_to_baseline(sandbox, queue)
    yield
    for queue in switched:
        switch_autoscaling(sandbox, queue, "on")


def back_to_baseline(sandbox: Sandbox, queue: str) -> None:
    """What the autoscaler had added goes again, by drains."""
    fleet = sandbox.get(f"fleets/{queue}")
    if fleet["desired"] != fleet["baseline"]:
        with sandbox.client("operator") as client:
            body = {"desired": fleet["baseline"], "reason": "journey"}
            answer = sandbox.wait(
                lambda: (told := client.patch(f"fleets/{queue}", json=body)).status_code == 202 and told,
                120,
                f"a resize of {queue}",
            )
        sandbox.wait(lambda: sandbox.get(f"operations/{answer.json()['id']}")["finished_at"], 400, f"{queue} to shrink")


def switch_autoscaling(sandbox: Sandbox, queue: str, word: str) -> None:
    with sandbox.client("operator") as client:
        answer = client.patch(f"fleets/{queue}", json={"autoscaling": word, "reason": "journey"})
        assert answer.status_code == 202, answer.text
    sandbox.wait(lambda: sandbox.get(f"fleets/{queue}")["autoscaling"] == word, 30, f"autoscaling {word}")


@pytest.fixture
def pages(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A signed-in browser, as far as pages go."""
    password = json.loads((sandbox.home / "secrets.json").read_text())["sign_in"]
    with httpx.Client(base_url=sandbox.url, timeout=20, follow_redirects=True) as client:
        form = client.get("/accounts/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)
        assert token
        data = {"username": "operator", "password": password, "csrfmiddlewaretoken": token[1]}
        assert client.post("/accounts/login/", data=data, headers={"Referer": sandbox.url}).status_code == 200
        yield client
