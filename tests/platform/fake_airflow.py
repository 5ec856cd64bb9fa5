"""A small HTTP server that behaves like Airflow's API: sign-in, pages, filters; and, when told, like a broken one."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PAGE_LIMIT = 100
SECRET = "eyJ-PLANTED-IN-AIRFLOW"


def token(expires_in_s: float, number: int) -> str:
    def part(data: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'HS512'})}.{part({'exp': time.time() + expires_in_s, 'jti': number})}.c2ln"


def instance(number: int, state: str = "running", queue: str = "default", **other: Any) -> dict[str, Any]:
    """A row of taskInstances as Airflow 3.3 gives it, the confidential parts included."""
    started = datetime(2026, 11, 22, 3, tzinfo=UTC) + timedelta(seconds=number)
    return {
        "id": f"0195{number:04d}-0000-7000-8000-000000000000",
        "dag_id": "etl",
        "task_id": f"task_{number}",
        "dag_run_id": "scheduled__2026-11-22",
        "map_index": -1,
        "try_number": 1,
        "state": state,
        "queue": queue,
        "pool": "default_pool",
        "hostname": "i-0abc" if state == "running" else "",
        "queued_when": started.isoformat().replace("+00:00", "Z"),
        "start_date": started.isoformat() if state == "running" else None,
        "rendered_fields": {"op_args": [SECRET]},
        "executor_config": f"{{'token': '{SECRET}'}}",
        "note": SECRET,
    } | other


def job(number: int, kind: str = "SchedulerJob", host: str = "scheduler-a", state: str = "running") -> dict[str, Any]:
    return {
        "id": number,
        "job_type": kind,
        "hostname": host,
        "state": state,
        "start_date": "2026-11-22T03:00:00Z",
        "end_date": None,
        "latest_heartbeat": (datetime(2026, 11, 22, 3, tzinfo=UTC) + timedelta(minutes=number)).isoformat(),
        "unixname": SECRET,
    }


def pool(name: str, slots: int = 128, **other: Any) -> dict[str, Any]:
    return {
        "name": name,
        "slots": slots,
        "description": "a pool",
        "include_deferred": False,
        "occupied_slots": 3,
        "running_slots": 2,
        "queued_slots": 1,
        "scheduled_slots": 4,
        "deferred_slots": 0,
        "open_slots": slots - 3,
        "team_name": None,
    } | other


class FakeAirflow:
    """Its state may be changed at any time. `faults` maps the beginning of a path to what happens instead."""

    def __init__(self, version: str = "3.3.2") -> None:
        self.dags: list[dict[str, Any]] = []
        self.version = version
        self.user, self.password = "console", "right"
        self.token_lives_s = 3600.0
        self.tokens: set[str] = set()
        self.instances: list[dict[str, Any]] = []
        self.jobs: list[dict[str, Any]] = [job(1)]
        self.pools: list[dict[str, Any]] = [pool("default_pool")]
        self.assets: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()
        self.peak = 0
        self.faults: dict[str, list[Callable[[BaseHTTPRequestHandler], bool]]] = {}
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fail(self, path: str, fault: Callable[[BaseHTTPRequestHandler], bool], times: int = 1000) -> None:
        self.faults[path] = [fault] * times

    def answer(self, path: str, query: dict[str, list[str]]) -> Any:
        """The JSON at a path; None: there is no such path."""
        v3 = self.version.startswith("3")
        if path == ("/api/v2/version" if v3 else "/api/v1/version"):
            return {"version": self.version, "git_version": None}
        if path == ("/api/v2/monitor/health" if v3 else "/api/v1/health"):
            beat = {"status": "healthy", "latest_scheduler_heartbeat": "2026-11-22T03:07:00+00:00"}
            return {
                "metadatabase": {"status": "healthy"},
                "scheduler": beat,
                "triggerer": {"status": None, "latest_triggerer_heartbeat": None},
                "dag_processor": {"status": "unhealthy", "latest_dag_processor_heartbeat": None},
            }
        if path == ("/api/v2/pools" if v3 else "/api/v1/pools"):
            return self._page("pools", self.pools, query)
        if not v3:
            return None
        if path == "/api/v2/jobs":
            kind = query.get("job_type", [None])[0]
            rows = [row for row in self.jobs if kind in (None, row["job_type"])]
            rows.sort(key=lambda row: row["latest_heartbeat"], reverse=query["order_by"] == ["-latest_heartbeat"])
            return self._page("jobs", rows, query)
        if path == "/api/v2/dags":
            dags = [row for row in self.dags if query.get("paused") != ["false"] or not row["is_paused"]]
            return self._page("dags", dags, query) if self.dags else {"dags": [], "total_entries": 7}
        if path == "/api/v2/assets":
            rows = [row for row in self.assets if query.get("name_pattern", [""])[0] in row["name"]]
            rows = [row for row in rows if query.get("uri_pattern", [""])[0] in row["uri"]]
            return self._page("assets", rows, query)
        if path == "/api/v2/assets/events":
            rows = [row for row in self.events if str(row["asset_id"]) in query.get("asset_id", [str(row["asset_id"])])]
            since = datetime.fromisoformat(query.get("timestamp_gte", ["1970-01-01T00:00:00+00:00"])[0])
            rows = [row for row in rows if datetime.fromisoformat(row["timestamp"]) >= since]
            return self._page("asset_events", rows, query)
        if path == "/api/v2/importErrors":
            return {"import_errors": [{"stack_trace": SECRET}], "total_entries": 2}
        if path == "/api/v2/dags/~/dagRuns/~/taskInstances":
            rows = [row for row in self.instances if row["state"] in query.get("state", [row["state"]])]
            rows = [row for row in rows if row["queue"] in query.get("queue", [row["queue"]])]
            if since := query.get("start_date_gte"):
                rows = [row for row in rows if row["start_date"] and row["start_date"] >= since[0]]
            if query.get("order_by") == ["start_date"]:
                rows.sort(key=lambda row: (row["start_date"] is None, row["start_date"], row["id"]))
            return self._page("task_instances", rows, query)
        return None

    def asset(self, name: str, uri: str) -> int:
        self.assets.append({"id": len(self.assets) + 1, "name": name, "uri": uri, "extra": {}})
        return len(self.assets)

    def happened(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """An asset event, as Airflow makes it; None: there is no such asset."""
        if set(body) - {"asset_id", "extra", "partition_key", "access_control"}:
            raise ValueError(f"Airflow forbids other fields: {sorted(body)}")
        if body["asset_id"] not in {row["id"] for row in self.assets}:
            return None
        extra = {**body.get("extra", {}), "from_rest_api": True}
        event = {"id": 100 + len(self.events), "asset_id": body["asset_id"], "extra": extra, "created_dagruns": []}
        self.events.append(event | {"timestamp": datetime.now(UTC).isoformat(), "partition_key": None})
        return self.events[-1]

    def _page(self, key: str, rows: list[dict[str, Any]], query: dict[str, list[str]]) -> dict[str, Any]:
        offset, limit = int(query.get("offset", ["0"])[0]), min(int(query.get("limit", ["50"])[0]), PAGE_LIMIT)
        return {key: rows[offset : offset + limit], "total_entries": len(rows)}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are a part of these tests."""


