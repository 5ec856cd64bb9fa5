"""The shape of `platform.yaml`, key by key. `docs/platform.schema.json` is generated from it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$"
COLUMN = r"^[^\s.\"']+$"
RELATION = r"^[^\s.\"']+\.[^\s.\"']+$"
SOURCE_RELATION = r"^[A-Za-z0-9_:-]+\.[^\s.\"']+\.[^\s.\"']+$"
TARGET = r"^(\*|[a-z_]+(/[^\s/]+)*)$"
TOPIC = r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$"
DURATION = r"^\d*[1-9]\d*(\.\d+)?[smhd]$"
CUTOFF = r"^every .+, due (by|within) .+$"

CLOCK = r"^([01]\d|2[0-3]):[0-5]\d$"
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

FORMS = {
    CLOCK: ("a time of the day, UTC", '"06:30"'),
    NAME: ("a name of letters, digits, dots and dashes", "shop-cdc"),
    COLUMN: ("a column's name", "updated_at"),
    RELATION: ("a schema and a table", "public.orders"),
    SOURCE_RELATION: ("a source, a schema and a table", "shop.public.orders"),
    TARGET: ("a section, or one thing of it, or * for all", "fleets/cpu"),
    TOPIC: ("the ARN of an SNS topic", "arn:aws:sns:eu-north-1:123456789012:on-call"),
    DURATION: ("a duration: a number and one of s, m, h, d", "90s or 5m"),
    CUTOFF: ("a calendar of cutoffs", "every day 00:00 America/New_York, due by 02:30"),
}
"""What each pattern means, and an example."""


def seconds(text: str) -> float:
    """`90s`, `5m`, `24h` or `7d` in seconds."""
    return float(text[:-1]) * _UNITS[text[-1]]


def minutes(text: str) -> int:
    """`06:30` in minutes after midnight."""
    return int(text[:2]) * 60 + int(text[3:])


def _off(value: Any) -> Any:
    """YAML reads a bare `off` as false."""
    return "off" if value is False else value


Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=NAME)]
Column = Annotated[str, Field(pattern=COLUMN)]
Relation = Annotated[str, Field(pattern=RELATION)]
SourceRelation = Annotated[str, Field(pattern=SOURCE_RELATION)]
Duration = Annotated[str, Field(pattern=DURATION)]
Target = Annotated[str, Field(pattern=TARGET)]
Topic = Annotated[str, Field(pattern=TOPIC)]
Cutoffs = Annotated[str, Field(pattern=CUTOFF)]
Clock = Annotated[str, Field(pattern=CLOCK)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class Shape(BaseModel):
    """No unknown keys, no guessing of types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Airflow(Shape):
    """Airflow's REST API and its schedulers."""

    url: Text = Field(description="Where its API answers, without /api: ${AIRFLOW_URL}.")
    username: str = Field("", description="Who the console signs in as.")
    password: str = Field("", description="A reference, ${AIRFLOW_PASSWORD}, never the password itself.")
    token: str = Field("", description="Instead of a user and a password: ${AIRFLOW_TOKEN}.")
    schedulers: tuple[Name, ...] = Field(
        (), strict=False, description="Hosts on which a scheduler may run, as Airflow's Jobs name them."
    )
    active_active: bool = Field(False, description="Do several schedulers run at once on purpose?")


class Broker(Shape):
    """The Redis broker of Airflow's Celery workers."""

    url: Text = Field(description="redis:// or rediss://: ${AIRFLOW_BROKER_URL}.")
    key_prefix: str = Field("", description="broker_transport_options.global_keyprefix of Airflow's Celery.")
    visibility_timeout: Duration = Field("24h", description="broker_transport_options.visibility_timeout.")


class Database(Shape):
    """A database by its URL."""

    url: Text = Field(description="postgresql://, by a reference: ${WAREHOUSE_URL}.")


class Hours(Shape):
    """Hours with a baseline of their own, UTC. Hours that end before they begin go past midnight."""

    begins: Clock = Field(description='In quotes: "06:30".')
    ends: Clock = Field(description='In quotes: "10:00".')
    baseline: Count = Field(description="Workers that are there at least, in these hours.")
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field(
        (), strict=False, description="The days on which they begin; every day when left out."
    )


class Autoscaling(Shape):
    """How a fleet follows its work. Without this section nobody scales it but people."""

    mode: Annotated[Literal["console", "publish", "off"], BeforeValidator(_off)] = Field(
        "console", description="The console decides; or it only publishes metrics to CloudWatch; or off."
    )
    target_wait: Duration = Field("60s", description="Within this a queued task should start.")
    cooldown: Duration = Field("3m", description="So long must fewer workers have been enough before one goes.")
    step: Positive = Field(8, description="Workers added or drained by one decision at most.")
    boot: Duration | None = Field(None, description="From launch to service; measured when left out.")
    hours: tuple[Hours, ...] = Field((), strict=False, description="Baselines by the time of day.")
    expected_work: bool = Field(True, description="No worker for work that ends before it is up.")
    scheduled_peaks: bool = Field(True, description="Workers before the runs that schedules tell in advance.")


