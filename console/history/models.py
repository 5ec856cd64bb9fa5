"""What is remembered over time: the names of the series, the marks on their axis, and what has been rolled
up.

The points are in tables of their own (migration 0001): partitioned, so that a day is forgotten by dropping a
table.
"""

from __future__ import annotations

from datetime import datetime

from django.db import models


class Series(models.Model):
    """One time series. Created by its first sample."""

    id = models.AutoField(primary_key=True)  # four bytes: it is repeated with every point
    name = models.TextField(unique=True)
    unit = models.CharField(max_length=10, default="", blank=True)
    worst = models.BooleanField(default=False)  # roll-ups keep the highest sample, not the mean

    def __str__(self) -> str:
        return self.name


class Rolled(models.Model):
    """A stretch of time (`level` minute: an hour, quarter: a day) whose points have been rolled up."""

    level = models.CharField(max_length=10)
    starts_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["level", "starts_at"], name="history_rolled_once")]

    def __str__(self) -> str:
        return f"{self.level} {self.starts_at:%Y-%m-%d %H:%M}"


class MarkQuerySet(models.QuerySet["Mark"]):
    def within(self, start: datetime, end: datetime) -> MarkQuerySet:
        """The marks of a chart's axis, oldest first."""
        return self.filter(at__gte=start, at__lt=end).order_by("at", "id")


class Mark(models.Model):
    """Something that happened, to be seen on the axis of every chart: a deploy, a takeover, an incident."""

    class Kind(models.TextChoices):
        DEPLOY = "deploy"
        TAKEOVER = "takeover"
        INCIDENT = "incident"
        OPERATION = "operation"

    at = models.DateTimeField(db_index=True)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    title = models.CharField(max_length=200)
    url = models.CharField(max_length=500, default="", blank=True)
    target = models.CharField(max_length=400, default="", blank=True)

    objects = MarkQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["at", "kind", "target", "title"], name="history_mark_once"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.kind}: {self.title}"
