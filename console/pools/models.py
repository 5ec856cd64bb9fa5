"""What is remembered of Airflow's pools: the newest reading of each."""

from __future__ import annotations

from django.db import models
from django.db.models import QuerySet

from console.lib.kept import kept
from console.pools.rules import PoolFacts, revision


class PoolSnapshot(models.Model):
    """One pool as Airflow's API told it last. A pool that is gone from Airflow has no row."""

    name = models.CharField(max_length=256, primary_key=True)
    slots = models.IntegerField()  # -1: unlimited
    description = models.TextField(default="", blank=True)
    include_deferred = models.BooleanField(default=False)
    running = models.IntegerField()
    queued = models.IntegerField()
    scheduled = models.IntegerField()
    deferred = models.IntegerField()
    occupied = models.IntegerField()
    open = models.IntegerField()
    as_of = models.DateTimeField()
    starving_since = models.DateTimeField(null=True)

    objects: models.Manager[PoolSnapshot] = models.Manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def facts(self) -> PoolFacts:
        return PoolFacts(
            name=self.name,
            slots=self.slots,
            include_deferred=self.include_deferred,
            running=self.running,
            queued=self.queued,
            scheduled=self.scheduled,
            deferred=self.deferred,
            occupied=self.occupied,
            open=self.open,
            starving_since=self.starving_since,
        )

    @property
    def revision(self) -> str:
        return revision(self.slots, self.description, self.include_deferred)


@kept
def every_pool() -> QuerySet[PoolSnapshot]:
    """By name."""
    return PoolSnapshot.objects.order_by("name")
