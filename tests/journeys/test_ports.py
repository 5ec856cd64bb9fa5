"""The adapters' contracts against the sandbox's real platform: real Airflow, workers and databases.

It changes nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from console.platform.airflow import Airflow
from console.platform.aws import Clients
from console.platform.broker import Broker
from console.platform.compute import Compute
from console.platform.database import Database
from console.platform.datastores import Datastores
from console.platform.declared import Declaration, parse
from console.platform.dms import Replication
from console.platform.warehouse import Warehouse
from console.sandbox.home import REPOSITORY
from tests.journeys.conftest import Sandbox
from tests.platform.contracts import (
    AirflowContract,
    BrokerContract,
    ComputeContract,
    DatastoresContract,
    ReplicationContract,
    WarehouseContract,
)

pytestmark = [pytest.mark.sandbox, pytest.mark.usefixtures("fixed_sizes")]


@pytest.fixture
def declared(sandbox: Sandbox) -> Declaration:
    return parse((REPOSITORY / "console" / "sandbox" / "platform.yaml").read_text(), sandbox.env)


@pytest.fixture
def clients(sandbox: Sandbox, declared: Declaration, monkeypatch: pytest.MonkeyPatch) -> Clients:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, sandbox.env[name])
    return Clients(declared.region)


class TestAirflow(AirflowContract):
    @pytest.fixture
    def airflow(self, declared: Declaration) -> Airflow:
        return Airflow(declared.airflow)

    def test_names_the_declared_scheduler_hosts(self, airflow: Airflow, declared: Declaration) -> None:
        hosts = {job.host for job in airflow.scheduler().jobs if job.kind == "SchedulerJob"}
        assert hosts
        assert hosts <= set(declared.airflow.schedulers)

    def test_agrees_with_airflows_own_pools(self, airflow: Airflow, sandbox: Sandbox) -> None:
        own = {pool["name"]: pool["slots"] for pool in sandbox.airflow("GET", "/pools")["pools"]}
        assert {pool.name: pool.slots for pool in airflow.pools()} == own


class TestCompute(ComputeContract):
    @pytest.fixture
    def compute(self, clients: Clients) -> Compute:
        return Compute(clients)

    @pytest.fixture
    def groups(self, declared: Declaration) -> list[str]:
        return [fleet.group for fleet in declared.fleets]


class TestBroker(BrokerContract):
    @pytest.fixture
    def broker(self, declared: Declaration) -> Broker:
        return Broker(declared.broker)

    @pytest.fixture
    def nodes(self, clients: Clients, declared: Declaration) -> list[str]:
        """Each instance's worker is named by the instance's id."""
        groups = Compute(clients).groups([fleet.group for fleet in declared.fleets])
        return [
            f"celery@{each.instance_id}"
            for group in groups
            for each in group.instances
            if each.lifecycle == "InService"
        ]


class TestReplication(ReplicationContract):
    @pytest.fixture
    def replication(self, clients: Clients) -> Replication:
        return Replication(clients)

    @pytest.fixture
    def tasks(self, declared: Declaration) -> list[str]:
        return [task.identifier for task in declared.tasks]

    def test_every_declared_table_has_statistics(self, replication: Replication, declared: Declaration) -> None:
        names = {task.identifier: task.name for task in declared.tasks}
        for task in replication.tasks(list(names), now=datetime.now(UTC)):
            rows = {f"{row.schema}.{row.table}" for row in replication.table_statistics(task.arn)}
            of_task = [table for table in declared.tables if table.task == names[task.identifier]]
            assert {table.name.split(".", 1)[1] for table in of_task} <= rows


class TestDatastores(DatastoresContract):
    @pytest.fixture
    def datastores(self, clients: Clients) -> Datastores:
        return Datastores(clients)

    @pytest.fixture
    def stores(self, declared: Declaration) -> list[tuple[str, str, str]]:
        return [(store.id, store.kind, store.identifier) for store in declared.datastores]


class TestWarehouse(WarehouseContract):
    @pytest.fixture
    def warehouse(self, declared: Declaration) -> Warehouse:
        return Warehouse(Database("the warehouse", declared.warehouse_url, "WAREHOUSE_URL"))

    @pytest.fixture
    def tables(self, declared: Declaration) -> list[tuple[str, str, str]]:
        return [(table.name, table.warehouse, table.column) for table in declared.tables]


class TestSource(WarehouseContract):
    @pytest.fixture
    def warehouse(self, declared: Declaration) -> Warehouse:
        source = next(source for source in declared.sources if source.name == "shop")
        return Warehouse(Database("the source shop", source.url, "SOURCE_URL"))

    @pytest.fixture
    def tables(self, declared: Declaration) -> list[tuple[str, str, str]]:
        named = [(table.name, *table.name.split(".", 1), table.column) for table in declared.tables]
        return [(name, relation, column) for name, source, relation, column in named if source == "shop"]