def _handler(fake: FakeAirflow) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.asked = body
            if self._faulty():
                return None
            if self.path == "/api/v2/assets/events":
                if not self._signed_in():
                    return send(self, 401, {"detail": "Invalid JWT token"})
                event = fake.happened(body)
                return send(self, 200, event) if event else send(self, 404, {"detail": "Asset was not found"})
            if self.path == "/api/v2/pools":
                fake.pools.append(pool(body.pop("name"), **body))
                return send(self, 201, fake.pools[-1])
            if self.path != "/auth/token" or not fake.version.startswith("3"):
                return send(self, 404, {"detail": "Not Found"})
            if (body["username"], body["password"]) != (fake.user, fake.password):
                return send(self, 401, {"detail": "Invalid credentials"})
            fresh = token(fake.token_lives_s, fake.calls["/auth/token"])
            fake.tokens.add(fresh)
            return send(self, 201, {"access_token": fresh})

        def do_GET(self) -> None:
            if self._faulty():
                return None
            parts = urlsplit(self.path)
            answer = fake.answer(parts.path, parse_qs(parts.query))
            if answer is None:
                return send(self, 404, {"detail": "Not Found"})
            if not parts.path.endswith(("/version", "/health")) and not self._signed_in():
                return send(self, 401, {"detail": "Invalid JWT token"})
            return send(self, 200, answer)

        def do_PATCH(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self._faulty():
                return None
            parts = urlsplit(self.path)
            found = self._pool(parts.path)
            if found is None:
                return send(self, 404, {"detail": "The Pool was not found"})
            found.update({key: body[key] for key in parse_qs(parts.query)["update_mask"]})
            return send(self, 200, found)

        def do_DELETE(self) -> None:
            if self._faulty():
                return None
            found = self._pool(urlsplit(self.path).path)
            if found is None:
                return send(self, 404, {"detail": "The Pool was not found"})
            if found["name"] == "default_pool":
                return send(self, 400, {"detail": "Default Pool can't be deleted"})
            fake.pools.remove(found)
            self.send_response(204)
            self.end_headers()
            return None

        def _pool(self, path: str) -> dict[str, Any] | None:
            name = unquote(path.removeprefix("/api/v2/pools/"))
            return next((each for each in fake.pools if each["name"] == name), None)

        def _signed_in(self) -> bool:
            given = self.headers.get("Authorization", "")
            if not fake.version.startswith("3"):
                return given == "Basic " + base64.b64encode(f"{fake.user}:{fake.password}".encode()).decode()
            return given.removeprefix("Bearer ") in fake.tokens

        def _faulty(self) -> bool:
            path = urlsplit(self.path).path
            fake.calls[path] += 1
            for start, faults in fake.faults.items():
                if path.startswith(start) and faults:
                    return faults.pop(0)(self)
            return False

    return Handler


def send(handler: BaseHTTPRequestHandler, status: int, body: Any, kind: str = "application/json") -> None:
    data = json.dumps(body).encode() if kind == "application/json" else body
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


# --- faults ----------------------------------------------------------------------------------------------------------


def status(code: int) -> Callable[[BaseHTTPRequestHandler], bool]:
    def fault(handler: BaseHTTPRequestHandler) -> bool:
        send(handler, code, {"detail": f"{SECRET} in an error"})
        return True

    return fault


def html(handler: BaseHTTPRequestHandler) -> bool:
    send(handler, 200, b"<html><title>Sign in</title></html>", "text/html")
    return True


def body(data: bytes) -> Callable[[BaseHTTPRequestHandler], bool]:
    def fault(handler: BaseHTTPRequestHandler) -> bool:
        send(handler, 200, data, "application/octet-stream")
        return True

    return fault


def truncated(handler: BaseHTTPRequestHandler) -> bool:
    """Promises more than it sends, then hangs up."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"pools": [')
    handler.close_connection = True
    return True


def hang(handler: BaseHTTPRequestHandler) -> bool:
    time.sleep(20)
    handler.close_connection = True
    return True


def trickle(handler: BaseHTTPRequestHandler) -> bool:
    """A byte now and then: each single read succeeds."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b" ")
        time.sleep(0.1)
    handler.close_connection = True
    return True


def hang_up(handler: BaseHTTPRequestHandler) -> bool:
    handler.close_connection = True
    return True


def done_and_lost(
    fake: FakeAirflow, instead: Callable[[BaseHTTPRequestHandler], bool] = hang_up
) -> Callable[[BaseHTTPRequestHandler], bool]:
    """The event is made, and the connection ends before the answer; or something else comes `instead` of it."""

    def fault(handler: BaseHTTPRequestHandler) -> bool:
        if handler.command == "POST":
            fake.happened(handler.asked)  # type: ignore[attr-defined]
            return instead(handler)
        fake.faults["/api/v2/assets/events"].insert(0, fault)
        return False

    return fault


def redirect(handler: BaseHTTPRequestHandler) -> bool:
    handler.send_response(307)
    handler.send_header("Location", "https://sso.example.com/login")
    handler.send_header("Content-Length", "0")
    handler.end_headers()
    return True
