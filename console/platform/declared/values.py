"""What a declaration says, as frozen values. Their `repr` never shows a secret."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from console.platform.declared.cutoffs import Calendar


@dataclass(frozen=True)
class Fault:
    """One fault of the declaration: where (`fleets[1].baseline, line 31`), what is wrong, and the remedy."""

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
    """Airflow's REST API. Either `token`, or `username` and `password`; the others are empty."""

    url: str
    username: str
    password: str
    token: str
    schedulers: tuple[str, ...]  # hosts on which a scheduler may run
    active_active: bool


@dataclass(frozen=True, repr=False)
class BrokerDeclared:
    """The Redis broker of Airflow's Celery workers; `key_prefix` is kombu's `global_keyprefix`."""

    url: str
    key_prefix: str
    visibility_timeout_s: float


@dataclass(frozen=True)
class HoursDeclared:
    """Hours, UTC, with a baseline of their own; days 0 (Monday) to 6, none for every day."""

    start_min: int  # minutes after midnight
    end_min: int
    baseline: int
    days: tuple[int, ...] = ()


@dataclass(frozen=True)
class AutoscalingDeclared:
    """How a fleet follows its work. `mode`: the console decides, only publishes metrics, or keeps out of it."""

    mode: str = "off"  # console | publish | off
    target_wait_s: float = 60.0
    cooldown_s: float = 180.0
    step: int = 8
    boot_s: float | None = None  # None: as measured
    hours: tuple[HoursDeclared, ...] = ()
    expected_work: bool = True
    scheduled_peaks: bool = True


@dataclass(frozen=True)
class FleetDeclared:
    """The workers of one queue."""

    queue: str
    group: str  # the Auto Scaling Group's name
    hardware: str  # cpu-bound | io-bound | general
    instance_type: str
    vcpus: int
    concurrency: int  # slots per worker
    baseline: int
    max: int
    price_per_hour: float  # USD
    autoscaling: AutoscalingDeclared = field(default_factory=AutoscalingDeclared)


@dataclass(frozen=True, repr=False)
class SourceDeclared:
    """A database that DMS reads from."""

    name: str
    engine: str  # postgresql | mysql
    url: str


@dataclass(frozen=True)
class TaskDeclared:
    """A DMS replication task."""

    name: str
    source: str
    identifier: str
    heartbeat: str = ""  # schema.table at the source; "": the usual one
    heartbeat_at_warehouse: str = ""  # "": the same
    batch_s: float = 1.0
    overlap: int = 0  # batches that are applied beside another
    control_schema: str = "public"

    @property
    def beats(self) -> str:
        """Its heartbeat table at the source."""
        return self.heartbeat or f"quarterdeck.heartbeat_{re.sub(r'[^a-z0-9]+', '_', self.name.lower())}"

    @property
    def beats_arrive(self) -> str:
        """The same table at the warehouse."""
        return self.heartbeat_at_warehouse or self.beats


@dataclass(frozen=True)
class TableDeclared:
    """A replicated table, its place in the warehouse and its objective."""

    name: str  # source.schema.table
    task: str
    warehouse: str  # schema.table at the warehouse
    column: str  # the stamp that is shown as evidence
    slo_s: float
    also: tuple[str, ...] = ()  # further tasks that write to it
    allowed_lateness_s: float = 2.0
    cutoffs: tuple[Calendar, ...] = ()

    @property
    def source(self) -> str:
        return self.name.split(".", 1)[0]

    @property
    def tasks(self) -> tuple[str, ...]:
        return (self.task, *self.also)


@dataclass(frozen=True)
class DatastoreDeclared:
    """A database or cache of the platform itself."""

    id: str
    kind: str  # rds | elasticache
    identifier: str


@dataclass(frozen=True)
class StorageDeclared:
    """Where tasks hand files to each other: a bucket with a prefix, or a folder (a local twin)."""

    id: str
    bucket: str = ""
    prefix: str = ""  # no slash at its ends
    folder: str = ""
    quiet_after_s: float | None = None  # no new file for so long is told; None: never
    unread_after_s: float | None = None  # nobody came for so long is told before it has expired; None: only then
    swept_within_s: float = 172800.0  # so long past its expiry a hand-off may lie there
    readers_optional: tuple[str, ...] = ()  # DAGs whose hand-offs nobody has to fetch

    @property
    def place(self) -> str:
        """`s3://bucket/prefix`, or the folder."""
        return self.folder or "/".join(filter(None, (f"s3://{self.bucket}", self.prefix)))


@dataclass(frozen=True, repr=False)
class PagerDeclared:
    """Whom to tell. `url`, `routing_key`, `secret`, `to` and `topic` are filled as the kind needs them."""

    name: str
    kind: str  # pagerduty | slack | webhook | email | sns | apprise
    url: str = ""
    routing_key: str = ""
    secret: str = ""
    to: tuple[str, ...] = ()
    topic: str = ""  # SNS' ARN
    allow_private: bool = False  # may its URL lead to a private address?


@dataclass(frozen=True)
class RouteDeclared:
    """Which incidents go to which pagers: the first of `pagers` that takes the message; the next where one fails."""

    severities: tuple[str, ...]
    targets: tuple[str, ...]  # `fleets/cpu`, `fleets`, `*`
    pagers: tuple[str, ...]
    repage_s: float | None  # told again after so long while nobody acknowledged; None: the console's own intervals


@dataclass(frozen=True, repr=False)
class DeadManDeclared:
    """A URL that is asked while the console is well; somebody else pages when that ends."""

    url: str
    every_s: float
    allow_private: bool


@dataclass(frozen=True, repr=False)
class HooksDeclared:
    """What the senders of webhooks prove themselves by; "" where that hook is off."""

    pagerduty_secret: str = ""
    alertmanager_token: str = ""


@dataclass(frozen=True, repr=False)
class Declaration:
    """The platform as declared. What is not declared is empty."""

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
    pagers: tuple[PagerDeclared, ...] = ()
    terminations_queue: str = ""  # an SQS queue's URL; "" where no hooks are declared
    routes: tuple[RouteDeclared, ...] = ()
    dead_man: DeadManDeclared | None = None
    hooks: HooksDeclared = HooksDeclared()
    storage: tuple[StorageDeclared, ...] = ()

    def storage_of(self, id: str) -> StorageDeclared | None:
        return next((storage for storage in self.storage if storage.id == id), None)

    def pager(self, name: str) -> PagerDeclared | None:
        return next((pager for pager in self.pagers if pager.name == name), None)

    def fleet(self, queue: str) -> FleetDeclared | None:
        return next((fleet for fleet in self.fleets if fleet.queue == queue), None)
