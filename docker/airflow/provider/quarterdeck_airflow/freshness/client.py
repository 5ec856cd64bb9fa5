"""`POST /api/v1/freshness/check` by httpx, for a worker and for an event loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from quarterdeck_airflow import __version__
from quarterdeck_airflow.freshness.question import Answer, Manner, Question, Unavailable, body_of, read

PATH = "/api/v1/freshness/check"


@dataclass(frozen=True)
class Endpoint:
    """Where the console is, and with what one may ask it. The token never shows in a repr, so in no log either."""

    url: str
    token: str = field(repr=False)
    timeout_s: float = 15.0
    verify: bool | str = True
    """False, or a CA file's path, for a console with a certificate of its own."""

    @property
    def options(self) -> dict[str, Any]:
        return {
            "base_url": self.url,
            "headers": {
                "Authorization": f"Bearer {self.token}",
                "User-Agent": f"quarterdeck-airflow-provider/{__version__}",
            },
            "timeout": httpx.Timeout(self.timeout_s, connect=min(self.timeout_s, 5.0)),
            "verify": _context(self.verify),
        }


def _context(verify: bool | str) -> Any:
    if isinstance(verify, str):
        import ssl

        return ssl.create_default_context(cafile=verify)
    return verify


def address(host: str, schema: str = "", port: int | None = None) -> str:
    """The console's address from a connection's fields. Raises ValueError naming the field."""
    host = host.strip()
    if not host:
        raise ValueError(
            "The connection's host is empty: give the console's address, such as https://console.internal."
        )
    if "://" not in host:
        host = f"{schema.strip() or 'https'}://{host}"
    parts = urlsplit(host)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("The connection's host is no address: give one such as https://console.internal.")
    if port and parts.port is None:
        host = f"{parts.scheme}://{parts.netloc}:{port}{parts.path}"
    return host.rstrip("/")


def check(endpoint: Endpoint, questions: Sequence[Question], manner: Manner) -> dict[Question, Answer]:
    """Ask once and wait for the answer. Raises CheckError."""
    try:
        with httpx.Client(**endpoint.options) as client:
            reply = client.post(PATH, json=body_of(questions, manner))
    except httpx.HTTPError as error:
        raise _away(endpoint, error) from error
    return read(reply.status_code, _headers(reply), _json(reply), questions)


def ping(endpoint: Endpoint) -> None:
    """Whether the console answers and takes the token. Raises CheckError."""
    try:
        with httpx.Client(**endpoint.options) as client:
            reply = client.get("/api/v1/freshness", params={"limit": 1})
    except httpx.HTTPError as error:
        raise _away(endpoint, error) from error
    if reply.status_code != 200:
        read(reply.status_code, _headers(reply), _json(reply), [])


async def acheck(
    client: httpx.AsyncClient, endpoint: Endpoint, questions: Sequence[Question], manner: Manner
) -> dict[Question, Answer]:
    """The same in an event loop, by a client made with `endpoint.options`. Raises CheckError."""
    try:
        reply = await client.post(PATH, json=body_of(questions, manner))
    except httpx.HTTPError as error:
        raise _away(endpoint, error) from error
    return read(reply.status_code, _headers(reply), _json(reply), questions)


def _away(endpoint: Endpoint, error: httpx.HTTPError) -> Unavailable:
    return Unavailable(f"Quarterdeck at {endpoint.url} can't be reached ({type(error).__name__}: {error}).")


def _headers(reply: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in reply.headers.items()}


def _json(reply: httpx.Response) -> Any:
    try:
        return reply.json()
    except ValueError:
        return None
