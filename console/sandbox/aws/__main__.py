"""`python -m console.sandbox.aws PORT DECLARATION PORTS_JSON [ADDRESS]`: the AWS endpoint of one sandbox.

ADDRESS is where it listens, 127.0.0.1 where none is given.

Moto is not thread-safe: one lock around the whole WSGI application. SIGUSR1 makes the endpoint unreachable (its port is
closed), SIGUSR2 brings it back with its state as it was: an outage of AWS' API does not end anybody's instances.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from console.sandbox.aws import groups, hooks, services
from console.sandbox.aws.machines import MACHINE_PATH, Machines


class Quiet(MotoRequestHandler):
    """No line per request: there are several each second. No connection outlives its answer, nor so an outage."""

    protocol_version = "HTTP/1.0"

    def log_request(self, *args: Any, **kwargs: Any) -> None:
        pass


class Endpoint:
    """Moto's application behind one lock, with the replication's own path in front of it."""

    def __init__(self, region: str) -> None:
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.region = region
        self.machines = Machines(services.ACCOUNT, region)
        self.lock = threading.RLock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self.lock:
            if environ.get("PATH_INFO") == services.REPORT_PATH:
                return self._report(environ, start_response)
            if environ.get("PATH_INFO") == MACHINE_PATH:
                return self._machine(environ, start_response)
            return list(self.moto(environ, start_response))

    def _report(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = _body(environ)
        answer = services.report(self.region, json.loads(body)) if body else {"status": "ok"}
        return _json(start_response, answer)

    def _machine(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = _body(environ)
        if not body:
            return _json(start_response, self.machines.hosts())
        return _json(start_response, self.machines.answer(json.loads(body), time.monotonic()))


def _body(environ: dict[str, Any]) -> bytes:
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return body


def _json(start_response: Callable[..., Any], answer: object) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]


def serve(endpoint: Endpoint, port: int, address: str = "127.0.0.1") -> BaseWSGIServer:
    """Listen and answer in threads of its own."""
    server = make_server(address, port, endpoint, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    return server


def main() -> None:
    port, declaration, ports = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    address = sys.argv[4] if len(sys.argv) > 4 else "127.0.0.1"
    groups.install()
    hooks.install()
    services.install()
    endpoint = Endpoint(os.environ["AWS_DEFAULT_REGION"])

    private = serve(endpoint, 0)  # nobody may see a half-made account
    url = f"http://127.0.0.1:{private.server_port}"
    subprocess.run([sys.executable, "-m", "console.sandbox.aws.seed", url, declaration, ports], check=True)
    private.shutdown()
    private.server_close()

    wake = threading.Event()
    reachable = True
    stopping = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal reachable, stopping
        stopping = stopping or number in {signal.SIGTERM, signal.SIGINT}
        reachable = {signal.SIGUSR1: False, signal.SIGUSR2: True}.get(signal.Signals(number), reachable)
        wake.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, on_signal)
    server: BaseWSGIServer | None = None
    while not stopping:
        if reachable and server is None:
            server = serve(endpoint, port, address)
            print(f"AWS endpoint on port {port}", flush=True)
        elif not reachable and server is not None:
            server.shutdown()
            server.server_close()
            server = None
            print("AWS endpoint closed", flush=True)
        wake.wait()
        wake.clear()


if __name__ == "__main__":
    main()
