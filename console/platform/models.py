"""What is remembered of each source's polls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import F, Q, QuerySet

from console.lib.kept import kept
from console.platform.rules import Sight, SourceState, sight
from console.platform.sources import SOURCES, SourceSpec


class SourceQuerySet(models.QuerySet["Source"]):
    def claim(self, name: str, now: datetime, lease_s: float) -> bool:
        """Take the right to poll `name` for `lease_s` seconds; False when another poll of it is under way."""
        until = now + timedelta(seconds=lease_s)
        self.bulk_create([Source(name=name)], ignore_conflicts=True)
        # A lease further ahead than this one's end was written by a clock that has since been set back.
        free = Q(leased_until=None) | Q(leased_until__lte=now) | Q(leased_until__gt=until)
        return self.filter(free, name=name).update(leased_until=until, attempted_at=now) == 1

    def sights(self, now: datetime, specs: Iterable[SourceSpec] | None = None) -> dict[str, Sight]:
        """The verdict on each source, by name, in one query; all of them by default."""
        wanted = list(SOURCES.values() if specs is None else specs)
        known = _KNOWN.get()
        states = known if known else _states()
        if known is not None:
            known |= states
        return {spec.name: sight(spec, states.get(spec.name, SourceState()), now) for spec in wanted}


@kept
def _rows() -> QuerySet[Source, tuple[Any, ...]]:
    return Source.objects.values_list("name", "as_of", "attempted_at", "failing_since", "error", "remedy")


def _states() -> dict[str, SourceState]:
    return {
        name: SourceState(as_of, attempted_at, failing_since, error, remedy)
        for name, as_of, attempted_at, failing_since, error, remedy in _rows()
    }


_KNOWN: ContextVar[dict[str, SourceState] | None] = ContextVar("sources_of_a_request", default=None)


@contextmanager
def sources_read_once() -> Iterator[None]:
    """Within it the sources are read from the database once: a page asks for them in each of its sections, and must
    not say of one that it is seen above and unseen below."""
    token = _KNOWN.set({})
    try:
        yield
    finally:
        _KNOWN.reset(token)


class Source(models.Model):
    """One watched thing (`console.platform.sources`): its last good reading and its last failure."""

    name = models.CharField(max_length=100, primary_key=True)
    as_of = models.DateTimeField(null=True)
    attempted_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    error = models.TextField(default="", blank=True)
    error_code = models.CharField(max_length=30, default="", blank=True)
    remedy = models.TextField(default="", blank=True)
    took_s = models.FloatField(null=True)
    failures = models.PositiveIntegerField(default=0)  # in a row
    leased_until = models.DateTimeField(null=True)

    objects = SourceQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    def state(self) -> SourceState:
        return SourceState(
            as_of=self.as_of,
            attempted_at=self.attempted_at,
            failing_since=self.failing_since,
            error=self.error,
            remedy=self.remedy,
        )


def remember_success(name: str, as_of: datetime, took_s: float) -> None:
    """A good reading, begun at `as_of`. Creates the row when it is the first."""
    Source.objects.update_or_create(
        name=name,
        defaults={
            "as_of": as_of,
            "attempted_at": as_of,
            "failing_since": None,
            "error": "",
            "error_code": "",
            "remedy": "",
            "took_s": took_s,
            "failures": 0,
            "leased_until": None,
        },
    )


def remember_failure(name: str, at: datetime, took_s: float, *, error: str, code: str, remedy: str) -> None:
    """A failed reading begun at `at`; the last good one stays as it is, and ages."""
    Source.objects.get_or_create(name=name)
    Source.objects.filter(name=name).update(
        attempted_at=at,
        failing_since=models.functions.Coalesce(F("failing_since"), models.Value(at)),
        error=error[:1000],
        error_code=code[:30],
        remedy=remedy[:1000],
        took_s=took_s,
        failures=F("failures") + 1,
        leased_until=None,
    )
