"""The last verdict on the platform: what the frame of every page shows, so that no page has to work it out."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import QuerySet

from console.lib.kept import kept


class VerdictQuerySet(models.QuerySet["Verdict"]):
    def keep(self, as_of: datetime, **told: object) -> None:
        """Remember this verdict instead of the one before."""
        self.update_or_create(pk=Verdict.ONLY, defaults={"as_of": as_of, **told})


class Verdict(models.Model):
    """The one row, written every two seconds. Blindness is not in it: that is found out when a page is asked for."""

    ONLY = 1

    id = models.SmallIntegerField(primary_key=True, default=ONLY)
    as_of = models.DateTimeField()
    tone = models.CharField(max_length=10)  # "" when all is well
    text = models.TextField(default="", blank=True)
    url = models.TextField(default="", blank=True)
    url_text = models.TextField(default="", blank=True)
    flags = models.JSONField(default=dict)  # section → [tone, text]
    airflow_version = models.CharField(max_length=50, default="", blank=True)

    objects = VerdictQuerySet.as_manager()

    def __str__(self) -> str:
        return self.text or "all is well"


@kept
def last_verdict() -> QuerySet[Verdict]:
    """None before the first."""
    return Verdict.objects.filter(pk=Verdict.ONLY)