class Fleet(Shape):
    """The workers of one queue: one Auto Scaling Group."""

    queue: Name = Field(description="The Celery queue that they serve.")
    group: Text = Field(description="The name of their Auto Scaling Group.")
    hardware: Literal["cpu-bound", "io-bound", "general"] = Field(
        description="What the queue's tasks need; a cpu-bound fleet runs one task per core."
    )
    instance_type: Text = Field(description="EC2's instance type, such as m7g.large.")
    vcpus: Positive = Field(description="Cores of that instance type.")
    concurrency: Positive | None = Field(
        None, description="Tasks that a worker runs at once; may be left out where cpu-bound."
    )
    baseline: Count = Field(description="Workers that are always there.")
    max: Positive = Field(description="Workers that there may be at most, outside a rolling deploy.")
    price_per_hour: float = Field(ge=0, strict=False, description="USD per instance and hour.")
    autoscaling: Autoscaling | None = Field(None, description="How it follows its work; off when left out.")


class Source(Shape):
    """A database that DMS reads from."""

    name: Name
    engine: Literal["postgresql", "mysql"]
    url: Text = Field(description="By a reference: ${SOURCE_URL}.")


class Task(Shape):
    """A DMS replication task."""

    name: Name
    source: Name = Field(description="The name of a source above.")
    identifier: Name = Field(description="Its ReplicationTaskIdentifier.")
    heartbeat: Relation | None = Field(
        None, description="Its heartbeat table at the source: quarterdeck.heartbeat_NAME where left out."
    )
    heartbeat_at_warehouse: Relation | None = Field(
        None, description="Where that table arrives, when a rule of the task renames it."
    )
    batch: Duration = Field("1s", description="How often it applies: BatchApplyTimeoutMax where it applies in batches.")
    overlap: Count = Field(
        0, description="How many of its batches are applied beside another: 0 but for parallel apply."
    )
    control_schema: Column = Field("public", description="Where its control tables (awsdms_…) are at the warehouse.")


class Table(Shape):
    """A replicated table whose freshness is watched."""

    name: SourceRelation = Field(description="source.schema.table")
    task: Name = Field(description="The name of the task that replicates it.")
    also: tuple[Name, ...] = Field((), strict=False, description="Further tasks that write to the same table.")
    warehouse: Relation = Field(description="schema.table at the warehouse.")
    column: Column = Field(description="A time stamp of its rows: shown as evidence, never as a proof.")
    slo: Duration = Field(description="How far the warehouse may lag behind, such as 5m.")
    allowed_lateness: Duration = Field(
        "2s", description="How far back a row's stamp may lie before its transaction began (an application's clock)."
    )
    cutoffs: tuple[Cutoffs, ...] = Field(
        (),
        strict=False,
        description="When it is waited for: every day 00:00 America/New_York, due by 02:30 (, asset NAME_OR_URI).",
    )


class Datastore(Shape):
    """A database or cache of the platform itself."""

    id: Name = Field(description="How the console's pages and API call it.")
    kind: Literal["rds", "elasticache"]
    identifier: Text = Field(description="DBInstanceIdentifier, DBClusterIdentifier or ReplicationGroupId.")


class Storage(Shape):
    """Where tasks hand files to each other: a bucket, or a folder of this machine (Airflow's local twin)."""

    id: Name = Field(description="How the console's pages and API call it.")
    bucket: str = Field("", description="The bucket of Airflow's connection quarterdeck_files.")
    prefix: str = Field("", description="The prefix of that connection, if it has one.")
    folder: str = Field("", description="Instead of a bucket: the folder of the local twin, for development.")
    quiet_after: Duration | None = Field(None, description="No new file for so long is told; never when left out.")
    unread_after: Duration | None = Field(
        None, description="A hand-off that nobody fetched for so long is told; when left out, once it has expired."
    )
    swept_within: Duration = Field(
        "2d", description="So long past its expiry a hand-off may lie there: housekeeping leaves it for a day."
    )
    readers_optional: tuple[Text, ...] = Field(
        (), strict=False, description="DAGs whose hand-offs nobody has to fetch."
    )


ALLOW_PRIVATE = "May its URL lead to a private address? Refused otherwise."


class PagerDuty(Shape):
    """PagerDuty's Events v2."""

    name: Name
    kind: Literal["pagerduty"]
    routing_key: Text = Field(description="A reference: ${PAGERDUTY_KEY}.")
    url: str = Field("https://events.pagerduty.com/v2/enqueue", description="The EU has a host of its own.")
    allow_private: bool = Field(False, description=ALLOW_PRIVATE)


