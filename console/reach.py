"""Can the console's own database and Redis be reached? If not: one sentence why, and what to do. Never a password."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from console.lib.redaction import redact

log = logging.getLogger(__name__)

# What PostgreSQL's client says → what we say, and the remedy. {place} {user} {name} are filled in.
_DATABASE = (
    (
        "could not translate host name|Name or service not known|nodename nor servname",
        "no host is called {host}.",
        "Correct the host in DATABASE_URL.",
    ),
    (
        "Connection refused|No such file or directory|No route to host|Network is unreachable",
        "no PostgreSQL answers at {place}.",
        "Start it, or correct host and port in DATABASE_URL.",
    ),
    (
        "timeout expired|timed out",
        "PostgreSQL at {place} does not answer in time.",
        "Correct host and port in DATABASE_URL, or open the firewall between here and there.",
    ),
    (
        "password authentication failed|no password supplied|[Pp]eer authentication|Ident authentication",
        "PostgreSQL at {place} refuses the password of user {user}.",
        "Correct USER and PASSWORD in DATABASE_URL, special characters percent-encoded.",
    ),
    (
        'role ".*" (does not exist|is not permitted)',
        "PostgreSQL at {place} does not let user {user} in.",
        "Correct USER in DATABASE_URL, or create that role with LOGIN.",
    ),
    (
        'database ".*" does not exist',
        "PostgreSQL at {place} has no database {name}.",
        "Correct the name at the end of DATABASE_URL, or create that database.",
    ),
    (
        "pg_hba.conf",
        "PostgreSQL at {place} does not admit user {user} to {name} from here.",
        "Add this machine to its pg_hba.conf; where it asks for encryption, append ?sslmode=require to DATABASE_URL.",
    ),
    (
        "starting up|shutting down|not yet accepting|in recovery",
        "PostgreSQL at {place} is starting or stopping.",
        "Try again in a moment.",
    ),
    (
        "too many (clients|connections)|connection slots",
        "PostgreSQL at {place} has no connection left.",
        "Raise its max_connections, or stop what holds them.",
    ),
    ("SSL|certificate", "no encrypted connection to PostgreSQL at {place}.", "Correct sslmode in DATABASE_URL."),
)


@dataclass(frozen=True)
class Unreachable:
    """Why something can't be reached (one sentence), and the remedy (one sentence)."""

    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"


def explain_database(error: str, settings: Mapping[str, Any]) -> Unreachable:
    """The sentence for what PostgreSQL's client said; `settings` as in Django's DATABASES. Pure."""
    host, port = settings.get("HOST") or "", settings.get("PORT") or 5432
    facts = {
        "host": host or "(none)",
        "place": f"{host or 'its local socket'} port {port}",
        "user": settings.get("USER") or "(none)",
        "name": settings.get("NAME") or "(none)",
    }
    for pattern, message, hint in _DATABASE:
        if re.search(pattern, error):
            return Unreachable("The database is out of reach: " + message.format(**facts), hint)
    said = redact(error).replace(str(settings.get("PASSWORD") or "\x00"), "[redacted]")
    first = (said.strip().splitlines() or ["no reason given"])[0][:200]
    return Unreachable(f"The database is out of reach: {first}.", "Correct DATABASE_URL.")


def database() -> Unreachable | None:
    """None when the database answers."""
    from django.db import connection
    from django.db.utils import Error

    try:
        connection.ensure_connection()
    except Error as error:
        return explain_database(str(error), connection.settings_dict)
    connection.close()
    return None


def connection_failed(error: BaseException) -> Unreachable | None:
    """The sentence for an exception that is a failed connection to the database; None for any other."""
    from django.db import connection
    from django.db.utils import OperationalError

    if not isinstance(error, OperationalError) or getattr(error.__cause__, "pgcode", None):
        return None
    return explain_database(str(error), connection.settings_dict)


def migrations() -> Unreachable | None:
    """None when the database has every table that this version needs."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    connection.close()
    if not missing:
        return None
    first = f"{missing[0][0].app_label}.{missing[0][0].name}"
    return Unreachable(
        f"The database is older than this console: {len(missing)} migrations are missing, from {first}.",
        "Run: python manage.py migrate.",
    )


def redis_server(url: str) -> Unreachable | None:
    """None when Redis answers within a second."""
    import redis

    parts = urlsplit(url)
    place = f"{parts.hostname} port {parts.port or 6379}"
    try:
        client = redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1)
        with client:
            client.ping()
    except redis.AuthenticationError:
        return Unreachable(f"Redis at {place} refuses the password.", "Correct it in REDIS_URL.")
    except redis.TimeoutError:
        return Unreachable(f"Redis at {place} does not answer in time.", "Correct REDIS_URL, or open the firewall.")
    except (redis.RedisError, OSError, ValueError) as error:
        said = redact(str(error))[:200]
        return Unreachable(f"Redis at {place} is out of reach ({said}).", "Start it, or correct REDIS_URL.")
    return None


def wait_for_redis(url: str) -> None:
    """Return once Redis answers, saying so every half minute."""
    waited = 0
    while fault := redis_server(url):
        if waited % 30 == 0:
            log.warning("%s Waiting for it.", fault)
        time.sleep(1)
        waited += 1
