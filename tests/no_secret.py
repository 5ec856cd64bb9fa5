"""Looking for a planted secret in everything the console keeps: its database, its Redis, its logs.

assert no_secret.in_database(planted) == []
assert no_secret.in_redis(url, planted) == []
assert no_secret.in_files(folder.rglob("*.log"), planted) == []
"""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import redis
from django.db import connection


def disguises(secret: str) -> tuple[bytes, ...]:
    """The secret as it is, in hex, and in base64 at each of its three alignments (Celery's messages are base64)."""
    plain = secret.encode()
    encoded = []
    for shift in range(3):
        text = base64.b64encode(b"\x00" * shift + plain)
        # The first and the last group also hold bits of the neighbours.
        encoded.append(text[4 if shift else 0 : -4])
    return (plain, plain.hex().encode(), *(text for text in encoded if len(text) >= 12))


def in_bytes(content: bytes, secret: str) -> bool:
    """Is it in there, also when the content is compressed as a whole?"""
    forms = [content]
    for unpack in (zlib.decompress, gzip.decompress):
        try:
            forms.append(unpack(content))
        except (zlib.error, OSError, EOFError):
            continue
    return any(needle in form for form in forms for needle in disguises(secret))


def in_database(secret: str) -> list[str]:
    """Each `table: row` (cut) of the console's database that holds it, every column of every table as text."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        tables = [row[0] for row in cursor.fetchall()]
        for table in tables:
            conditions = " OR ".join(["position(%s in t::text) > 0"] * len(disguises(secret)))
            needles = [needle.decode() for needle in disguises(secret)]
            cursor.execute(f"SELECT left(t::text, 200) FROM {table} AS t WHERE {conditions} LIMIT 5", needles)
            found += [f"{table}: {row[0]}" for row in cursor.fetchall()]
    return found


def in_redis(url: str, secret: str) -> list[str]:
    """Each key of a Redis database that holds it, in its name or in its value."""
    client = redis.Redis.from_url(url)
    found = []
    for key in client.scan_iter(count=1000):
        if in_bytes(key, secret) or any(in_bytes(part, secret) for part in _parts(client, key)):
            found.append(key.decode(errors="replace"))
    return found


def _parts(client: Any, key: bytes) -> Iterable[bytes]:
    match client.type(key):
        case b"string":
            return [client.get(key) or b""]
        case b"list":
            return list(client.lrange(key, 0, -1))
        case b"set":
            return list(client.smembers(key))
        case b"zset":
            return list(client.zrange(key, 0, -1))
        case b"hash":
            return [part for pair in client.hgetall(key).items() for part in pair]
        case b"stream":
            return [part for _, fields in client.xrange(key) for pair in fields.items() for part in pair]
    return []


def in_files(paths: Iterable[Path], secret: str) -> list[str]:
    """Each `file:line` that holds it."""
    needles = disguises(secret)
    found = []
    for path in paths:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if any(needle in line for needle in needles):
                    found.append(f"{path}:{number}")
    return found
