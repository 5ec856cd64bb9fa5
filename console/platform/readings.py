"""What the platform said, at one moment: frozen values, as adapters return them.

`None` in a field means that it could not be seen (never "zero" and never "no"). Times are aware, in UTC; names that end
in `_s` are seconds. No reading holds a task's arguments: in Airflow 3 they carry a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

# --- Airflow -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ComponentHealth:
    """One component in Airflow's `monitor/health`: its own verdict and the newest heartbeat of its kind."""

    kind: str  # scheduler, triggerer, dag_processor, metadatabase
    status: str | None  # "healthy", "unhealthy"; None: Airflow does not say
    heartbeat_at: datetime | None


@dataclass(frozen=True)
class JobReading:
    """One row of Airflow's Job table. Airflow's own `is_alive` is not used: it is unreliable."""

    id: int
    kind: str  # SchedulerJob, TriggererJob, DagProcessorJob
    host: str
    state: str  # running, success, failed, …
    started_at: datetime | None
    ended_at: datetime | None
    heartbeat_at: datetime | None


@dataclass(frozen=True)
class SchedulerReading:
    """Airflow's health and the newest jobs, newest first (bounded)."""

    version: str | None
    components: tuple[ComponentHealth, ...]
    jobs: tuple[JobReading, ...]
    dags: int | None  # active DAGs
    import_errors: int | None


@dataclass(frozen=True)
class TaskIdentity:
    """Which task instance; all that is kept of a Celery message or of an API row's key."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int = -1
    try_number: int | None = None


@dataclass(frozen=True)
class TaskInstance:
    """A queued or running task instance as Airflow's API tells it."""

    identity: TaskIdentity
    state: str  # queued, running, …
    queue: str
    pool: str
    hostname: str | None  # where it runs; None while it is queued
    queued_at: datetime | None
    started_at: datetime | None


@dataclass(frozen=True)
class QueueCount:
    """Queued and running task instances of one queue, by Airflow's own count."""

    queue: str
    queued: int
    running: int


@dataclass(frozen=True)
class TasksReading:
    """Work in hand. `counts` is exact for each queue asked for; `instances` holds the oldest ones up to a limit."""

    counts: tuple[QueueCount, ...]
    instances: tuple[TaskInstance, ...]
    total_queued: int
    total_running: int
    complete: bool  # False: there are more instances than were read (limit)


@dataclass(frozen=True)
class UpcomingRun:
    """The next run that a DAG's schedule brings."""

    dag_id: str
    at: datetime


@dataclass(frozen=True)
class PoolReading:
    """One pool as Airflow's API tells it; the counts are slots."""

    name: str
    slots: int  # -1: unlimited
    description: str
    include_deferred: bool
    running: int
    queued: int
    scheduled: int
    deferred: int
    occupied: int
    open: int


# --- Airflow's Celery broker ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class QueueDepth:
    """Messages waiting in one queue, over all priority lists, and those delivered but not acknowledged."""

    queue: str
    waiting: int


@dataclass(frozen=True)
class BrokerReading:
    depths: tuple[QueueDepth, ...]
    unacknowledged: int | None  # over all queues
    ping_s: float


@dataclass(frozen=True)
class WorkerHeartbeat:
    """A `worker-online|heartbeat|offline` event. Its clock is the worker's; `received_at` is ours."""

    node: str  # celery@i-0abc…
    kind: str  # online, heartbeat, offline
    active: int | None
    processed: int | None
    load: tuple[float, ...]
    freq_s: float | None
    pid: int | None
    sent_at: datetime | None
    received_at: datetime


@dataclass(frozen=True)
class WorkerReading:
    """What one worker answered when it was asked by name. Only the nodes that answered are in a reading."""

    node: str
    pid: int | None
    concurrency: int | None
    queues: tuple[str, ...] | None  # consumed now; None: not answered
    active: tuple[TaskIdentity, ...] | None
    reserved: tuple[TaskIdentity, ...] | None
    processed: int | None
    scheduled: tuple[TaskIdentity, ...] | None = None  # fetched, and kept until their time (ETA, countdown)
    canaries: int | None = None  # how many canary tasks it has run


# --- AWS: compute --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InstanceReading:
    """One EC2 instance in an Auto Scaling Group."""

    instance_id: str
    lifecycle: str  # Pending, Pending:Wait, InService, Terminating, …, as the group says
    health: str
    zone: str
    instance_type: str | None
    version: str | None  # the launch template's version it was launched with
    protected: bool
    launched_at: datetime | None
    private_ip: str | None


@dataclass(frozen=True)
class GroupReading:
    name: str
    minimum: int
    maximum: int
    desired: int
    version: str | None  # what the group would launch now
    instances: tuple[InstanceReading, ...]


