"""The sandbox's pager: takes any POST and writes it, a JSON object a line, to `pages.jsonl`.

    python pager.py PORT FILE

The kind is the first part of the path (`/pagerduty`, `/slack`, `/webhook`). Only the standard library: it must stay
small.
"""

from __future__ import annotations

import json
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LARGEST_BODY = 1_000_000


class Pager(BaseHTTPRequestHandler):
    file: Path
    lock = threading.Lock()
    protocol_version = "HTTP/1.1"
    timeout = 10

    def answer(self, status: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        self.answer(200, {"status": "ok"})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BODY:
            self.close_connection = True
            self.answer(413, {"error": "too large"})
            return
        text = self.rfile.read(length).decode(errors="replace")
        try:
            body: object = json.loads(text)
        except ValueError:
            body = text
        kind = self.path.strip("/").split("/")[0].split("?")[0] or "webhook"
        line = json.dumps({"at": datetime.now(UTC).isoformat(), "kind": kind, "body": body})
        with self.lock, self.file.open("a") as file:
            file.write(line + "\n")
        # What PagerDuty's Events API answers; the others only look at the status.
        self.answer(202, {"status": "success", "message": "Event processed"})

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the file is the log."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # pages come in bursts
    daemon_threads = True


def main() -> None:
    port, Pager.file = int(sys.argv[1]), Path(sys.argv[2])
    Pager.file.touch(mode=0o600)
    Server(("127.0.0.1", port), Pager).serve_forever()


if __name__ == "__main__":
    main()
