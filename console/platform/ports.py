"""What the console asks of the platform: one Protocol per system, and one error for every way it can fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from console.platform.agents_readings import LeasesReading, ReceiptReading
from console.platform.readings import (
    ArrivalsReading,
    BeatOrder,
    BrokerReading,
    DatastoreReading,
    FilesReading,
    FleetMetric,
    GroupReading,
    PoolReading,
    PulseReading,
    ReplicationTaskReading,
    SchedulerReading,
    TableStatistics,
    TaskInstance,
    TasksReading,
    TerminationNotice,
    UpcomingRun,
    WarehouseReading,
    WorkerHeartbeat,
    WorkerReading,
)


class PlatformError(Exception):
    """A system of the platform could not be read or changed.

    `system` names it as an operator would ("Airflow's API"), `code` is stable and short (`timeout`, `refused`,
    `unauthorised`, `forbidden`, `not_found`, `malformed`, `unavailable`, `throttled`, `rejected`), the message is one
    sentence without secrets, `remedy` says what to look at. `permanent`: trying again unchanged can't help.
    """

    def __init__(self, system: str, code: str, message: str, *, remedy: str = "", permanent: bool = False) -> None:
        super().__init__(message)
        self.system = system
        self.code = code
        self.message = message
        self.remedy = remedy
        self.permanent = permanent


class AirflowPort(Protocol):
    """Airflow's REST API."""

    def scheduler(self) -> SchedulerReading: ...

    def tasks(self, queues: Sequence[str], *, limit: int) -> TasksReading: ...

    def pools(self) -> tuple[PoolReading, ...]: ...

    def running(self, queue: str, *, limit: int) -> tuple[tuple[TaskInstance, ...], bool]:
        """The running instances of one queue, oldest first, and whether these are all."""
        ...

    def durations(self, dag_id: str, task_id: str, *, limit: int) -> tuple[float, ...]:
        """Seconds that the newest successful runs of a task took, newest first."""
        ...

    def upcoming(self, *, limit: int) -> tuple[UpcomingRun, ...]:
        """When the next run of each scheduled, unpaused DAG is due."""
        ...

    def started(self, since: datetime, *, limit: int) -> tuple[TaskInstance, ...]:
        """Task instances that started at `since` or later, the earliest first, up to `limit`."""
        ...

    def put_pool(self, name: str, slots: int, description: str, include_deferred: bool) -> None: ...

    def delete_pool(self, name: str) -> None: ...


class AssetsPort(Protocol):
    """Assets of Airflow 3, by its REST API."""

    def asset(self, wanted: str) -> int | None:
        """The id of the active asset of this name or URI; None: there is none."""
        ...

    def asset_event(self, asset: int, mark: tuple[str, str], since: datetime) -> int | None:
        """The asset's event since then whose extra has this key and value; None: there is none."""
        ...

    def tell_asset(self, asset: int, extra: Mapping[str, Any]) -> int:
        """Make an event of the asset; its id. Not idempotent: a lost answer leaves open whether it was made."""
        ...


class BrokerPort(Protocol):
    """The Redis broker of Airflow's Celery workers."""

    def queues(self, queues: Sequence[str]) -> BrokerReading: ...

    def workers(self, nodes: Sequence[str], *, timeout_s: float) -> tuple[WorkerReading, ...]:
        """Ask exactly these nodes. An empty sequence asks nobody and returns nothing (Celery would ask ALL)."""
        ...

    def cancel(self, nodes: Sequence[str], queues: Sequence[str]) -> None:
        """Tell exactly these nodes to take nothing more from the queues. Scheduled, not done: look again."""
        ...

    def consume(self, nodes: Sequence[str], queues: Sequence[str]) -> None: ...

    def stop(self, nodes: Sequence[str]) -> None:
        """Warm shutdown of exactly these nodes."""
        ...

    def send_canary(self, nodes: Sequence[str]) -> None:
        """Have each of these workers run one harmless task that no other can take; `canaries` counts them."""
        ...

    def end_canary(self, nodes: Sequence[str]) -> None:
        """The queue of its own that a canary came by is consumed no more."""
        ...

    def heartbeats(self, *, idle_s: float) -> Iterator[WorkerHeartbeat | None]:
        """Worker events for ever; None whenever `idle_s` passed without one. Ends by PlatformError."""
        ...