@dataclass(frozen=True)
class TerminationNotice:
    """A group's word that it is about to end an instance, and waits: it goes on when told so, or after a while."""

    receipt: str  # of the message
    group: str
    hook: str
    instance_id: str
    token: str
    heartbeat_s: float  # without a heartbeat it goes on after so long
    limit_s: float  # it waits no longer than this, whatever heartbeats come


@dataclass(frozen=True)
class FleetMetric:
    """One point for CloudWatch, by group and queue."""

    name: str
    group: str
    queue: str
    value: float


# --- AWS: DMS and CloudWatch ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ReplicationTaskReading:
    """One DMS task. Latencies are CloudWatch's newest points of the last minutes, None when there is none."""

    identifier: str
    arn: str
    status: str
    stop_reason: str | None
    failure: str | None
    source_latency_s: float | None
    target_latency_s: float | None
    incoming_changes: float | None
    measured_at: datetime | None  # the time of the newest of these points
    started_at: datetime | None = None  # when its present run began

    @property
    def run(self) -> str:
        return run_of(self.status, self.started_at)


def run_of(status: str, started_at: datetime | None) -> str:
    """The name of a DMS task's present run; "" while it does not run."""
    return f"since {started_at.isoformat() if started_at else 'its creation'}" if status == "running" else ""


@dataclass(frozen=True)
class TableStatistics:
    """DMS' row for one table of a task."""

    task: str
    schema: str
    table: str
    state: str
    inserts: int
    updates: int
    deletes: int
    applied_inserts: int | None
    applied_updates: int | None
    applied_deletes: int | None
    full_load_rows: int
    full_load_started_at: datetime | None
    full_load_ended_at: datetime | None
    updated_at: datetime | None  # when the *statistics* were refreshed: never freshness


# --- Databases -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TableEvidence:
    """The newest stamp of a table at one side. Evidence to show, never a proof of completeness."""

    table: str  # as declared: source.schema.table
    newest_at: datetime | None  # None: the table is empty
    rows_estimate: int | None


@dataclass(frozen=True)
class WarehouseReading:
    tables: tuple[TableEvidence, ...]
    missing: tuple[str, ...]  # declared, but not there
    server_now: datetime
    took_s: float
    unreadable: tuple[str, ...] = ()  # there, but the console may not read them, or their column is no time


@dataclass(frozen=True)
class BeatOrder:
    """A heartbeat to write: into which table, and the newest one that the console remembers there (0: none)."""

    task: str
    relation: str  # schema.table
    last_epoch: int = 0
    last_seq: int = 0


@dataclass(frozen=True)
class BeatReading:
    """A heartbeat row, of one DMS task; times are on the source's clock. What each means: freshness' watermark."""

    task: str
    epoch: int
    seq: int
    beat_at: datetime
    row_safe_before: datetime | None
    prepared_count: int | None
    own_xid: int | None
    xmin: int | None


@dataclass(frozen=True)
class HolderReading:
    """The source's oldest open transaction."""

    pid: int
    user: str
    since: datetime


@dataclass(frozen=True)
class PulseReading:
    """What was written at a source. `blind`: why nothing is known of open transactions ("": it is)."""

    beats: tuple[BeatReading, ...]
    missing: tuple[str, ...]  # tasks whose heartbeat table is not there
    holder: HolderReading | None = None
    mark: tuple[int, datetime] | None = None  # a transaction id given out a moment before them, and when
    blind: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class SuspendedReading:
    """A table that DMS suspended, by its control table at the target."""

    task: str  # as declared
    schema: str
    table: str
    at: datetime


@dataclass(frozen=True)
class ArrivalsReading:
    """The heartbeat rows in the warehouse, and what DMS' control tables there say of suspended tables."""

    beats: tuple[BeatReading, ...]
    missing: tuple[str, ...]  # tasks whose heartbeat table is not there, or may not be read
    suspended: tuple[SuspendedReading, ...]
    exceptions: tuple[tuple[str, int], ...]  # task, how many statements DMS could not apply
    wait_s: float  # how long the warehouse took


@dataclass(frozen=True)
class DatastoreReading:
    """An RDS instance or an ElastiCache replication group."""

    id: str
    kind: str  # rds | elasticache
    identifier: str
    engine: str
    status: str
    multi_az: bool | None
    primary: str | None
    primary_zone: str | None
    standby_zone: str | None
    replicas: int | None
    endpoint: str | None


@dataclass(frozen=True)
class FileReading:
    """One file of a storage. `key` is below the storage's own prefix."""

    key: str
    size: int  # bytes
    modified_at: datetime


@dataclass(frozen=True)
class FilesReading:
    """What a look into a storage saw. Not `complete`: more lies behind the last of these than one look may read."""

    files: tuple[FileReading, ...]
    complete: bool
