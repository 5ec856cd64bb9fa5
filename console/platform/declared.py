"""`platform.yaml`: the declaration of what is operated, parsed into frozen values."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Fault:
    """One fault of the declaration: where (`fleets[1].baseline`), what, and the remedy."""

    path: str
    message: str
    hint: str


class DeclarationError(Exception):
    """The declaration can't be used; `faults` holds every reason."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(f"{fault.path}: {fault.message}" for fault in faults))
        self.faults = faults


@dataclass(frozen=True, repr=False)
class AirflowDeclared:
    url: str
    username: str
    password: str
    token: str
    schedulers: tuple[str, ...]  # hosts on which a scheduler may run
    active_active: bool


@dataclass(frozen=True, repr=False)
class BrokerDeclared:
    url: str
    key_prefix: str
    visibility_timeout_s: float


@dataclass(frozen=True)
class FleetDeclared:
    queue: str
    group: str  # the Auto Scaling Group's name
    hardware: str  # cpu-bound | io-bound | general
    instance_type: str
    vcpus: int
    concurrency: int  # slots per worker
    baseline: int
    max: int
    price_per_hour: float  # USD


@dataclass(frozen=True, repr=False)
class SourceDeclared:
    name: str
    engine: str  # postgresql | mysql
    url: str


@dataclass(frozen=True)
class TaskDeclared:
    """A DMS replication task."""

    name: str
    source: str
    identifier: str


@dataclass(frozen=True)
class TableDeclared:
    name: str  # source.schema.table
    task: str
    warehouse: str  # schema.table at the warehouse
    column: str  # the stamp that is shown as evidence
    slo_s: float


@dataclass(frozen=True)
class DatastoreDeclared:
    id: str
    kind: str  # rds | elasticache
    identifier: str


@dataclass(frozen=True, repr=False)
class Declaration:
    name: str
    region: str
    airflow: AirflowDeclared
    broker: BrokerDeclared
    warehouse_url: str
    lease_url: str
    fleets: tuple[FleetDeclared, ...]
    sources: tuple[SourceDeclared, ...]
    tasks: tuple[TaskDeclared, ...]
    tables: tuple[TableDeclared, ...]
    datastores: tuple[DatastoreDeclared, ...]

    def fleet(self, queue: str) -> FleetDeclared | None:
        return next((fleet for fleet in self.fleets if fleet.queue == queue), None)


@lru_cache(maxsize=1)
def declaration() -> Declaration:
    """The declaration of `settings.PLATFORM_FILE`, read once per process. Raises DeclarationError."""
    from django.conf import settings

    raw = yaml.safe_load(Path(settings.PLATFORM_FILE).read_text())

    def value(text: Any) -> Any:
        return re.sub(r"\$\{(\w+)\}", lambda m: os.environ.get(m[1], ""), text) if isinstance(text, str) else text

    airflow = raw["airflow"]
    return Declaration(
        name=raw["name"],
        region=raw["region"],
        airflow=AirflowDeclared(
            value(airflow["url"]),
            value(airflow.get("username", "")),
            value(airflow.get("password", "")),
            value(airflow.get("token", "")),
            tuple(airflow["schedulers"]),
            bool(airflow.get("active_active")),
        ),
        broker=BrokerDeclared(value(raw["broker"]["url"]), raw["broker"].get("key_prefix", ""), 86400.0),
        warehouse_url=value(raw["warehouse"]["url"]),
        lease_url=value(raw["lease"]["url"]),
        fleets=tuple(FleetDeclared(**fleet) for fleet in raw["fleets"]),
        sources=tuple(SourceDeclared(s["name"], s["engine"], value(s["url"])) for s in raw["sources"]),
        tasks=tuple(TaskDeclared(**task) for task in raw["tasks"]),
        tables=tuple(
            TableDeclared(t["name"], t["task"], t["warehouse"], t["column"], 60.0 * int(t["slo"].removesuffix("m")))
            for t in raw["tables"]
        ),
        datastores=tuple(DatastoreDeclared(**store) for store in raw["datastores"]),
    )
