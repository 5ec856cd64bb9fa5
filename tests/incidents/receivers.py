"""The other ends of pages: real HTTP servers on loopback that behave like the services, their bad days included.

`mishaps` are what happens to the next requests, one each: `429`, `500`, `400` (answered without taking the event),
`lost` (taken, and the connection closed without an answer), `silent` (taken, answered far too late), `dropped` (closed
before anything was taken). Without a mishap a request is validated as the real service does, and taken.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """A server in this process. `requests` are all that came, `taken` those that were accepted."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.taken: list[Any] = []
        self.mishaps: list[str] = []
        self.retry_after = "1"
        self.silence_s = 1.5
        self.lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 5

            def do_POST(self) -> None:
                receiver._serve(self)

            do_GET = do_POST

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def accept(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        """Validate and take. Returns status and text."""
        self.taken.append(body)
        return 200, "ok"

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self.lock:
            self.requests.append((handler.path, headers, body))
            mishap = self.mishaps.pop(0) if self.mishaps else ""
            if mishap == "dropped":
                status, text = 0, ""
            elif mishap.isdigit():
                status, text = int(mishap), f'{{"status": "{mishap}"}}'
            else:
                status, text = self.accept(handler.path, headers, body)
        if mishap == "silent":
            time.sleep(self.silence_s)
        if mishap in {"dropped", "lost"}:
            handler.close_connection = True
            return
        try:
            handler.send_response(status)
            if status == 429:
                handler.send_header("Retry-After", self.retry_after)
            handler.send_header("Content-Length", str(len(text)))
            handler.end_headers()
            handler.wfile.write(text.encode())
        except OSError:
            pass  # it has hung up


class FakePagerDuty(Receiver):
    """Events v2: `incidents` by dedup key, `log` of what happened to them in order."""

    KEY = "R" * 32

    def __init__(self) -> None:
        super().__init__()
        self.incidents: dict[str, str] = {}
        self.log: list[tuple[str, str]] = []  # (key, what), only what changed something
        self.events: list[dict[str, Any]] = []
        self.changes: list[dict[str, Any]] = []

    def accept(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        if len(body) > 512_000:
            return 413, "too large"
        try:
            event = json.loads(body)
        except ValueError:
            return 400, "not JSON"
        problems = self.problems(path, event)
        if problems:
            return 400, json.dumps(
                {"status": "invalid event", "message": "Event object is invalid", "errors": problems}
            )
        if path.endswith("/v2/change/enqueue"):
            self.changes.append(event)
            return 202, json.dumps({"status": "success", "message": "Change event processed"})
        self.events.append(event)
        key, action = event["dedup_key"], event["event_action"]
        state = self.incidents.get(key)
        if action == "trigger" and state in (None, "resolved"):
            self.incidents[key] = "triggered"
            self.log.append((key, "trigger"))
        elif action == "acknowledge" and state == "triggered":
            self.incidents[key] = "acknowledged"
            self.log.append((key, "acknowledge"))
        elif action == "resolve" and state in ("triggered", "acknowledged"):
            self.incidents[key] = "resolved"
            self.log.append((key, "resolve"))
        return 202, json.dumps({"status": "success", "message": "Event processed", "dedup_key": key})

    def problems(self, path: str, event: dict[str, Any]) -> list[str]:
        """What the real one finds wrong with an event."""
        found = []
        if event.get("routing_key") != self.KEY:
            found.append(f"'routing_key' is invalid: {event.get('routing_key')}")
        change = path.endswith("/v2/change/enqueue")
        if not change and not path.endswith("/v2/enqueue"):
            found.append("no such endpoint")
        action = event.get("event_action")
        known = {"routing_key", "payload", "links", "images", "event_action", "dedup_key", "client", "client_url"}
        found += [f"'{name}' is not known" for name in event if name not in known]
        if not change and action not in {"trigger", "acknowledge", "resolve"}:
            found.append("'event_action' is invalid")
        if action in {"acknowledge", "resolve"} and not event.get("dedup_key"):
            found.append("'dedup_key' is required")
        if len(event.get("dedup_key", "")) > 255:
            found.append("'dedup_key' is too long")
        if action == "trigger" or change:
            payload = event.get("payload") or {}
            inside = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}
            found += [f"'payload.{name}' is not known" for name in payload if name not in inside]
            if not 0 < len(payload.get("summary", "")) <= 1024:
                found.append("'payload.summary' must be 1 to 1024 long")
            if not payload.get("source"):
                found.append("'payload.source' is missing")
            if not change and payload.get("severity") not in {"critical", "error", "warning", "info"}:
                found.append("'payload.severity' is invalid")
            if "timestamp" in payload:
                datetime.fromisoformat(payload["timestamp"])
        found += ["'links' is invalid" for link in event.get("links", []) if not {"href", "text"} >= set(link)]
        return found


class FakeSlack(Receiver):
    """An incoming webhook: takes posts in Block Kit, and keeps every one: it knows no dedup."""

    def accept(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        if path != "/services/T0/B0/s3cretpath":
            return 404, "channel_not_found"
        try:
            post = json.loads(body)
        except ValueError:
            return 400, "invalid_payload"
        if not post.get("text") or len(post.get("blocks", [])) > 50:
            return 400, "no_text"
        for block in post["blocks"]:
            text, limit = block["text"]["text"], 150 if block["type"] == "header" else 3000
            if not 0 < len(text) <= limit or block["type"] not in {"header", "section"}:
                return 400, "invalid_blocks"
        self.taken.append(post)
        return 200, "ok"


class FakeWebhook(Receiver):
    """Checks signature and age as docs/paging.md tells receivers to, and drops what it already has."""

    SECRET = "s3cret-of-the-webhook"

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def accept(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        timestamp = headers.get("x-quarterdeck-timestamp", "0")
        signed = hmac.new(self.SECRET.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(headers.get("x-quarterdeck-signature", ""), f"v1={signed}"):
            return 401, "wrong signature"
        if abs(time.time() - int(timestamp)) > 300:
            return 401, "too old"
        if headers["idempotency-key"] not in self.seen:
            self.seen.add(headers["idempotency-key"])
            self.taken.append(json.loads(body))
        return 200, "ok"
