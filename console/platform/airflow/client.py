"""HTTP to Airflow's API: sign-in, time limits, retries, and a PlatformError for each way it fails."""

from __future__ import annotations

import base64
import json
import random
import ssl
import threading
import time
from functools import lru_cache
from typing import Any

import httpx

from console.platform.airflow import errors
from console.platform.budget import Budget
from console.platform.declared import AirflowDeclared
from console.platform.ports import PlatformError

CONNECT_S = 2.0
READ_S = 4.0
ATTEMPTS = 3
LARGEST_ANSWER = 32 * 2**20
REFRESH_BEFORE_S = 60.0
"""A token is renewed this long before it expires."""
SIGN_IN_AGAIN_S = 10.0
"""After a refused sign-in the next is tried this much later: accounts get locked by hammering."""

_GATEWAY = {502, 503, 504}
_RETRIED = (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)

Query = dict[str, str | int | list[str]]


@lru_cache(maxsize=1)
def _certificates() -> ssl.SSLContext:
    """The authorities that are trusted: certifi's, or those of SSL_CERT_FILE. Loading them takes a while."""
    return httpx.create_ssl_context()


class Client:
    """One Airflow API. Safe for threads; one connection pool and one token for all of them."""

    def __init__(self, declared: AirflowDeclared) -> None:
        self.url = declared.url
        self._user = (declared.username, declared.password)
        self._token = declared.token
        self._fixed = bool(declared.token)
        self._expires_at = float("inf")  # on the wall clock, as the token says it
        self._refused: tuple[float, PlatformError] | None = None
        self._lock = threading.Lock()
        self._http = httpx.Client(
            base_url=declared.url,
            headers={"Accept": "application/json", "User-Agent": "quarterdeck"},
            verify=_certificates(),
            limits=httpx.Limits(max_connections=16, max_keepalive_connections=4, keepalive_expiry=15),
        )

    def get(self, path: str, query: Query | None = None, *, budget: Budget, auth: str = "token") -> Any:
        """The parsed JSON at `path`. `auth`: token, basic (Airflow 2) or none. Raises PlatformError."""
        headers = self._headers(auth, budget)
        status, body, location = self._attempts(path, query, headers, budget)
        if status == 401 and auth == "token" and not self._fixed:
            # The api-server's key has changed, or its clock differs from ours: one fresh token, then believe it.
            self._forget(headers["Authorization"])
            status, body, location = self._attempts(path, query, self._headers(auth, budget), budget)
        if status != 200:
            raise (
                errors.unauthorised(token=self._fixed)
                if status == 401
                else errors.failed_status(status, path, location=location)
            )
        return _parsed(body, path)

    def change(self, method: str, path: str, body: dict[str, Any] | None, *, budget: Budget) -> tuple[int, Any]:
        """POST, PATCH or DELETE: status and parsed JSON (None without one). Sent once: a repetition may do it twice.

        Any 4xx but 401 is handed back for the caller to judge; everything else that fails is a PlatformError.
        """
        status, answer = self._once(method, path, body, budget)
        if status == 401 and not self._fixed:
            self._forget(self._headers("token", budget)["Authorization"])
            status, answer = self._once(method, path, body, budget)
        if status == 401:
            raise errors.unauthorised(token=self._fixed)
        if status == 403 or not 200 <= status < 500:
            raise errors.failed_status(status, path)
        return status, answer

    def _once(self, method: str, path: str, body: dict[str, Any] | None, budget: Budget) -> tuple[int, Any]:
        request = self._http.build_request(method, path, json=body, headers=self._headers("token", budget))
        try:
            status, content, _ = self._send(request, budget)
        except httpx.HTTPError as error:
            raise errors.failed_request(error, self.url) from None
        return status, _parsed(content, path) if content.strip() else None

    def _headers(self, auth: str, budget: Budget) -> dict[str, str]:
        if auth == "none":
            return {}
        if auth == "basic" and not self._fixed:
            pair = base64.b64encode(":".join(self._user).encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {"Authorization": f"Bearer {self._current_token(budget)}"}

    # --- the token -------------------------------------------------------------------------------------------------

    def _current_token(self, budget: Budget) -> str:
        if self._fixed:
            return self._token
        if not self._lock.acquire(timeout=budget.spend(budget.seconds)):
            raise budget.exceeded()
        try:
            if not self._token or time.time() > self._expires_at - REFRESH_BEFORE_S:
                self._sign_in(budget)
            return self._token
        finally:
            self._lock.release()

    def _forget(self, header: str) -> None:
        with self._lock:
            if header == f"Bearer {self._token}":
                self._token = ""

    def _sign_in(self, budget: Budget) -> None:
        if self._refused and time.monotonic() < self._refused[0]:
            raise self._refused[1]
        path = "/auth/token"
        username, password = self._user
        request = self._http.build_request("POST", path, json={"username": username, "password": password})
        try:
            status, body, location = self._send(request, budget)
        except httpx.HTTPError as error:
            raise errors.failed_request(error, self.url) from None
        if status in {400, 401, 403, 422}:
            self._refused = time.monotonic() + SIGN_IN_AGAIN_S, errors.unauthorised()
            raise self._refused[1]
        if status not in {200, 201}:
            raise errors.failed_status(status, path, location=location)
        answer = _parsed(body, path)
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise errors.malformed(path, "no token")
        self._token, self._expires_at, self._refused = token, expiry(token), None

    # --- requests --------------------------------------------------------------------------------------------------

    def _attempts(
        self, path: str, query: Query | None, headers: dict[str, str], budget: Budget
    ) -> tuple[int, bytes, str]:
        """Reads are repeated where a repetition can help: no connection, or a gateway in front of a restart."""
        for attempt in range(1, ATTEMPTS + 1):
            pause_s = 0.15 * 2**attempt * random.uniform(0.5, 1.0)
            last = attempt == ATTEMPTS or pause_s >= budget.left_s()
            request = self._http.build_request("GET", path, params=query, headers=headers)
            try:
                answer = self._send(request, budget)
                if answer[0] not in _GATEWAY or last:
                    return answer
            except _RETRIED as error:
                if last:
                    raise errors.failed_request(error, self.url) from None
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise errors.failed_request(_as_http_error(error), self.url) from None
            time.sleep(pause_s)
        raise budget.exceeded()

    def _send(self, request: httpx.Request, budget: Budget) -> tuple[int, bytes, str]:
        """Status, body and Location. A body that trickles in is cut off at the budget's end."""
        read_s, connect_s = budget.spend(READ_S), budget.spend(CONNECT_S)
        timeout = httpx.Timeout(read_s, connect=connect_s, pool=connect_s)
        request.extensions = {**request.extensions, "timeout": timeout.as_dict()}
        response = self._http.send(request, stream=True)
        try:
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                budget.spend(READ_S)
                if len(body) > LARGEST_ANSWER:
                    raise errors.malformed(request.url.path, f"more than {LARGEST_ANSWER // 2**20} MiB")
            return response.status_code, bytes(body), response.headers.get("location", "")
        finally:
            response.close()


def _as_http_error(error: httpx.HTTPError | httpx.InvalidURL) -> httpx.HTTPError:
    return error if isinstance(error, httpx.HTTPError) else httpx.UnsupportedProtocol(str(error))


def _parsed(body: bytes, path: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        what = "a web page" if body.lstrip()[:1] == b"<" else "something that is not JSON"
        raise errors.malformed(path, what) from None


def expiry(token: str) -> float:
    """When the JWT expires (seconds since 1970), by its own word; never where it does not say."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError):
        return float("inf")
