"""Containers as the machines of instances: who is whose body, and what a machine does about it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from console.sandbox.aws.machines import SILENT_S, Claim, settle
from console.sandbox.body import RESTART_AFTER_S, Step, Told, Worker, decide
from console.sandbox.host_aliases import text
from console.sandbox.ports import is_free

ROOT = Path(__file__).parents[2]

# --- what a machine does ---------------------------------------------------------------------------------------------

HERE = Told(True, "i-1", "io", 4, "1")


@pytest.mark.parametrize(
    ("instance", "worker", "told", "step"),
    [
        (None, Worker.NONE, HERE, Step.START),
        (None, Worker.NONE, Told(True), Step.WAIT),  # a spare machine
        ("i-1", Worker.RUNNING, HERE, Step.WAIT),
        ("i-1", Worker.DRAINED, HERE, Step.WAIT),  # powered off: it stays so
        ("i-1", Worker.CRASHED, HERE, Step.START),
        ("i-1", Worker.RUNNING, Told(True), Step.VANISH),  # terminated
        ("i-1", Worker.RUNNING, Told(True, "i-2"), Step.VANISH),  # and another one launched already
        ("i-1", Worker.DRAINED, Told(True), Step.VANISH),
    ],
)
def test_what_a_machine_does(instance: str | None, worker: Worker, told: Told, step: Step) -> None:
    assert decide(instance, worker, told, RESTART_AFTER_S) is step


def test_a_crashed_worker_is_not_started_again_at_once() -> None:
    assert decide("i-1", Worker.CRASHED, HERE, RESTART_AFTER_S - 1) is Step.WAIT


@given(st.sampled_from([None, "i-1"]), st.sampled_from(list(Worker)), st.floats(0, 1e6))
def test_while_aws_is_away_no_machine_changes(instance: str | None, worker: Worker, down_s: float) -> None:
    assert decide(instance, worker, Told(seen=False), down_s) is Step.WAIT


# --- whose body is whose ---------------------------------------------------------------------------------------------


def test_a_machine_that_is_restarted_is_the_same_instance() -> None:
    first = settle({}, ["i-1", "i-2"], "a", "10.0.0.1", ["i-1", "i-2"], 0)
    again = settle(first.claims, ["i-1", "i-2"], "a", "10.0.0.9", ["i-1", "i-2"], SILENT_S - 1)
    assert first.instance == again.instance == "i-1"
    assert again.claims["i-1"].address == "10.0.0.9"


def test_a_silent_machine_has_failed_its_check() -> None:
    claims = {"i-1": Claim("a", "", 0), "i-2": Claim("b", "", SILENT_S)}
    settled = settle(claims, ["i-1", "i-2"], "b", "", ["i-1", "i-2"], SILENT_S + 1)
    assert settled.silent == ("i-1",)
    assert set(settled.claims) == {"i-2"}


def test_an_endpoint_that_was_away_blames_nobody() -> None:
    claims = {"i-1": Claim("a", "", 0), "i-2": Claim("b", "", 0)}
    assert settle(claims, ["i-1", "i-2"], "b", "", ["i-1", "i-2"], SILENT_S * 10).silent == ()


class Fleet(RuleBasedStateMachine):
    """Instances come and go, machines ask in any order: never two of one for one of the other."""

    def __init__(self) -> None:
        super().__init__()
        self.claims: dict[str, Claim] = {}
        self.running: list[str] = []
        self.now_s, self.launched = 0.0, 0

    @rule()
    def launch(self) -> None:
        self.launched += 1
        self.running.append(f"i-{self.launched}")

    @rule(which=st.integers(0, 9))
    def terminate(self, which: int) -> None:
        if self.running:
            self.running.pop(which % len(self.running))

    @rule(host=st.sampled_from("abcd"), passed_s=st.floats(0, SILENT_S))
    def ask(self, host: str, passed_s: float) -> None:
        self.now_s += passed_s
        had = next((id for id, claim in self.claims.items() if claim.host == host and id in self.running), None)
        free = [id for id in self.running if id not in self.claims]
        settled = settle(self.claims, self.running, host, host, self.running, self.now_s)
        self.claims = settled.claims
        assert settled.instance in {had} if had else settled.instance in {*free[:1], *([] if free else [None])}
        for silent in settled.silent:
            assert silent != settled.instance
            self.running.remove(silent)

    @invariant()
    def nobody_is_two(self) -> None:
        hosts = [claim.host for claim in self.claims.values()]
        assert len(hosts) == len(set(hosts))


TestFleet = Fleet.TestCase


# --- the real endpoint, and a real machine ---------------------------------------------------------------------------


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    port = next(port for port in range(29_000, 29_900) if is_free(port))
    environ = {**os.environ, "AWS_DEFAULT_REGION": "eu-north-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    ends = '{"postgres": 1, "warehouse": 2}'
    process = subprocess.Popen(
        [sys.executable, "-m", "console.sandbox.aws", str(port), "docker/platform.yaml", ends], cwd=ROOT, env=environ
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{url}/sandbox/machine", timeout=2).read()
            break
        except OSError:
            time.sleep(0.2)
    yield url
    process.terminate()
    process.wait(10)


def machine(url: str, host: str, queue: str = "io") -> dict[str, Any]:
    body = json.dumps({"host": host, "address": "10.9.8.7", "queue": queue}).encode()
    request = urllib.request.Request(f"{url}/sandbox/machine", body)
    answer: dict[str, Any] = json.load(urllib.request.urlopen(request, timeout=10))
    return answer


def state_of(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found


def test_a_terminated_instance_ends_its_machine_and_the_spare_one_becomes_the_next(aws: str, tmp_path: Path) -> None:
    first, second, spare = machine(aws, "a"), machine(aws, "b"), machine(aws, "c")
    assert first["instance"] != second["instance"]
    assert (first["queue"], first["concurrency"], first["version"]) == ("io", 16, "1")
    assert spare["instance"] is None
    ec2 = boto3.client("ec2", endpoint_url=aws)
    seen = ec2.describe_instances(InstanceIds=[first["instance"]])["Reservations"][0]["Instances"][0]
    assert seen["PrivateIpAddress"] == "10.9.8.7"

    # A real machine takes over from "a", which is not heard of again: its worker is a program that ignores TERM.
    autoscaling = boto3.client("autoscaling", endpoint_url=aws)
    autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=first["instance"], ShouldDecrementDesiredCapacity=False
    )
    state = tmp_path / "body.json"
    marker = tmp_path / "worker"
    says = f"echo $PLATFORM_HOST {{instance}} {{queue}} {{concurrency}} > {marker}"
    worker = f"trap '' TERM; {says}; while :; do sleep 1; done"
    body = subprocess.Popen(
        [sys.executable, "-m", "console.sandbox.body", "io", "--", "bash", "-c", worker], cwd=ROOT,
        env={**os.environ, "AWS_ENDPOINT_URL": aws, "BODY_STATE": str(state)},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while state_of(state).get("worker") != "running" and time.monotonic() < deadline:
            time.sleep(0.1)
        mine = state_of(state)["instance"]
        assert mine not in {first["instance"], second["instance"]}
        assert marker.read_text().split() == [mine, mine, "io", "16"]
        assert mine in text(json.load(urllib.request.urlopen(f"{aws}/sandbox/machine")))
        autoscaling.terminate_instance_in_auto_scaling_group(InstanceId=mine, ShouldDecrementDesiredCapacity=True)
        assert body.wait(30) == 0  # it waited a moment, and killed what did not end
    finally:
        if body.poll() is None:
            body.send_signal(signal.SIGKILL)
