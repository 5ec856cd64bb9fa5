"""docker/compose.yaml: complete, without a secret, and every service as confined as production's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCKER = Path(__file__).parents[2] / "docker"
TEXT = (DOCKER / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
BASES = {
    "docker.io/library/python:3.11-slim-bookworm",
    "docker.io/library/postgres:15-bookworm",
    "docker.io/library/redis:7-bookworm",
}
ONCE = {"console-migrate", "airflow-migrate", "sources-install"}


def variables(text: str) -> set[str]:
    return set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", text))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A fresh .env."""
    file = tmp_path_factory.mktemp("env") / "env"
    subprocess.run([str(DOCKER / "env"), str(file)], check=True, capture_output=True, timeout=30)
    assert file.stat().st_mode & 0o077 == 0, "others may read the secrets"
    lines = (line for line in file.read_text().splitlines() if "=" in line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def test_the_platform_is_whole() -> None:
    wanted = {
        "postgres", "redis", "broker", "airflow-api", "scheduler-a", "scheduler-b", "dag-processor", "triggerer",
        "worker-default", "worker-cpu", "worker-io", "aws", "source", "warehouse", "replication", "proxy",
    }  # fmt: skip
    assert wanted <= set(SERVICES)
    for name in ("web", "worker", "beat", "watch"):
        deploy = SERVICES[name]["deploy"]
        assert (deploy["mode"], deploy["replicas"]) == ("replicated", 2)
    for name in ("worker-default", "worker-cpu", "worker-io"):
        deploy = SERVICES[name]["deploy"]
        assert deploy["mode"] == "replicated"
        assert deploy["replicas"] >= 2


def test_core_is_the_console_with_its_own_stores() -> None:
    core = {name for name, service in SERVICES.items() if "core" in service["profiles"]}
    assert core == {"postgres", "redis", "console-migrate", "web", "worker", "beat", "watch", "proxy"}
    for name in core:
        needed = SERVICES[name].get("depends_on", {})
        assert set(needed) <= core, f"{name} waits for what core does not start"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_each_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert service["restart"] in ({"on-failure"} if name in ONCE else {"unless-stopped"})
    if name not in ONCE:
        assert service["healthcheck"]["test"]
    image = service["image"]
    assert image in BASES or (image.startswith("quarterdeck/") and service["build"]["target"] == image.split("/")[1])
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:"), "published beyond this machine"


def test_workers_share_no_filesystem() -> None:
    airflow = [service for service in SERVICES.values() if service["image"] == "quarterdeck/airflow"]
    assert len(airflow) >= 8
    assert not [service["volumes"] for service in airflow if service.get("volumes")]


def test_no_secret_is_in_the_file() -> None:
    """Whatever is called a secret is a reference; and no URL holds a password in plain."""
    for name, service in SERVICES.items():
        for variable, value in (service.get("environment") or {}).items():
            if (
                variable.endswith(("PASSWORD", "SECRET", "KEY", "TOKEN", "AUTH"))
                and variable != "AWS_SECRET_ACCESS_KEY"
            ):
                assert str(value).startswith("${"), f"{name}: {variable}"
    for user, password in re.findall(r"://([a-z]*):([^@\s]+)@", TEXT):
        assert password.startswith("${"), f"the password of {user or 'a URL'} is in the file"


def test_every_variable_is_made_or_has_a_default(settings: dict[str, str]) -> None:
    defaulted = set(re.findall(r"(?<!\$)\$\{([A-Z_]+):?-", TEXT))
    assert variables(TEXT) - defaulted <= set(settings)


def test_secrets_are_long_fresh_and_safe_in_a_url(settings: dict[str, str], tmp_path: Path) -> None:
    secrets = {name: value for name, value in settings.items() if name.endswith(("_PASSWORD", "_KEY", "_SECRET"))}
    assert len(secrets) >= 11
    for name, value in secrets.items():
        assert len(value) >= 20, name
        assert re.fullmatch(r"[A-Za-z0-9_=-]+", value), name
    subprocess.run([str(DOCKER / "env"), str(tmp_path / "env")], check=True, capture_output=True, timeout=30)
    other = (tmp_path / "env").read_text()
    assert not [name for name, value in secrets.items() if value in other]


def test_a_second_run_changes_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "env"
    subprocess.run([str(DOCKER / "env"), str(file)], check=True, capture_output=True, timeout=30)
    before = file.read_text()
    subprocess.run([str(DOCKER / "env"), str(file)], check=True, capture_output=True, timeout=30)
    assert file.read_text() == before


def test_only_three_base_images_are_used() -> None:
    dockerfile = (DOCKER / "Dockerfile").read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", dockerfile, re.MULTILINE))
    bases = set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) - stages - {"scratch"}
    assert bases | {service["image"] for service in SERVICES.values() if "/library/" in service["image"]} == BASES


def test_packages_come_before_code_in_every_image() -> None:
    """So a change of code alone rebuilds in seconds: no stage installs packages after it has copied code."""
    for stage in (DOCKER / "Dockerfile").read_text().split("\nFROM ")[1:]:
        copied = [line for line in stage.splitlines() if line.startswith("COPY ") and "--from" not in line]
        installs = re.search(r"-r /tmp/\S+\.lock", stage)
        if installs:
            assert all(".lock" in line for line in copied), stage.splitlines()[0]


def test_the_context_holds_no_secret_and_no_history() -> None:
    ignored = (DOCKER.parent / ".dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*", "what is not named goes in"
    assert not [rule for rule in rules if rule.startswith("!") and ("env" in rule or "git" in rule)]


def test_the_declaration_has_a_machine_for_each_instance() -> None:
    """A group may launch as many instances as there are containers for it, and no more."""
    declared = yaml.safe_load((DOCKER / "platform.yaml").read_text())
    for fleet in declared["fleets"]:
        assert SERVICES[f"worker-{fleet['queue']}"]["deploy"]["replicas"] == fleet["max"]
        assert fleet["baseline"] == 2


def test_the_stages_of_up_are_all_services_in_an_order_that_compose_would_choose() -> None:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("cluster_engine", DOCKER / "cluster" / "engine.py")
    assert spec
    assert spec.loader
    engine = module_from_spec(spec)
    import sys

    sys.modules["cluster_engine"] = engine
    spec.loader.exec_module(engine)
    for stages, profile in ((engine.CORE, "core"), (engine.PLATFORM, "platform")):
        order = {name: number for number, stage in enumerate(stages) for name in stage}
        assert set(order) == {name for name, service in SERVICES.items() if profile in service["profiles"]}
        for name, number in order.items():
            for needed in SERVICES[name].get("depends_on", {}):
                assert order[needed] < number or profile not in SERVICES[needed]["profiles"], f"{name} before {needed}"
