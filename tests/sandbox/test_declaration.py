"""The sandbox's declaration, its account and its DAGs speak of the same things."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from console.sandbox import airflow, env
from console.sandbox.env import Site
from console.sandbox.home import REPOSITORY

DECLARATION = yaml.safe_load((REPOSITORY / "console" / "sandbox" / "platform.yaml").read_text())
QUEUES = {fleet["queue"] for fleet in DECLARATION["fleets"]}
DAGS = sorted(airflow.DAGS.glob("*.py"))


def test_every_variable_it_names_is_in_the_consoles_environment(site: Site) -> None:
    text = (REPOSITORY / "console" / "sandbox" / "platform.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+)\}", text)) <= set(env.console(site))


def test_cpu_workers_have_a_slot_per_core_and_io_workers_many() -> None:
    fleets = {fleet["queue"]: fleet for fleet in DECLARATION["fleets"]}
    assert fleets["cpu"]["concurrency"] == fleets["cpu"]["vcpus"]
    assert fleets["io"]["concurrency"] >= 4 * fleets["io"]["vcpus"]
    assert [fleet["baseline"] for fleet in fleets.values()] == [2, 2, 2]


def test_its_tables_are_tables_of_its_sources() -> None:
    texts = [(REPOSITORY / f"console/sandbox/{source['name']}.sql").read_text() for source in DECLARATION["sources"]]
    made = set(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", "".join(texts)))
    assert {table["name"].rpartition(".")[2] for table in DECLARATION["tables"]} == made


def queues_of(path: Path) -> set[str]:
    """The queues that a DAG file names, from its syntax tree: Airflow is not installed here."""
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "queue" and isinstance(node.value, ast.Constant):
            found.add(str(node.value.value))
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                named = isinstance(key, ast.Constant) and key.value == "queue"
                if named and isinstance(value, ast.Constant):
                    found.add(str(value.value))
    return found


def test_every_queue_is_kept_busy_by_a_scheduled_dag() -> None:
    scheduled = [path for path in DAGS if "schedule=timedelta" in path.read_text()]
    assert set().union(*(queues_of(path) for path in scheduled)) == QUEUES


@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.stem)
def test_no_dag_names_a_queue_that_no_fleet_serves(path: Path) -> None:
    assert queues_of(path) <= QUEUES


@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.stem)
def test_no_dag_holds_an_address_of_this_machine(path: Path) -> None:
    assert not re.search(r"127\.0\.0\.1|localhost|/home/|/tmp/", path.read_text())


def test_the_lock_pins_everything_and_names_no_host() -> None:
    lines = [line for line in airflow.LOCK.read_text().splitlines() if line]
    assert all(re.match(r"^[\w.-]+==[\w.!+]+( ; .+)?$", line) for line in lines)
    assert any(line.startswith("apache-airflow==3.3.") for line in lines)
    celery: Any = next(line for line in lines if line.startswith("celery=="))
    assert celery < "celery==5.7"