class Slack(Shape):
    """A Slack channel, by an incoming webhook, whose URL is a secret."""

    name: Name
    kind: Literal["slack"]
    url: Text = Field(description="A reference: ${SLACK_WEBHOOK_URL}.")
    allow_private: bool = Field(False, description=ALLOW_PRIVATE)


class Webhook(Shape):
    """Any receiver of JSON."""

    name: Name
    kind: Literal["webhook"]
    url: Text
    secret: str = Field("", description="A reference; signs the body (HMAC-SHA256).")
    allow_private: bool = Field(False, description=ALLOW_PRIVATE)


class Email(Shape):
    """Mail, by Django's mail settings."""

    name: Name
    kind: Literal["email"]
    to: tuple[Text, ...] = Field(min_length=1, strict=False)


class Sns(Shape):
    """A topic of Amazon SNS, by the console's own AWS identity."""

    name: Name
    kind: Literal["sns"]
    topic: Topic = Field(description="Its ARN; a .fifo topic drops what was sent twice.")


class Apprise(Shape):
    """Any other service, by a URL of the Apprise library."""

    name: Name
    kind: Literal["apprise"]
    url: Text = Field(description="A reference: ${APPRISE_URL}, such as msteams://… or opsgenie://….")
    allow_private: bool = Field(False, description=ALLOW_PRIVATE)


Pager = Annotated[PagerDuty | Slack | Webhook | Email | Sns | Apprise, Field(discriminator="kind")]


class Route(Shape):
    """Which incidents go to which pagers. An incident takes every route that it fits."""

    severities: tuple[Literal["critical", "error", "warning", "info"], ...] = Field(
        ("critical", "error", "warning"), min_length=1, strict=False, description="How bad; info only if written here."
    )
    targets: tuple[Target, ...] = Field(
        ("*",), min_length=1, strict=False, description="fleets/cpu, fleets (all of them), or * (everything)."
    )
    pagers: tuple[Name, ...] = Field(
        min_length=1, strict=False, description="Names of pagers: the first is told, the next where one fails."
    )
    repage: Duration | None = Field(
        None, description="Told again after so long while nobody acknowledged; by severity where absent."
    )


class DeadMan(Shape):
    """A URL that is asked while the console itself is well: a service outside pages when that ends."""

    url: Text = Field(description="A reference: ${DEAD_MAN_URL}. Whoever knows it can keep the service quiet.")
    every: Duration = Field("60s", description="How often it is asked.")
    allow_private: bool = Field(False, description=ALLOW_PRIVATE)


class PagerDutyHook(Shape):
    """PagerDuty's V3 webhooks: acknowledged and resolved there is so here."""

    secret: Text = Field(description="The subscription's secret: ${PAGERDUTY_WEBHOOK_SECRET}.")


class AlertmanagerHook(Shape):
    """Alertmanager's webhook: its alerts are incidents here."""

    token: Text = Field(description="What it sends as a bearer token: ${ALERTMANAGER_TOKEN}.")


class Hooks(Shape):
    """Who may tell the console of incidents."""

    pagerduty: PagerDutyHook | None = None
    alertmanager: AlertmanagerHook | None = None


class Terminations(Shape):
    """Where the groups' termination hooks write."""

    queue: Text = Field(description="The URL of an SQS queue: ${TERMINATIONS_QUEUE}.")


class Platform(Shape):
    """The declaration of what Quarterdeck operates."""

    version: Literal[1]
    name: Name = Field(description="Shown in the console's navigation.")
    region: str = Field("", description="AWS' region; needed when anything on AWS is declared.")
    airflow: Airflow
    broker: Broker
    warehouse: Database | None = Field(None, description="Amazon Redshift, or any PostgreSQL.")
    lease: Database | None = Field(None, description="Where the schedulers' lease lives: Airflow's database server.")
    terminations: Terminations | None = Field(None, description="Where the groups' termination hooks write.")
    fleets: tuple[Fleet, ...] = Field((), strict=False)
    sources: tuple[Source, ...] = Field((), strict=False)
    tasks: tuple[Task, ...] = Field((), strict=False)
    tables: tuple[Table, ...] = Field((), strict=False)
    datastores: tuple[Datastore, ...] = Field((), strict=False)
    storage: tuple[Storage, ...] = Field((), strict=False)
    pagers: tuple[Pager, ...] = Field((), strict=False)
    routes: tuple[Route, ...] = Field((), strict=False, description="Without any: every pager, in order, for all.")
    dead_man: DeadMan | None = Field(None, description="Its absence pages from outside.")
    hooks: Hooks | None = Field(None, description="Webhooks that the console takes.")


SECTIONS: dict[str, Any] = {
    "fleets": Fleet,
    "sources": Source,
    "tasks": Task,
    "tables": Table,
    "datastores": Datastore,
    "storage": Storage,
    "pagers": Pager,
    "routes": Route,
}


def json_schema() -> dict[str, Any]:
    """The JSON Schema of `platform.yaml`, for editors (docs/platform.schema.json)."""
    schema = Platform.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
