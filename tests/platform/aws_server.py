"""AWS as moto's HTTP server gives it, in this process, behind a lock: moto is not safe for threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

REGION = "eu-north-1"


class _Quiet(WSGIRequestHandler):
    def log_request(self, *args: Any, **kwargs: Any) -> None:
        pass


class AwsServer:
    def __init__(self) -> None:
        self._clients: dict[str, Any] = {}
        self._application = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.RLock()
        self._requests = 0
        self.instead: Callable[..., Iterable[bytes]] | None = None  # answers in moto's place
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            self._requests += 1
            return list((self.instead or self._application)(environ, start_response))

    def requests(self) -> int:
        return self._requests

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(  # type: ignore[call-overload]
                service,
                region_name=REGION,
                endpoint_url=self.url,
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
        return self._clients[service]

    def reset(self) -> None:
        from moto.backends import get_backend
        from moto.core.model_instances import reset_model_data

        for service in ("autoscaling", "ec2", "dms", "cloudwatch", "rds", "elasticache", "s3"):
            for account in get_backend(service).values():  # type: ignore[call-overload]
                for backend in account.values():
                    backend.reset()
        reset_model_data()
        self.instead = None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def answering(status: str, body: bytes, kind: str = "text/html") -> Callable[..., Iterable[bytes]]:
    """A WSGI application with one answer for everything."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    return application
