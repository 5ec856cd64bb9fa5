"""One bounded POST (or GET) to a pager, and a TransportError for each way in which it fails.

No redirect is followed, no proxy of the environment is used, and no text that leaves here holds the URL's path or a
secret: of many pagers the URL *is* the secret.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from urllib.parse import urlsplit, urlunsplit

import httpx

from console.incidents.pagers.addresses import resolved
from console.incidents.pagers.message import TransportError, cut, one_line
from console.lib.redaction import redact

CONNECT_S, ANSWER_S = 3.0, 10.0
ADDRESSES = 3  # tried in turn
LARGEST_ANSWER = 16_384
LONGEST_WAIT_S = 3600.0  # a Retry-After beyond it is not believed
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


@dataclass(frozen=True)
class Answer:
    """What the other end said: its status and the beginning of its text."""

    status: int
    text: str


@cache
def _trusted() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def send(
    url: str,
    content: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "POST",
    allow_private: bool = False,
    secrets: Iterable[str] = (),
) -> Answer:
    """Send and return a 2xx. Raises TransportError for everything else."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    error: TransportError | None = None
    for address in resolved(host, port, allow_private=allow_private)[:ADDRESSES]:
        netloc = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        request = httpx.Request(
            method,
            urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, "")),
            content=content,
            headers={
                "Host": parts.netloc.rpartition("@")[2],
                "User-Agent": "Quarterdeck",
                "Accept-Encoding": "identity",  # what is small on the wire stays small
                **(headers or {}),
            },
            extensions={"sni_hostname": host} if parts.scheme == "https" else {},
        )
        try:
            status, answered, text = _exchange(request)
        except httpx.HTTPError as failed:
            error = _not_answered(host, failed)
            if error.maybe_taken:
                raise error from None
            continue  # nothing was sent: its next address
        return _judged(host, status, answered, scrubbed(text, (url, parts.path, parts.query, *secrets)))
    assert error is not None
    raise error


def _exchange(request: httpx.Request) -> tuple[int, httpx.Headers, str]:
    timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
    with httpx.Client(verify=_trusted(), trust_env=False, timeout=timeout, follow_redirects=False) as client:
        # A request made by hand gets no timeout of its own from the client.
        request.extensions["timeout"] = timeout.as_dict()
        response = client.send(request, stream=True)
        try:
            taken, until_s = b"", time.monotonic() + ANSWER_S
            for chunk in response.iter_raw():
                taken += chunk
                if time.monotonic() > until_s:
                    raise httpx.ReadTimeout("it answers a few bytes at a time", request=request)
                if len(taken) >= LARGEST_ANSWER:
                    break
        finally:
            response.close()
        return response.status_code, response.headers, taken[:LARGEST_ANSWER].decode(errors="replace")


def _not_answered(host: str, failed: httpx.HTTPError) -> TransportError:
    if isinstance(failed, _NOT_SENT):
        what = "did not take the connection in time" if isinstance(failed, httpx.ConnectTimeout) else "can't be reached"
        return TransportError(f"{host} {what} ({type(failed).__name__}).")
    what = "did not answer in time" if isinstance(failed, httpx.TimeoutException) else "broke the connection"
    return TransportError(f"{host} {what}: it may have taken the message, which is sent again.", maybe_taken=True)


def _judged(host: str, status: int, headers: httpx.Headers, text: str) -> Answer:
    if 200 <= status < 300:
        return Answer(status, text)
    said = f": {cut(one_line(text), 200)}" if text.strip() else ""
    if status in {408, 425, 429} or status >= 500:
        wait_s = retry_after_s(headers.get("Retry-After", ""), datetime.now(UTC))
        raise TransportError(f"{host} answered {status}{said}", retry_after_s=wait_s, maybe_taken=status >= 500)
    if 300 <= status < 400:
        said = ": it leads elsewhere, which is not followed. Declare the final URL"
    raise TransportError(f"{host} answered {status}{said}", permanent=True)


def retry_after_s(text: str, now: datetime) -> float | None:
    """A Retry-After header in seconds from now, as seconds or as a date; None when absent or not understood."""
    text = text.strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), LONGEST_WAIT_S)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), LONGEST_WAIT_S)


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """The text without the given secrets, and without whatever else looks like one."""
    for secret in sorted({secret for secret in secrets if len(secret) > 5}, key=len, reverse=True):
        text = text.replace(secret, "[redacted]")
    return redact(text)
