"""A real MySQL or MariaDB server of one's own: a private folder, a free port, never as root.

Both are tried. Where one is not installed the tests that need it are skipped and say so; `REQUIRE_MYSQL=1` (CI) makes
a missing MariaDB a failure. MySQL comes by `python -m tests.mysql.fetch`, from a Debian that changes every day: that it
can't be had today is no fault of a change.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
import pytest

from tests.mysql import fetch
from tests.services import free_port

ZONE = "America/New_York"
"""The server's: what it says without a zone must not be taken for UTC."""
KINDS = ("mysql", "mariadb")
NO_TLS = {"mysql": ("--tls-version=",), "mariadb": ("--skip-ssl",)}


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/libexec")


@dataclass
class MysqlServer:
    kind: str
    port: int
    folder: Path
    version: str = ""

    @property
    def mariadb(self) -> bool:
        return self.kind == "mariadb"

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


def _need(kind: str) -> tuple[list[str], list[str]]:
    """How its server is called, and what makes its data. Skips the test where there is none."""
    if kind == "mysql":
        found = fetch.command(fetch.folder())
        if found is None:
            pytest.skip("MySQL's own server is not here: python -m tests.mysql.fetch gets it from Debian (60 MB)")
        return found, [*found, "--initialize-insecure"]
    program, install = _program("mariadbd"), _program("mariadb-install-db")
    if program is None or install is None or _program("my_print_defaults") is None:  # the client's, which it calls
        reason = "MariaDB's server is not installed (Debian: apt-get install mariadb-server-core mariadb-client-core)"
        if os.environ.get("REQUIRE_MYSQL"):
            pytest.fail(reason)
        pytest.skip(reason)
    plain = "--no-defaults"
    return [program, plain], [install, plain, "--auth-root-authentication-method=normal", "--skip-test-db"]


@contextmanager
def server(kind: str, *options: str, put: Sequence[Path] = ()) -> Iterator[MysqlServer]:
    """One that runs, with these options too. Files of `put` are beside its data, under `{folder}` in the options."""
    program, make = _need(kind)
    folder = Path(tempfile.mkdtemp(prefix="qd-mysql-"))
    folder.chmod(0o755)
    data, user = folder / "data", "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    data.mkdir()
    for file in put:
        shutil.chown(shutil.copy(file, folder), user)
    shutil.chown(data, user)
    own = [f"--datadir={data}", f"--user={user}"]
    if kind == "mysql":  # without names of hosts 127.0.0.1 is another one than localhost
        (folder / "first.sql").write_text(
            "CREATE USER root@'127.0.0.1';\nGRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        make = [*make, f"--init-file={folder}/first.sql"]
    made, process = MysqlServer(kind, free_port(), folder), None
    try:
        done = subprocess.run([*make, *own], capture_output=True, text=True, timeout=90)
        if done.returncode:
            raise RuntimeError(f"its data could not be made: {done.stdout[-1000:]}{done.stderr[-1000:]}")
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *program,
                    *own,
                    "--bind-address=127.0.0.1",
                    f"--port={made.port}",
                    f"--socket={data}/socket",
                    f"--pid-file={data}/pid",
                    "--log-bin=binlog",
                    "--binlog-row-metadata=FULL",
                    "--server-id=7",
                    "--innodb-buffer-pool-size=16M",
                    "--innodb-flush-log-at-trx-commit=0",
                    "--sync-binlog=0",
                    "--innodb-flush-method=nosync",  # nothing of it has to survive a crash of this machine
                    "--skip-name-resolve",
                    *(["--binlog-format=ROW"] if kind == "mariadb" else ["--mysqlx=OFF", "--secure-file-priv="]),
                    *(option.format(folder=folder) for option in options),
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, "TZ": ZONE},
            )
        yield _up(made, process)
    finally:
        if process is not None:
            process.kill()  # its data goes as well: an orderly end would only take time
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _up(made: MysqlServer, process: subprocess.Popen[bytes]) -> MysqlServer:
    log = made.folder / "log"
    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended at its start: {log.read_text()[-2000:]}")
        try:
            made.version = str(made.run("SELECT VERSION()")[0][0])
        except (pymysql.MySQLError, OSError):
            time.sleep(0.1)
        else:
            return made
    raise RuntimeError(f"the server does not answer: {log.read_text()[-2000:]}")
