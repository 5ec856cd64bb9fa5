"""Settings → ports. The only place that composes adapters; only tasks and the watcher import it.

Each adapter is made once per process and is safe for threads. A test replaces one by patching the function.
"""

from __future__ import annotations

from functools import lru_cache

from console.platform.agents import Agents
from console.platform.airflow import Airflow
from console.platform.aws import Clients
from console.platform.broker import Broker
from console.platform.compute import Compute
from console.platform.database import Database
from console.platform.datastores import Datastores
from console.platform.declared import declaration
from console.platform.dms import Replication
from console.platform.files import BucketFiles, FolderFiles
from console.platform.heartbeats import Arrivals, Pulse
from console.platform.heartbeats_mysql import MysqlPulse
from console.platform.mysql import Mysql
from console.platform.mysql_tables import TABLES_S, MysqlTables
from console.platform.ports import (
    AgentsPort,
    AirflowPort,
    ArrivalsPort,
    AssetsPort,
    BrokerPort,
    ComputePort,
    DatastoresPort,
    FilesPort,
    PlatformError,
    PulsePort,
    ReplicationPort,
    WarehousePort,
)
from console.platform.warehouse import Warehouse


@lru_cache(maxsize=1)
def airflow() -> AirflowPort:
    """Airflow's REST API."""
    return Airflow(declaration().airflow)


def assets() -> AssetsPort:
    """Assets of the same Airflow."""
    found = airflow()
    assert isinstance(found, Airflow)
    return found


@lru_cache(maxsize=1)
def broker() -> BrokerPort:
    """The Redis broker of Airflow's Celery workers."""
    return Broker(declaration().broker)


@lru_cache(maxsize=1)
def _clients() -> Clients:
    return Clients(declaration().region)


@lru_cache(maxsize=1)
def compute() -> ComputePort:
    """Auto Scaling Groups and EC2."""
    return Compute(_clients())


@lru_cache(maxsize=1)
def replication() -> ReplicationPort:
    """DMS and its CloudWatch metrics."""
    return Replication(_clients())


@lru_cache(maxsize=1)
def datastores() -> DatastoresPort:
    """RDS and ElastiCache."""
    return Datastores(_clients())


@lru_cache(maxsize=64)
def files(storage: str) -> FilesPort:
    """The storage of this id. PlatformError `not_found` where it is not declared."""
    declared = declaration().storage_of(storage)
    if declared is None:
        raise PlatformError(
            f"the storage {storage}",
            "not_found",
            f"the storage {storage} is not declared",
            remedy="Add it to `storage` in platform.yaml.",
            permanent=True,
        )
    if declared.folder:
        return FolderFiles(declared.folder)
    return BucketFiles(_clients(), declared.bucket, declared.prefix)


@lru_cache(maxsize=1)
def warehouse() -> WarehousePort:
    """The warehouse. PlatformError `not_found` where none is declared."""
    url = declaration().warehouse_url
    if not url:
        raise PlatformError(
            "the warehouse",
            "not_found",
            "no warehouse is declared",
            remedy="Add `warehouse: {url: …}` to platform.yaml.",
            permanent=True,
        )
    return Warehouse(Database("the warehouse", url, "WAREHOUSE_URL"))


@lru_cache(maxsize=1)
def arrivals() -> ArrivalsPort:
    """The heartbeats in the warehouse, over a connection of their own: the evidence's query may be slow."""
    warehouse()  # raises where none is declared
    return Arrivals(Database("the warehouse", declaration().warehouse_url, "WAREHOUSE_URL"))


@lru_cache(maxsize=64)
def pulse(name: str) -> PulsePort:
    """The heartbeats of the source of this name. PlatformError `not_found` where it is not declared."""
    source = next((source for source in declaration().sources if source.name == name), None)
    system = f"the source {name}"
    if source is None:
        raise PlatformError(
            system, "not_found", f"{system} is not declared", remedy="Add it to `sources`.", permanent=True
        )
    variable = f"the URL of source {name} in platform.yaml"
    if source.engine == "mysql":
        return MysqlPulse(Mysql(system, source.url, variable))
    return Pulse(Database(system, source.url, variable))


@lru_cache(maxsize=1)
def agents() -> AgentsPort:
    """The lease store, on Airflow's metadata database server. PlatformError `not_found` where none is declared."""
    url = declaration().lease_url
    if not url:
        raise PlatformError(
            "the lease store",
            "not_found",
            "no lease store is declared",
            remedy="Add `lease: {url: …}` to platform.yaml.",
            permanent=True,
        )
    return Agents(Database("the lease store", url, "LEASE_URL"))


@lru_cache(maxsize=64)
def origin(name: str) -> WarehousePort:
    """The source database of this name. PlatformError `not_found` where it is not declared."""
    system = f"the source {name}"
    for source in declaration().sources:
        if source.name != name:
            continue
        variable = f"the URL of source {name} in platform.yaml"
        if source.engine == "mysql":
            return MysqlTables(Mysql(system, source.url, variable, zone="+00:00", statement_s=TABLES_S))
        return Warehouse(Database(system, source.url, variable))
    raise PlatformError(
        system, "not_found", f"{system} is not declared", remedy="Add it to `sources` in platform.yaml.", permanent=True
    )


def forget() -> None:
    """Drop every adapter, so that the next call reads the declaration again (for tests)."""
    for made in (
        airflow,
        broker,
        _clients,
        compute,
        replication,
        datastores,
        files,
        warehouse,
        agents,
        origin,
        arrivals,
        pulse,
    ):
        made.cache_clear()