class ComputePort(Protocol):
    """Auto Scaling Groups and EC2."""

    def groups(self, names: Sequence[str]) -> tuple[GroupReading, ...]:
        """The groups that exist of those named; a missing one is absent from the answer."""
        ...

    def set_desired(self, group: str, desired: int) -> None: ...

    def set_limits(self, group: str, minimum: int, maximum: int) -> None: ...

    def set_version(self, group: str, version: str) -> None: ...

    def terminate(self, group: str, instance_id: str, *, decrement: bool) -> None:
        """End an instance. Not idempotent."""
        ...

    def protect(self, group: str, instance_ids: Sequence[str], *, protected: bool) -> None:
        """Whether the group itself may choose these instances when it gets smaller."""
        ...

    def notices(self, queue: str) -> tuple[TerminationNotice, ...]:
        """The terminations that groups announced in this SQS queue; a message is told again until it is forgotten."""
        ...

    def forget_notices(self, queue: str, receipts: Sequence[str]) -> None: ...

    def keep_waiting(self, group: str, hook: str, instance_id: str, token: str) -> None:
        """The termination waits for as long again. One that waits no more is taken as done."""
        ...

    def let_go(self, group: str, hook: str, instance_id: str, token: str) -> None:
        """The termination goes on. One that waits no more is taken as done."""
        ...

    def publish(self, metrics: Sequence[FleetMetric]) -> None:
        """Put points into CloudWatch, for the group's own scaling policies."""
        ...


class ReplicationPort(Protocol):
    """DMS and its CloudWatch metrics."""

    def tasks(self, identifiers: Sequence[str], *, now: datetime) -> tuple[ReplicationTaskReading, ...]: ...

    def runs(self, identifiers: Sequence[str]) -> dict[str, str]:
        """In which run each of those tasks is, by its identifier; only those that run."""
        ...

    def table_statistics(self, arn: str) -> tuple[TableStatistics, ...]: ...

    def resume(self, arn: str) -> None:
        """Start a task where it stopped. One that starts or runs already is left alone."""
        ...

    def reload_table(self, arn: str, schema: str, table: str) -> None:
        """Load a table anew. Not idempotent."""
        ...


class WarehousePort(Protocol):
    """A database in which tables are looked at: the warehouse (Redshift) or a source."""

    def evidence(self, tables: Sequence[tuple[str, str, str]]) -> WarehouseReading:
        """The newest stamps of `(declared name, schema.table, column)`, in one query."""
        ...


class PulsePort(Protocol):
    """A source database into which heartbeats are written."""

    def beat(self, source: str, orders: Sequence[BeatOrder]) -> PulseReading:
        """Write a heartbeat into each table, in one transaction; those that are not there are named."""
        ...


class ArrivalsPort(Protocol):
    """The warehouse, into which DMS carries the heartbeats."""

    def arrivals(self, sources: Sequence[tuple[str, str, str, str, tuple[str, ...]]]) -> ArrivalsReading:
        """The heartbeat rows of `(source, task, schema.table, control schema, names)`, in one query."""
        ...


class DatastoresPort(Protocol):
    """RDS and ElastiCache."""

    def datastores(self, wanted: Sequence[tuple[str, str, str]]) -> tuple[DatastoreReading, ...]:
        """Those that exist of `(id, kind, identifier)`."""
        ...


class FilesPort(Protocol):
    """The files that tasks hand to each other: a bucket, or a folder."""

    def files(self, below: str = "") -> FilesReading:
        """Those whose keys begin with `below`, in the order of their keys, as many as one look may read."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Remove files for good; one that is gone already is no error."""
        ...


class AgentsPort(Protocol):
    """The lease store: what agents tell, and the orders they take."""

    def leases(self, lease: str) -> LeasesReading: ...

    def receipts(self, names: Sequence[str], since: datetime) -> tuple[ReceiptReading, ...]: ...

    def order_takeover(self, lease: str, holder: str, candidate: str, kind: str, reason: str, for_s: float) -> None: ...

    def withdraw_order(self, lease: str, candidate: str) -> None: ...

    def hold_takeovers(self, lease: str, for_s: float, reason: str) -> None: ...


class Ports(Protocol):
    """Every system of the platform; `console.platform.connect` is one."""

    def airflow(self) -> AirflowPort: ...

    def broker(self) -> BrokerPort: ...

    def compute(self) -> ComputePort: ...

    def replication(self) -> ReplicationPort: ...

    def warehouse(self) -> WarehousePort: ...

    def origin(self, name: str) -> WarehousePort: ...

    def pulse(self, name: str) -> PulsePort: ...

    def arrivals(self) -> ArrivalsPort: ...

    def datastores(self) -> DatastoresPort: ...

    def files(self, storage: str) -> FilesPort: ...

    def agents(self) -> AgentsPort: ...
