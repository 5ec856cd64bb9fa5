"""The search for planted secrets finds what is there, in every disguise, and only that."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import connection

from console.platform.models import Source
from tests import no_secret

PLANTED = "eyJwbGFudGVk.recognisable-7f3a9c.c2lnbmF0dXJl"


@pytest.mark.django_db
def test_a_clean_database_is_clean() -> None:
    Source.objects.create(name="x", error="all is well")
    assert no_secret.in_database(PLANTED) == []


@pytest.mark.django_db
@pytest.mark.parametrize("shift", range(3))
def test_every_column_is_searched(shift: int) -> None:
    Source.objects.create(name="plain", error=f"it said {PLANTED}!")
    Source.objects.create(name="hex", remedy=PLANTED.encode().hex())
    Source.objects.create(name="base64", error=base64.b64encode(b"_" * shift + PLANTED.encode() + b"__").decode())
    found = no_secret.in_database(PLANTED)
    assert len(found) == 3
    assert all("platform_source" in place for place in found)


@pytest.mark.django_db
def test_json_and_binary_columns_are_searched() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE odd (j jsonb, b bytea, a text[])")
        cursor.execute("INSERT INTO odd (j) VALUES (%s)", [json.dumps({"a": [PLANTED]})])
        cursor.execute("INSERT INTO odd (b) VALUES (%s)", [PLANTED.encode()])
        cursor.execute("INSERT INTO odd (a) VALUES (%s)", [["x", PLANTED]])
    assert len(no_secret.in_database(PLANTED)) == 3


def test_every_type_of_redis_is_searched(settings: Any) -> None:
    url = settings.REDIS_URL.removesuffix("/0") + "/7"
    client = redis.Redis.from_url(url)
    client.flushdb()
    client.set("clean", "x")
    assert no_secret.in_redis(url, PLANTED) == []
    client.set("string", PLANTED)
    client.set("compressed", zlib.compress(PLANTED.encode()))
    client.lpush("list", json.dumps({"body": base64.b64encode(f'[["{PLANTED}"]]'.encode()).decode()}))
    client.sadd("set", PLANTED)
    client.zadd("zset", {PLANTED: 1})
    client.hset("hash", "field", PLANTED)
    client.xadd("stream", {"field": PLANTED})
    client.set(f"key-{PLANTED}", "1")
    found = no_secret.in_redis(url, PLANTED)
    client.flushdb()
    assert set(found) == {"string", "compressed", "list", "set", "zset", "hash", "stream", f"key-{PLANTED}"}


def test_logs_are_searched_by_line(tmp_path: Path) -> None:
    clean, dirty = tmp_path / "clean.log", tmp_path / "dirty.log"
    clean.write_text("nothing\n")
    dirty.write_text(f"one\ntwo {PLANTED}\n")
    assert no_secret.in_files([clean, dirty], PLANTED) == [f"{dirty}:2"]
