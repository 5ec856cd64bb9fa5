"""The console and Airflow over HTTP, as verify asks them. Only the standard library."""

from __future__ import annotations

import http.cookiejar
import json
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any


class Refused(Exception):
    """An answer of 400 or more."""


def call(method: str, url: str, body: object = None, token: str = "", within_s: float = 20) -> Any:
    """The answer's JSON. Raises Refused, or OSError where nobody answers."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=within_s) as answer:
            data = answer.read()
    except urllib.error.HTTPError as error:
        raise Refused(f"{method} {url}: {error.code} {error.read()[:500].decode(errors='replace')}") from None
    return json.loads(data) if data else None


def sign_in(base: str, user: str, password: str) -> str:
    """Through the form, with its CSRF token, as a browser does. Returns the overview's HTML."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    page = opener.open(f"{base}/accounts/login/", timeout=20).read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token, "the sign-in page holds no CSRF token"
    form = {"username": user, "password": password, "csrfmiddlewaretoken": token[1], "next": "/"}
    request = urllib.request.Request(
        f"{base}/accounts/login/", urllib.parse.urlencode(form).encode(), {"Referer": f"{base}/accounts/login/"}
    )
    with opener.open(request, timeout=20) as answer:
        html: str = answer.read().decode()
        assert answer.url.rstrip("/") == base, f"the sign-in ended at {answer.url}"
    return html


class Airflow:
    """Airflow's REST API."""

    def __init__(self, base: str, user: str, password: str) -> None:
        self.base, self.user, self.password = base, user, password
        self.token = ""

    def call(self, method: str, path: str, body: object = None) -> Any:
        if not self.token:
            who = {"username": self.user, "password": self.password}
            self.token = call("POST", f"{self.base}/auth/token", who)["access_token"]
        return call(method, f"{self.base}/api/v2{path}", body, self.token, within_s=40)

    def trigger(self, dag: str, conf: dict[str, Any]) -> str:
        """Start a run. Returns its id."""
        return str(self.call("POST", f"/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"])

    def state(self, dag: str, run: str) -> str:
        return str(self.call("GET", f"/dags/{dag}/dagRuns/{urllib.parse.quote(run)}")["state"])

    def tasks(self, dag: str, run: str) -> list[dict[str, Any]]:
        path = f"/dags/{dag}/dagRuns/{urllib.parse.quote(run)}/taskInstances?limit=200"
        return list(self.call("GET", path)["task_instances"])

    def log(self, dag: str, run: str, task: dict[str, Any]) -> str:
        """The log of a task's last try, as the api-server reads it from the worker's machine."""
        path = f"/dags/{dag}/dagRuns/{urllib.parse.quote(run)}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        return json.dumps(self.call("GET", f"{path}?map_index={task['map_index']}"))


class Load:
    """Requests without a pause from several threads; what failed is kept."""

    def __init__(self, url: str, threads: int = 4) -> None:
        self.url, self.count = url, threads
        self.done, self.failed, self.slowest_s = 0, [], 0.0  # type: ignore[var-annotated]
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def _one(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            fault = ""
            try:
                with urllib.request.urlopen(self.url, timeout=15) as answer:
                    answer.read()
            except OSError as error:
                fault = f"{type(error).__name__}: {error}"
            with self._lock:
                self.done += 1
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                if fault:
                    self.failed.append(fault)
            self._ended.wait(0.02)

    def __enter__(self) -> Load:
        self._threads = [threading.Thread(target=self._one, daemon=True) for _ in range(self.count)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(20)
