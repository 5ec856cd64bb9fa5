"""What goes to the broker: kombu's envelopes in Redis commands."""

from __future__ import annotations

import base64
import itertools
import uuid

import redis

_tags = itertools.count(1)
_tag_prefix = uuid.uuid4().hex


def _delivery_tag() -> str:
    """A unique UUID-shaped string (cheaper than uuid4)."""
    h = f"{_tag_prefix[:20]}{next(_tags):012x}"
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def envelope(body: str, headers: str, exchange: str, routing_key: str) -> bytes:
    """kombu's virtual-transport envelope around a JSON *body*, as Redis holds it."""
    return (
        f'{{"body": "{base64.b64encode(body.encode()).decode()}", "content-encoding": "utf-8", '
        f'"content-type": "application/json", "headers": {headers}, "properties": {{"delivery_mode": 1, '
        f'"delivery_info": {{"exchange": "{exchange}", "routing_key": "{routing_key}"}}, "priority": 0, '
        f'"body_encoding": "base64", "delivery_tag": "{_delivery_tag()}"}}}}'
    ).encode()


def resp(*args: bytes | str) -> bytes:
    """One Redis command, RESP-encoded."""
    out = [b"*%d\r\n" % len(args)]
    for a in args:
        a = a.encode() if isinstance(a, str) else a
        out.append(b"$%d\r\n%b\r\n" % (len(a), a))
    return b"".join(out)


class Wire:
    """Write-only broker connection: commands are collected, then sent in one go.

    ``CLIENT REPLY OFF`` spares both sides the replies. TCP back-pressure still
    holds: if Redis is slow, ``flush`` blocks and the lateness is reported.
    """

    def __init__(self, url: str):
        self.client = redis.Redis.from_url(url)  # ordinary connection, for look-ups
        self.client.ping()
        pool = redis.ConnectionPool.from_url(url)
        self.conn = pool.make_connection()
        self.conn.connect()
        self.conn.send_packed_command([resp("CLIENT", "REPLY", "OFF")])
        self.db = int(pool.connection_kwargs.get("db") or 0)
        self.buf: list[bytes] = []
        self.sent_bytes = 0

    def event(self, body: str, hostname: str, routing_key: str) -> None:
        msg = envelope(body, f'{{"hostname": "{hostname}"}}', "celeryev", routing_key)
        self.buf.append(resp("PUBLISH", f"/{self.db}.celeryev/{routing_key}", msg))

    def push(self, key: str, msg: bytes) -> None:
        self.buf.append(resp("LPUSH", key, msg))

    def flush(self) -> None:
        if self.buf:
            data = b"".join(self.buf)
            self.buf.clear()
            self.sent_bytes += len(data)
            self.conn.send_packed_command([data], check_health=False)
