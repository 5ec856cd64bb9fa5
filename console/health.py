"""Is the console itself well? `/healthz` the process lives, `/readyz` it sees, `/metrics` for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from ipaddress import ip_address
from typing import Any

import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.db.utils import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client.metrics_core import Metric

from console.accounts.actor import client_ip
from console.accounts.api_auth import identify
from console.lib import metrics
from console.lib.api import as_problem
from console.platform.models import Source
from console.platform.rules import SourceState, sight
from console.platform.sources import SOURCES


@require_safe
@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    """The process lives: touches nothing else, so that a database that is away restarts no console."""
    return JsonResponse({"status": "alive"})


@require_safe
@login_not_required
def readyz(request: HttpRequest) -> HttpResponse:
    """Can this console show anything true? 503 when the database, Redis or every single source is out of sight.

    Anybody may ask, so it tells names and ages and no error's text (that is on the overview).
    """
    sources: list[dict[str, Any]] = []
    faults = []
    database = _database_answers()
    try:
        sights = Source.objects.sights(timezone.now()) if database else {}
    except DatabaseError:
        database = False  # it answers, but has not our tables
    if database:
        sources = [
            {"name": one.name, "seen": one.seen, "as_of": one.as_of, "age_s": one.age_s, "limit_s": one.limit_s}
            for one in sights.values()
        ]
        if not any(one.seen for one in sights.values()):
            faults.append("nothing of the platform can be seen: do the console's worker and beat run?")
    else:
        faults.append("the database is out of reach, or was never migrated")
    cache_answers = _redis_answers()
    if not cache_answers:
        faults.append("Redis is out of reach")
    body = {
        "status": "blind" if faults else "ready",
        "reason": "; ".join(faults),
        "database": database,
        "redis": cache_answers,
        "unseen": [source["name"] for source in sources if not source["seen"]],
        "sources": sources,
    }
    return JsonResponse(body, status=503 if faults else 200)


@require_safe
@login_not_required
def scrape(request: HttpRequest) -> HttpResponse:
    """Prometheus' figures, for a token (or session) of any role, or a client of METRICS_ALLOWED."""
    if not _from_allowed_network(request):
        try:
            identify(request)
        except Exception as refused:
            return as_problem(request, refused).response()
    return HttpResponse(metrics.exposition(timezone.now()), content_type=metrics.CONTENT_TYPE)


def _from_allowed_network(request: HttpRequest) -> bool:
    try:
        address = ip_address(client_ip(request))
    except ValueError:
        return False
    return any(address in network for network in settings.METRICS_ALLOWED)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return True
    except DatabaseError:
        return False


@cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1)


def _redis_answers() -> bool:
    try:
        return bool(_redis().ping())
    except (redis.RedisError, OSError):
        return False


def collect_sources(now: datetime) -> Iterable[Metric]:
    """Each source's age and failures, in one query."""
    rows = {row.name: row for row in Source.objects.filter(name__in=SOURCES)}
    sights = {
        name: sight(spec, rows[name].state() if name in rows else SourceState(), now) for name, spec in SOURCES.items()
    }
    label = ["source"]
    yield metrics.gauge(
        "quarterdeck_source_age_seconds",
        "Age of the last good reading; no sample when there never was one.",
        label,
        [([name], one.age_s) for name, one in sights.items()],
    )
    yield metrics.gauge(
        "quarterdeck_source_seen",
        "1 while the last good reading is young enough, 0 when what it told is unknown.",
        label,
        [([name], float(one.seen)) for name, one in sights.items()],
    )
    yield metrics.gauge(
        "quarterdeck_source_failures",
        "Failed readings in a row.",
        label,
        [([name], float(row.failures)) for name, row in rows.items()],
    )
    yield metrics.gauge(
        "quarterdeck_source_poll_seconds",
        "How long the last attempt took.",
        label,
        [([name], row.took_s) for name, row in rows.items()],
    )


metrics.register("sources", collect_sources)
