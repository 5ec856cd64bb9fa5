"""A freshness API on a real socket. Only the standard library: it also serves the checks in Airflow's environment."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "qd_only-for-tests"
MOST_ITEMS = 1000


class FakeConsole:
    """`verdicts` by table, `pending` where a table isn't named. `fail` answers each request with that status."""

    def __init__(self) -> None:
        self.verdicts: dict[str, str] = {}
        self.untracked: set[str] = set()
        self.names_tables = True
        self.fail: int | None = None
        self.retry_after_s: float | None = None
        self.requests: list[tuple[float, int]] = []  # when (monotonic), how many items
        self.bodies: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.reply(*outer.answer(self.path, self.headers.get("Authorization", ""), body))

            def do_GET(self) -> None:
                allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
                self.reply(*((200, []) if allowed else (401, {"detail": "Sign in, or send a token."})))

            def reply(self, status: int, said: object) -> None:
                text = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args: object) -> None:
                """Nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path: str, authorization: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.requests.append((time.monotonic(), len(body["items"])))
        self.bodies.append(body)
        if path != "/api/v1/freshness/check":
            return 404, {"detail": "There is nothing here."}
        if authorization != f"Bearer {TOKEN}":
            return 401, {"detail": "Sign in, or send a token."}
        if self.fail:
            return self.fail, {"detail": "not now"}
        if not 1 <= len(body["items"]) <= MOST_ITEMS:
            return 422, {"detail": "The request is not valid.", "errors": {"items": ["too many"]}}
        unknown = [item["table"] for item in body["items"] if item["table"] in self.untracked]
        if unknown:
            tables = {"tables": {name: [] for name in unknown[:20]}} if self.names_tables else {}
            return 404, {"detail": f"No table is called {unknown[0]}: it is not tracked.", **tables}
        return 200, {"generation": 7, "items": [self.item(item) for item in body["items"]]}

    def item(self, item: dict[str, str]) -> dict[str, Any]:
        verdict = self.verdicts.get(item["table"], "pending")
        return {
            "key": item["key"], "verdict": verdict, "status": "FRESH" if verdict == "complete" else "CATCHING_UP",
            "watermark": "2026-11-21T23:52:10Z", "lag_s": 640, "eta": None,
            "limiting": {"kind": "task", "id": "task1"}, "epoch": 3,
            "proof_id": "88-7" if verdict == "complete" else None, "reasons": ["hold_back=1"],
            "retry_after_s": self.retry_after_s,
        }  # fmt: skip
