"""Links to files of a local folder that expire, as S3's presigned ones do.

    python -m quarterdeck_airflow.files.links FOLDER [PORT]

serves them on the loopback, for development.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, unquote, urlsplit

if TYPE_CHECKING:
    from quarterdeck_airflow.files.local import LocalStore


def signed(base: str, secret: bytes, key: str, until: int) -> str:
    """An address of the key that is good until then (seconds since 1970)."""
    return f"{base}/{quote(key)}?until={until}&signature={_signature(secret, key, until)}"


def _signature(secret: bytes, key: str, until: int) -> str:
    return hmac.new(secret, f"{until}\n{key}".encode(), hashlib.sha256).hexdigest()


def allowed(secret: bytes, target: str, now: float) -> str | None:
    """The key that a request's path may read; None where the link is wrong or too old."""
    parts = urlsplit(target)
    query = parse_qs(parts.query)
    key, until, given = unquote(parts.path.lstrip("/")), query.get("until", [""])[0], query.get("signature", [""])[0]
    if not until.isascii() or not until.isdigit() or len(until) > 12 or int(until) < now:
        return None
    return key if hmac.compare_digest(_signature(secret, key, int(until)).encode(), given.encode()) else None


def server(store: LocalStore, port: int = 0) -> ThreadingHTTPServer:
    """A server of the folder's links on the loopback; `serve_forever` runs it."""
    from quarterdeck_airflow.files.keys import BadKey
    from quarterdeck_airflow.files.store import FileError

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            key = allowed(store.link_secret(), self.path, time.time())
            try:
                body = store.read(key) if key is not None else None
            except (BadKey, FileError):
                self.send_error(404)
                return
            if body is None:
                self.send_error(403)
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a link is a secret for as long as it lives."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def main() -> None:
    from quarterdeck_airflow.files.local import LocalStore

    if not 2 <= len(sys.argv) <= 3 or not os.path.isdir(sys.argv[1]):
        raise SystemExit("usage: python -m quarterdeck_airflow.files.links FOLDER [PORT]; FOLDER must be there.")
    running = server(LocalStore(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 0)
    sys.stdout.write(f"http://127.0.0.1:{running.server_port}\n")
    sys.stdout.flush()
    running.serve_forever()


if __name__ == "__main__":
    main()
