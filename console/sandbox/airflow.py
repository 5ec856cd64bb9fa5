"""Real Airflow 3.3 in an environment of its own: installed from the lock, its processes, its workers."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

from console.sandbox import env as environment
from console.sandbox import postgres, probe
from console.sandbox.env import AIRFLOW_USER, REGION, Site
from console.sandbox.home import REPOSITORY, Home, SandboxError, write_private
from console.sandbox.process import Spec, last_lines

LOCK = REPOSITORY / "docker" / "airflow" / "requirements.lock"
DAGS = REPOSITORY / "docker" / "airflow" / "dags"
MODULES = REPOSITORY / "docker" / "airflow" / "modules"
"""On Airflow's PYTHONPATH: the function that names its hosts."""
PROVIDER = REPOSITORY / "docker" / "airflow" / "provider"
"""The provider package: the freshness sensor, the hooks, files from task to task."""

LOCK_STAMP, PROVIDER_STAMP = "sandbox-install-id", "sandbox-provider-id"


def install_id() -> str:
    """Changes with the lock or the Python version: then the environment is made anew."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return hashlib.sha256(LOCK.read_bytes() + version.encode()).hexdigest()


def provider_id() -> str:
    """Changes with the provider's files: then only the provider is installed anew."""
    digest = hashlib.sha256(install_id().encode())
    for path in sorted([PROVIDER / "pyproject.toml", *PROVIDER.rglob("*.py")]):
        digest.update(f"{path.relative_to(PROVIDER)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _uv() -> str:
    try:
        import uv
    except ImportError as error:
        raise SandboxError(
            "uv is missing, which installs Airflow. Run .venv/bin/pip install -r console/sandbox/requirements.txt"
        ) from error
    return str(uv.find_uv_bin())


def _stamped(home: Home, name: str, value: str) -> bool:
    stamp = home.airflow_venv / name
    return stamp.exists() and stamp.read_text() == value


def is_installed(home: Home) -> bool:
    return _stamped(home, LOCK_STAMP, install_id()) and _stamped(home, PROVIDER_STAMP, provider_id())


async def install(home: Home) -> None:
    """Make Airflow's environment from the lock, and install the provider into it, each where it is not there yet."""
    venv, uv = home.airflow_venv, _uv()
    python = str(venv / "bin" / "python")
    if not _stamped(home, LOCK_STAMP, install_id()):
        await _run(home, uv, "venv", "--quiet", "--clear", "--no-project", "--python", sys.executable, str(venv))
        await _run(home, uv, "pip", "install", "--quiet", "--no-deps", "--python", python, "-r", str(LOCK))
        (venv / LOCK_STAMP).write_text(install_id())
    if not _stamped(home, PROVIDER_STAMP, provider_id()):
        again = ("--reinstall-package", "quarterdeck-airflow-provider")
        await _run(home, uv, "pip", "install", "--quiet", "--no-deps", *again, "--python", python, str(PROVIDER))
        (venv / PROVIDER_STAMP).write_text(provider_id())


async def _run(home: Home, *command: str) -> None:
    """One step of the installation. Raises SandboxError."""
    env = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    env["UV_LINK_MODE"] = env.get("UV_LINK_MODE", "hardlink")
    log = home.logs / "airflow-install.log"
    code, output = await probe.run(*command, env=env)
    with log.open("a") as file:
        file.write(f"$ {' '.join(command)}\n{output}\n")
    if code:
        raise SandboxError(
            f"Airflow could not be installed (exit code {code}): is a package index reachable from here? "
            f"{last_lines(log)}"
        )


def settings(site: Site) -> dict[str, str]:
    """Airflow's environment variables, the same for each of its processes but for the host's name."""
    home, secrets = site.home, site.secrets
    values = {
        "core": {
            "executor": "CeleryExecutor",
            "dags_folder": str(DAGS),
            "load_examples": "False",
            "fernet_key": secrets.airflow_fernet,
            "hostname_callable": "platform_host.name",
            "execution_api_server_url": f"{site.airflow_url}/execution/",
            "simple_auth_manager_users": f"{AIRFLOW_USER}:admin",
            "simple_auth_manager_passwords_file": str(home.airflow / "passwords.json"),
            "parallelism": "128",
            "max_active_tasks_per_dag": "128",
            "dags_are_paused_at_creation": "False",
            "default_task_retries": "1",
        },
        "database": {
            "sql_alchemy_conn": site.database_url("airflow", "airflow", driver="postgresql+psycopg2"),
            "sql_alchemy_pool_size": "3",
            "sql_alchemy_max_overflow": "12",
        },
        "logging": {"base_log_folder": str(home.airflow / "logs"), "logging_level": "INFO"},
        "api": {
            "host": "127.0.0.1",
            "port": str(site.ports.airflow),
            "base_url": site.airflow_url,
            "workers": "1",
            "secret_key": secrets.airflow_secret,
            "expose_config": "False",
        },
        "api_auth": {"jwt_secret": secrets.airflow_jwt},
        "celery": {
            "broker_url": site.redis_url(broker=True),
            "result_backend": "db+" + site.database_url("airflow", "airflow"),
            "worker_prefetch_multiplier": "1",
            "sync_parallelism": "1",
            "celery_config_options": "platform_celery.CELERY_CONFIG",
            "operation_timeout": "5.0",
        },
        "celery_broker_transport_options": {"visibility_timeout": "86400"},
        "scheduler": {
            "scheduler_idle_sleep_time": "1",
            "task_instance_heartbeat_timeout": "120",
            "enable_health_check": "False",
            "parsing_cleanup_interval": "300",
            # A takeover closes the old scheduler's Job, so that the new one adopts its tasks at once (docs/agents.md).
            # Where that is not allowed these two decide: stale after 30 s, looked for every 30 s instead of 300.
            "scheduler_health_check_threshold": "30",
            "orphaned_tasks_check_interval": "30",
        },
        # A task ends itself after so many heartbeats in a row that Airflow's API did not take. By default that is 15 s
        # of silence: a busy minute of two cores, or an API that is started anew, would fail tasks that work well.
        "workers": {"min_heartbeat_interval": "10", "max_failed_heartbeats": "9", "execution_api_timeout": "30"},
        "dag_processor": {
            "parsing_processes": "1",
            "refresh_interval": "60",
            "min_file_process_interval": "300",
            "disable_bundle_versioning": "True",
            "stale_bundle_cleanup_interval": "0",
            "print_stats_interval": "300",
        },
        "usage_data_collection": {"enabled": "False"},
        "metrics": {"statsd_on": "False"},
        "triggerer": {"capacity": "200"},
        "quarterdeck": {"environment": "development", "local_folder": str(home.root / "files")},
        "celery_result_backend_transport_options": {},
    }
    return {
        f"AIRFLOW__{section}__{option}".upper(): value
        for section, options in values.items()
        for option, value in options.items()
    }


def env(site: Site, host: str) -> dict[str, str]:
    """The whole environment of one Airflow process on the host of that name."""
    return {
        **environment.base(site.home),
        **settings(site),
        "AIRFLOW_HOME": str(site.home.airflow),
        "PYTHONPATH": str(MODULES),
        "PLATFORM_HOST": host,
        "SOURCE_URL": site.database_url("shop", "shop"),
        "BILLING_URL": site.database_url("billing", "billing"),
        "WAREHOUSE_URL": site.database_url("loader", "warehouse", warehouse=True),
        "AIRFLOW_CONN_SMTP_DEFAULT": json.dumps(_mail(site)),
        "AWS_ENDPOINT_URL": site.aws_url,
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_DEFAULT_REGION": REGION,
    }


def _mail(site: Site) -> dict[str, Any]:
    """Airflow's connection to the sandbox's post office."""
    extra = {"from_email": "airflow@sandbox.example", "disable_ssl": True, "disable_tls": True}
    return {"conn_type": "smtp", "host": "127.0.0.1", "port": site.ports.mail, "extra": extra}


def program(home: Home) -> str:
    return str(home.airflow_venv / "bin" / "airflow")


def spec(site: Site, name: str, *arguments: str, **options: Any) -> Spec:
    """How to run one of Airflow's processes; `name` is also its host's name."""
    return Spec(
        name=name,
        command=(program(site.home), *arguments),
        env=env(site, name),
        log=site.home.logs / f"{name}.log",
        cwd=site.home.airflow,
        **options,
    )


def api_server(site: Site) -> Spec:
    async def ready() -> bool:
        return (await probe.http(site.ports.airflow, "/api/v2/version")).status == 200

    return spec(site, "airflow-api", "api-server", ready=ready, ready_within_s=240)


def _agent(site: Site, name: str, kind: str, options: tuple[str, ...], command: tuple[str, ...], **more: Any) -> Spec:
    """One of Airflow's programs under its agent, as on a real host. The agent runs in Airflow's own environment."""
    environment = env(site, name)
    # Only the package `console`, by a link: the repository's other folders are no modules for Airflow.
    # Addresses with passwords go by the environment: everybody on the machine can read a command line.
    environment["LEASE_URL"] = site.database_url("quarterdeck", "lease")
    environment["METADATA_URL"] = site.database_url("airflow", "airflow")
    environment["PYTHONPATH"] = f"{environment['PYTHONPATH']}{os.pathsep}{site.home.root / 'agent'}"
    python = str(site.home.airflow_venv / "bin" / "python")
    return Spec(
        name=name,
        command=(python, "-m", "console.agent", kind, "--name", name, *options, "--", *command),
        env=environment,
        log=site.home.logs / f"{name}.log",
        cwd=site.home.airflow,
        **more,
    )


def scheduler_host(site: Site, name: str) -> Spec:
    """A scheduler's host: the agent, whose child is the scheduler itself while it holds the lease."""
    options = ("--state", str(site.home.run / name))
    return _agent(site, name, "scheduler", options, ("airflow", "scheduler", "--skip-serve-logs"))


def child_state(home: Home, name: str) -> Path:
    """Where a scheduler's agent notes its child's pid."""
    return home.run / name / "child.json"


def worker(site: Site, instance: str, queue: str, concurrency: int) -> Spec:
    """The body of an instance: a real Celery worker under the worker agent, named by the instance's id.

    One that ended clean was drained: it stays down, as a host that powers itself off does.
    """
    options = (
        "--spool", str(site.home.run / "receipts" / instance), "--receipt-timeout", "30",
    )  # fmt: skip
    command = (
        "airflow", "celery", "worker", "--queues", queue, "--concurrency", str(concurrency),
        "--celery-hostname", instance, "--skip-serve-logs", "--without-gossip",
    )  # fmt: skip
    return _agent(site, instance, "worker", options, command, stop_within_s=5.0, again_when_clean=False)


def prepare(site: Site) -> None:
    """What Airflow reads at its start: the password of its one user, the folders."""
    write_private(site.home.airflow / "passwords.json", json.dumps({AIRFLOW_USER: site.secrets.airflow_password}))
    (site.home.root / "files").mkdir(mode=0o700, exist_ok=True)
    (site.home.root / "files" / "quarterdeck_files").mkdir(mode=0o750, exist_ok=True)  # else the first file makes it
    (site.home.root / "agent").mkdir(exist_ok=True)
    link = site.home.root / "agent" / "console"
    link.unlink(missing_ok=True)
    link.symlink_to(REPOSITORY / "console")
    (site.home.airflow / "logs").mkdir(exist_ok=True)


async def migrate(site: Site) -> None:
    """Bring Airflow's database up to date, where the last time was by another version."""
    marker = postgres.done_folder(site.home, "postgres") / "airflow-migrated"
    if marker.exists() and marker.read_text() == install_id():
        return
    log = site.home.logs / "airflow-migrate.log"
    code, output = await probe.run(program(site.home), "db", "migrate", env=env(site, "airflow-migrate"))
    log.write_text(output)
    if code:
        raise SandboxError(f"airflow db migrate failed (exit code {code}). {last_lines(log)}")
    marker.write_text(install_id())


class Api:
    """Airflow's REST API, as far as the sandbox uses it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.token = ""

    async def call(self, method: str, path: str, body: object | None = None) -> Any:
        """The answer's JSON. Raises SandboxError where Airflow refuses, OSError or TimeoutError where it is away."""
        port = self.site.ports.airflow
        for attempt in range(2):
            if not self.token:
                who = {"username": AIRFLOW_USER, "password": self.site.secrets.airflow_password}
                answer = await probe.http(port, "/auth/token", method="POST", body=who)
                if answer.status not in {200, 201}:
                    raise SandboxError(f"Airflow refused the sign-in with status {answer.status}.")
                self.token = answer.json()["access_token"]
            answer = await probe.http(
                port, f"/api/v2{path}", method=method, body=body,
                headers={"Authorization": f"Bearer {self.token}"}, within_s=20,
            )  # fmt: skip
            if answer.status == 401 and attempt == 0:
                self.token = ""
                continue
            if answer.status >= 400:
                raise SandboxError(f"Airflow answered {answer.status} to {method} {path}: {answer.body[:300]!r}")
            return answer.json() if answer.body else None
        raise AssertionError("unreachable")

    async def connect_console(self, within_s: float = 120) -> None:
        """Tell Airflow of the console: its address and a viewer's token, which the freshness sensor asks with.

        On a machine that is still busy with the start Airflow may be slow to answer: tried again. Raises SandboxError.
        """
        connection = {
            "connection_id": "quarterdeck_default",
            "conn_type": "quarterdeck",
            "host": self.site.console_url,
            "password": (self.site.home.tokens / "viewer").read_text().strip(),
        }
        deadline = asyncio.get_running_loop().time() + within_s
        # The first start creates it, a later one corrects it: POST is refused where it is there, PATCH where it is not.
        ways = itertools.cycle([("PATCH", "/connections/quarterdeck_default"), ("POST", "/connections")])
        for method, path in ways:
            try:
                await self.call(method, path, connection)
                return
            except (SandboxError, OSError, TimeoutError, ValueError) as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise SandboxError(f"Airflow did not take the connection to the console: {error}") from error
            if method == "POST":
                await asyncio.sleep(1)

    async def wait_for_dags(self, wanted: int, within_s: float) -> None:
        """Until the DAG processor has read every DAG and a scheduler is alive."""
        deadline = asyncio.get_running_loop().time() + within_s
        while True:
            try:
                dags = await self.call("GET", "/dags?limit=100")
                health = await self.call("GET", "/monitor/health")
                if dags["total_entries"] >= wanted and health["scheduler"]["status"] == "healthy":
                    return
            except (OSError, TimeoutError, ValueError, KeyError):
                pass
            if asyncio.get_running_loop().time() > deadline:
                raise SandboxError(
                    f"Airflow's scheduler and DAGs were not ready within {within_s:.0f} s. "
                    f"{last_lines(self.site.home.logs / 'scheduler-a.log')}"
                )
            await asyncio.sleep(0.5)
