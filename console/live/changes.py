"""Say that something changed: after commit, in one round trip, and without ever failing the work that changed it."""

from __future__ import annotations

import logging
import threading
import time
from functools import cache, partial

import redis
from django.conf import settings
from django.db import transaction
from redis.backoff import NoBackoff
from redis.retry import Retry

from console.live.topics import TOPICS

log = logging.getLogger(__name__)

CHANNEL = "quarterdeck:live"
AWAY_S = 5.0  # after a failure Redis is left alone for so long: no poll waits for it again and again
REPEAT_S = 4.0
"""A source that reads the same is still said to have been read so often, so that the ages on open pages stay young."""

_SAY = """
for _, topic in ipairs(ARGV) do
    local version = redis.call('INCR', KEYS[1] .. ':' .. topic)
    redis.call('PUBLISH', KEYS[1], topic .. ' ' .. version)
end
"""


class _State:
    """What this process said last. Its own lock: polls run in threads."""

    lock = threading.Lock()
    away_until_s = 0.0
    said: dict[str, tuple[int, float]] = {}


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
    )


def forget() -> None:
    """Begin anew: another Redis, and nothing said (for tests)."""
    _client.cache_clear()
    _State.away_until_s = 0.0
    _State.said.clear()


def publish(*topics: str) -> None:
    """Tell the open pages about `topics` that they changed, once the current transaction has been committed.

    Raises ValueError for what is no topic (`console.live.topics`). Redis being away is logged, not raised: pages
    notice it themselves and poll.
    """
    unknown = set(topics) - TOPICS
    if unknown:
        raise ValueError(f"no such topic: {', '.join(sorted(unknown))}")
    if topics:
        transaction.on_commit(partial(_say, topics), robust=True)


def publish_reading(source: str, topics: tuple[str, ...], reading: object) -> None:
    """`publish` for a poll: at once when the reading differs from the one before, else every `REPEAT_S` seconds."""
    try:
        digest = hash(reading)
    except TypeError:  # not hashable, so it can't be compared: it counts as changed
        digest = 0
    now_s = time.monotonic()
    with _State.lock:
        before = _State.said.get(source)
        if digest and before and before[0] == digest and now_s - before[1] < REPEAT_S:
            return
        _State.said[source] = (digest, now_s)
    publish(*topics)


def _say(topics: tuple[str, ...]) -> None:
    if time.monotonic() < _State.away_until_s:
        return
    try:
        _client().eval(_SAY, 1, CHANNEL, *topics)
    except redis.RedisError as error:
        _State.away_until_s = time.monotonic() + AWAY_S
        log.warning("open pages are not told of changes: Redis: %s", error)
