"""A web process keeps its connections to PostgreSQL from request to request, and replaces those that were ended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
from django.db import connection

from console.accounts.models import User
from tests.live.conftest import Console, Web


def sessions() -> set[tuple[int, str]]:
    """Everyone's but this test's, with the moment at which each was begun."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid, backend_start::text FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'quarterdeck' AND pid <> pg_backend_pid()"
        )
        return set(cursor.fetchall())


def asked(web: Web, cookie: dict[str, str], path: str = "/incidents/") -> int:
    return httpx.get(f"{web.url}{path}", cookies=cookie, timeout=30).status_code


def test_requests_share_a_connection(console: Console, cookie: dict[str, str]) -> None:
    before = sessions()
    web = console.another()
    assert [asked(web, cookie) for _ in range(3)] == [200] * 3
    first = sessions() - before
    assert [asked(web, cookie) for _ in range(20)] == [200] * 20
    assert sessions() - before == first
    assert len(first) == 1


def test_one_that_the_server_has_ended_costs_no_request(console: Console, cookie: dict[str, str]) -> None:
    """As after a failover of the database: each kept connection is dead, and nobody sees it."""
    before = sessions()
    web = console.another()
    with ThreadPoolExecutor(4) as callers:
        assert set(callers.map(lambda _: asked(web, cookie), range(12))) == {200}
    kept = sessions() - before
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", [[pid for pid, _ in kept]])
    assert [asked(web, cookie) for _ in range(8)] == [200] * 8
    assert not kept & sessions()


def test_what_is_streamed_or_a_file_arrives_whole(console: Console, cookie: dict[str, str], user: User) -> None:
    web = console.web()
    rows = httpx.get(f"{web.url}/incidents/export.csv", cookies=cookie, timeout=30)
    assert rows.status_code == 200
    assert rows.text.startswith("id,key,severity")
    page = httpx.get(f"{web.url}/incidents/", cookies=cookie, timeout=30).text
    address = next(part.split('"')[0] for part in page.split('src="')[1:] if ".js" in part)
    script = httpx.get(f"{web.url}{address}", headers={"Accept-Encoding": "identity"}, timeout=30)
    assert (script.status_code, len(script.content)) == (200, int(script.headers["Content-Length"]))
    assert "javascript" in script.headers["Content-Type"]
