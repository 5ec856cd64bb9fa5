"""The environments: what CONTRACT names, quoted so that a shell reads the same values."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from console.sandbox import airflow, console_processes, env, postgres, redis_server
from console.sandbox.env import Site
from console.sandbox.home import MARK, Home

CONTRACT = (
    "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ALLOWED_HOSTS", "BASE_URL", "DEBUG", "PLATFORM_FILE", "AIRFLOW_URL",
    "AIRFLOW_USERNAME", "AIRFLOW_PASSWORD", "AIRFLOW_BROKER_URL", "WAREHOUSE_URL", "LEASE_URL", "AWS_ENDPOINT_URL",
    "SOURCE_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION",
)  # fmt: skip


@pytest.mark.parametrize("name", CONTRACT)
def test_the_console_gets_every_variable_of_the_contract(site: Site, name: str) -> None:
    assert env.console(site)[name]


@pytest.mark.parametrize("value", ["plain", "with space", "it's", 'a "quote"', "$HOME `id` \\", "line\nbreak", ""])
def test_a_shell_reads_back_what_was_written(value: str) -> None:
    text = env.render({"VALUE": value})
    shell = subprocess.run(["sh", "-c", text + 'printf %s "$VALUE"'], capture_output=True, text=True, check=True)
    assert shell.stdout == value


def test_nothing_of_the_callers_environment_configures_the_platform() -> None:

    outside = {
        "PATH": "/bin",
        "DATABASE_URL": "postgresql://elsewhere/x",
        "AIRFLOW_HOME": "/elsewhere",
        "PYTHONPATH": "/x",
    }
    inside = env.base(Home(Path("/srv/qd")), outside)
    assert inside["PATH"] == "/bin"
    assert not {"DATABASE_URL", "AIRFLOW_HOME", "PYTHONPATH"} & set(inside)
    assert inside[MARK] == "/srv/qd"


def test_the_warehouse_is_a_server_of_its_own(site: Site) -> None:
    values = env.console(site)
    assert f":{site.ports.warehouse}/warehouse" in values["WAREHOUSE_URL"]
    assert f":{site.ports.postgres}/shop" in values["SOURCE_URL"]


def test_the_console_and_airflow_have_different_redis_servers(site: Site) -> None:
    values = env.console(site)
    assert values["REDIS_URL"] != values["AIRFLOW_BROKER_URL"]
    assert airflow.env(site, "x")["AIRFLOW__CELERY__BROKER_URL"] == values["AIRFLOW_BROKER_URL"]


def test_airflows_processes_know_their_hosts_name(site: Site) -> None:
    values = airflow.env(site, "i-0123")
    assert values["PLATFORM_HOST"] == "i-0123"
    assert values["AIRFLOW__CORE__HOSTNAME_CALLABLE"] == "platform_host.name"


def test_a_worker_is_named_by_its_instance(site: Site) -> None:
    command = " ".join(airflow.worker(site, "i-0123", "io", 16).command)
    assert "celery worker --queues io --concurrency 16 --celery-hostname i-0123 --skip-serve-logs" in command


def test_no_command_line_holds_a_secret(site: Site) -> None:
    """Everybody on the machine can read those, and `processes.json` repeats them."""
    specs = [
        airflow.worker(site, "i-0123", "io", 16),
        airflow.scheduler_host(site, "scheduler-a"),
        airflow.api_server(site),
        redis_server.spec(site, "redis"),
        postgres.spec(site, "postgres"),
        *console_processes.specs(site),
    ]
    secrets = list(vars(site.secrets).values())
    for spec in specs:
        assert not [secret for secret in secrets if secret in " ".join(spec.command)], spec.name
