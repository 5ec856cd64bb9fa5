"""What is remembered of scaling: each decision, the switch, what schedules bring."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import connections, models
from django.db.models import Q


class DecisionQuerySet(models.QuerySet["ScalingDecision"]):
    def newest(self, queues: Sequence[str], *, news: bool = False) -> dict[str, ScalingDecision]:
        """The last decision of each queue, with `news` the last that said something new. One query."""
        names = tuple(field.attname for field in ScalingDecision._meta.concrete_fields)
        inputs = names.index("inputs")
        with connections[self.db].cursor() as cursor:
            columns = ", ".join(f'd."{name}"' for name in names)
            cursor.execute(_NEWEST.format(columns=columns, only="AND news" if news else ""), [list(queues)])
            found = [list(row) for row in cursor.fetchall()]
        for row in found:
            row[inputs] = json.loads(row[inputs])
        return {row.queue: row for row in (ScalingDecision.from_db(self.db, names, row) for row in found)}


_NEWEST = """SELECT {columns} FROM unnest(%s::text[]) AS q(queue) CROSS JOIN LATERAL (
    SELECT * FROM fleets_scalingdecision WHERE queue = q.queue {only} ORDER BY at DESC LIMIT 1) AS d"""


class ScalingDecision(models.Model):
    """One decision for one fleet, each `INTERVAL_S`: from what, how many, because of what, and what came of it."""

    queue = models.TextField()
    at = models.DateTimeField()
    action = models.CharField(max_length=8)  # rules.Action
    current = models.IntegerField(null=True)
    desired = models.IntegerField(null=True)
    need = models.IntegerField(null=True)  # within the bounds; None: not known
    because = models.TextField()
    inputs = models.JSONField(default=dict)  # figures, lines, remarks
    news = models.BooleanField(default=True)  # another action or number than the one before
    operation = models.BigIntegerField(null=True)  # what it asked for
    outcome = models.TextField(default="", blank=True)  # why nothing was asked for although it wanted to

    objects = DecisionQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["queue", "-at"], name="fleets_decision_at"),
            models.Index(fields=["queue", "-at"], condition=Q(news=True), name="fleets_decision_news"),
        ]

    def __str__(self) -> str:
        return f"{self.queue} {self.action} {self.desired}"

    @property
    def delta(self) -> int:
        return 0 if self.desired is None or self.current is None else self.desired - self.current


class ScalingSwitch(models.Model):
    """What people last said of one fleet's autoscaling, by an operation; past `until` what is declared counts again."""

    queue = models.TextField(primary_key=True)
    on = models.BooleanField()
    until = models.DateTimeField(null=True)  # None: until somebody says otherwise
    set_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.queue} {'on' if self.on else 'off'}"

    def holds(self, now: datetime) -> bool:
        return self.until is None or now < self.until


class ScheduledDag(models.Model):
    """When a DAG's next run is due, by Airflow."""

    dag_id = models.TextField(primary_key=True)
    next_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.dag_id


class RunWidth(models.Model):
    """How many tasks a scheduled run had in a queue at once in its first minute; the newest few runs of a DAG."""

    KEEP = 5

    dag_id = models.TextField()
    queue = models.TextField()
    run_id = models.TextField()
    width = models.IntegerField()
    first_seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dag_id", "queue", "run_id"], name="fleets_run_width_once")]

    def __str__(self) -> str:
        return f"{self.dag_id} {self.queue} {self.width}"


class WaitHour(models.Model):
    """How long tasks waited that started in one hour, by bucket (`waits.BUCKETS_S`); how many over the target."""

    queue = models.TextField()
    hour = models.DateTimeField()
    counts = ArrayField(models.IntegerField())
    late = models.IntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["queue", "hour"], name="fleets_wait_hour_once")]

    def __str__(self) -> str:
        return f"{self.queue} {self.hour}"


class FleetBill(models.Model):
    """What a fleet cost over the last day and month, as worked out last (`money.Bill` in `figures`)."""

    queue = models.TextField()
    period = models.CharField(max_length=8)  # day, month
    figures = models.JSONField()
    as_of = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["queue", "period"], name="fleets_bill_once")]

    def __str__(self) -> str:
        return f"{self.queue} {self.period}"
