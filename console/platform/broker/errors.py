"""Every way in which the Redis broker can fail, in words. Addresses without user and password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import redis
from redis import exceptions

from console.platform.ports import PlatformError

SYSTEM = "Airflow's Celery broker"


def place(url: str) -> str:
    """`host:6379/0`, without secrets."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 6379}{parts.path if len(parts.path) > 1 else '/0'}"


@contextmanager
def reported(where: str) -> Iterator[None]:
    """Whatever redis-py raises inside becomes a PlatformError."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise _translated(error, where) from None


def _translated(error: Exception, where: str) -> PlatformError:
    if isinstance(error, exceptions.AuthenticationError):
        return PlatformError(
            SYSTEM,
            "unauthorised",
            f"{SYSTEM} at {where} refuses the user or password",
            remedy="Correct AIRFLOW_BROKER_URL (redis://USER:PASSWORD@HOST:6379/0).",
            permanent=True,
        )
    if isinstance(error, exceptions.NoPermissionError):
        return PlatformError(
            SYSTEM,
            "forbidden",
            f"{SYSTEM} at {where} forbids a command or key to this user",
            remedy="Allow the console's Redis user to read queues and to publish on /*.celery.pidbox.",
            permanent=True,
        )
    if isinstance(error, exceptions.TimeoutError | TimeoutError):
        return PlatformError(
            SYSTEM,
            "timeout",
            f"{SYSTEM} at {where} did not answer in time",
            remedy="Is Redis overloaded, paused, or cut off by the network?",
        )
    if isinstance(error, exceptions.BusyLoadingError | exceptions.ReadOnlyError):
        return PlatformError(
            SYSTEM,
            "unavailable",
            f"{SYSTEM} at {where} is not ready ({type(error).__name__})",
            remedy="It is starting or failing over: wait, and look at ElastiCache's events.",
        )
    if isinstance(error, exceptions.ResponseError):
        return PlatformError(
            SYSTEM,
            "rejected",
            f"{SYSTEM} at {where} refused a command ({str(error).split(' ', 1)[0]})",
            remedy="Look at Redis' memory, cluster mode (not supported by Celery) and version (6 or newer).",
        )
    if isinstance(error, exceptions.ConnectionError) and "refused" not in str(error).lower():
        lost = "name or service" not in str(error).lower()
        return PlatformError(
            SYSTEM,
            "unavailable" if lost else "refused",
            f"the connection to {SYSTEM} at {where} broke" if lost else f"the host of {where} can't be resolved",
            remedy="Is Redis restarting or failing over?" if lost else "Correct AIRFLOW_BROKER_URL, or DNS.",
        )
    return PlatformError(
        SYSTEM,
        "refused",
        f"nothing answers at {where}",
        remedy="Is Redis running, and is AIRFLOW_BROKER_URL its address?",
    )
