"""A real MySQL or MariaDB server of one's own: a private folder, a free port, never as root.

Where neither is installed the tests that need it are skipped and say so; `REQUIRE_MYSQL=1` (CI) makes that a failure.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
import pytest

from tests.services import free_port

ZONE = "America/New_York"
"""The server's: what it says without a zone must not be taken for UTC."""


def _program(*names: str) -> str | None:
    found = (shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/libexec") for name in names)
    return next((path for path in found if path), None)


@dataclass
class MysqlServer:
    port: int
    version: str

    @property
    def mariadb(self) -> bool:
        return "MariaDB" in self.version

    @property
    def admin_url(self) -> str:
        return f"mysql://root@127.0.0.1:{self.port}/"

    def connect(self, user: str = "root", password: str = "", database: str | None = None) -> Any:
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=user, password=password, database=database, autocommit=True
        )

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """As the administrator; the last one's rows."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            connection.close()


def need() -> str:
    """The server's program. Skips the test where there is none."""
    found = _program("mariadbd", "mysqld")
    if found is None:
        reason = "neither mariadbd nor mysqld is installed (Debian: apt-get install mariadb-server-core)"
        if os.environ.get("REQUIRE_MYSQL"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def server() -> Iterator[MysqlServer]:
    program = need()
    folder = Path(tempfile.mkdtemp(prefix="qd-mysql-"))
    folder.chmod(0o755)
    data, user = folder / "data", "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    data.mkdir()
    shutil.chown(data, user)
    plain = ["--no-defaults", f"--datadir={data}", f"--user={user}"]
    port, process = free_port(), None
    try:
        install = _program("mariadb-install-db")
        make = [program, *plain, "--initialize-insecure"]
        if "mariadb" in program and install:
            make = [install, *plain, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(make, check=True, capture_output=True, timeout=90)
        log = (folder / "log").open("wb")
        process = subprocess.Popen(
            [
                program,
                *plain,
                "--bind-address=127.0.0.1",
                f"--port={port}",
                f"--socket={data}/socket",
                f"--pid-file={data}/pid",
                "--log-bin",
                "--binlog-format=ROW",
                "--server-id=7",
                "--innodb-buffer-pool-size=16M",
                "--innodb-flush-log-at-trx-commit=0",
                "--skip-name-resolve",
            ],
            stdout=log,
            stderr=log,
            env={**os.environ, "TZ": ZONE},
        )
        yield _up(MysqlServer(port, ""), process, folder)
    finally:
        if process is not None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _up(made: MysqlServer, process: subprocess.Popen[bytes], folder: Path) -> MysqlServer:
    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended at its start: {(folder / 'log').read_text()[-2000:]}")
        try:
            made.version = str(made.run("SELECT VERSION()")[0][0])
        except pymysql.MySQLError:
            time.sleep(0.1)
        else:
            return made
    raise RuntimeError(f"the server does not answer: {(folder / 'log').read_text()[-2000:]}")


@contextmanager
def refusing(port: int, statement: bytes, number: int, state: bytes, text: bytes) -> Iterator[int]:
    """The port of a way to the server at `port` on which one statement is refused as another kind of server would."""
    refused = b"\xff" + number.to_bytes(2, "little") + b"#" + state + text

    def read(stream: socket.socket, size: int) -> bytes:
        got = b""
        while len(got) < size:
            more = stream.recv(size - len(got))
            if not more:
                raise ConnectionError
            got += more
        return got

    class Way(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            client: socket.socket = self.request
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as behind:
                threading.Thread(target=self.back, args=(behind, client), daemon=True).start()
                while True:
                    head = read(client, 4)
                    body = read(client, int.from_bytes(head[:3], "little"))
                    if body == b"\x03" + statement:  # COM_QUERY
                        client.sendall(len(refused).to_bytes(3, "little") + b"\x01" + refused)
                    else:
                        behind.sendall(head + body)

        def back(self, behind: socket.socket, client: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while some := behind.recv(65536):
                    client.sendall(some)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Way) as way:
        way.daemon_threads = True
        threading.Thread(target=way.serve_forever, daemon=True).start()
        try:
            yield way.server_address[1]
        finally:
            way.shutdown()
