"""`make run`: bring the platform and the console up, side by side where they do not need each other."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import IO, Any

from console.sandbox import airflow, console_processes, postgres, probe, reaper, redis_server
from console.sandbox import env as environment
from console.sandbox.env import Site
from console.sandbox.home import REPOSITORY, Home, SandboxError, load_secrets, write_private
from console.sandbox.ports import allocate, web_port
from console.sandbox.process import Spec
from console.sandbox.supervisor import Supervisor, cut, stop_signals

START_WITHIN_S = 300.0
"""After this the start has failed. Twice what the slowest machine should need: an error too early helps nobody."""
KEEP_TASK_LOGS_S = 2 * 24 * 3600.0


class Progress:
    """One line per step, with the seconds since the start."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:5.1f} s] {text}", flush=True)


def take_lock(home: Home) -> IO[str]:
    """The right to run a sandbox in this home. Raises SandboxError where another has it."""
    lock = (home.root / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        raise SandboxError(
            f"A sandbox already runs in {home.root} (process {lock.read().strip() or 'unknown'}): stop it, or choose "
            "another folder and port: SANDBOX_HOME=.sandbox2 PORT=8001 make run."
        ) from None
    lock.seek(0)
    lock.truncate()
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def start_reaper(home: Home) -> subprocess.Popen[bytes]:
    """The helper that cleans up should this process be killed."""
    return subprocess.Popen(
        [sys.executable, "-I", str(Path(reaper.__file__)), str(home.root)],
        stdin=subprocess.PIPE, start_new_session=True, env={"PATH": os.defpath},
    )  # fmt: skip


class Start:
    """The steps of one start. Each waits for what it needs; the rest runs at the same time."""

    def __init__(self, site: Site, supervisor: Supervisor, say: Callable[[str], None]) -> None:
        self.site, self.supervisor, self.say = site, supervisor, say

    def python(
        self, name: str, *arguments: str, ready: Callable[[], Awaitable[bool]] | None = None, **more: str
    ) -> Spec:
        """A process of our own, in the console's environment."""
        return Spec(
            name=name,
            command=(sys.executable, *arguments),
            env={**console_processes.env(self.site), **more},
            log=self.site.home.logs / f"{name}.log",
            cwd=REPOSITORY,
            ready=ready,
        )

    async def install_airflow(self) -> None:
        if not airflow.is_installed(self.site.home):
            self.say("Airflow: installing it into an environment of its own …")
            await airflow.install(self.site.home)
            self.say("Airflow: installed")

    async def server(self, name: str) -> None:
        await asyncio.to_thread(postgres.prepare, self.site, name)
        await self.supervisor.run(postgres.spec(self.site, name))
        await asyncio.to_thread(postgres.create_databases, self.site, warehouse=name == "warehouse")
        if name == "postgres":
            await asyncio.to_thread(postgres.create_sources, self.site)
        text = "the warehouse" if name == "warehouse" else "the console's, Airflow's and the two sources' databases"
        self.say(f"PostgreSQL 18: {text} on port {getattr(self.site.ports, name)}")

    async def redis(self, name: str) -> None:
        await self.supervisor.run(redis_server.spec(self.site, name))
        text = "Airflow's broker" if name == "broker" else "the console's"
        self.say(f"Redis: {text} on port {getattr(self.site.ports, name)}")

    async def aws(self) -> None:
        port = self.site.ports.aws

        async def ready() -> bool:
            return (await probe.http(port, "/sandbox/replication")).status == 200

        ends = json.dumps({"postgres": self.site.ports.postgres, "warehouse": self.site.ports.warehouse})
        declaration = environment.console(self.site)["PLATFORM_FILE"]
        spec = self.python("aws", "-m", "console.sandbox.aws", str(port), declaration, ends, ready=ready)
        await self.supervisor.run(spec)
        self.say(f"AWS: three Auto Scaling Groups, RDS, ElastiCache, DMS on port {port}")

    async def pager(self) -> None:
        script = str(Path(__file__).with_name("pager.py"))
        ports, pages = self.site.ports, str(self.site.home.pages)

        async def ready() -> bool:
            return (await probe.http(ports.pager, "/")).status == 200

        await self.supervisor.run(self.python("pager", "-I", script, str(ports.pager), pages, ready=ready))

    async def mail(self) -> None:
        script = str(Path(__file__).with_name("mail.py"))
        ports, folder = self.site.ports, str(self.site.home.mail)
        await self.supervisor.run(self.python("mail", "-I", script, str(ports.mail), folder))

    async def replication(self, *needs: asyncio.Task[None]) -> None:
        await _all(needs)
        site = self.site
        self.supervisor.add(
            self.python(
                "replication", "-m", "console.sandbox.replication",
                str(site.home.root), str(site.home.faults),
                SOURCE_ADMIN_URL=site.database_url("postgres", "shop"),
                BILLING_SOURCE_ADMIN_URL=site.database_url("postgres", "billing"),
                BILLING_REPLICATION_URL=site.database_url("postgres", "billing"),
                WAREHOUSE_ADMIN_URL=site.database_url("postgres", "warehouse", warehouse=True),
                REPLICATION_URL=site.database_url("postgres", "shop"),
            )
        )  # fmt: skip
        self.say("Replication: from the shop and the billing to the warehouse")

    async def airflow_database(self, *needs: asyncio.Task[None]) -> None:
        await _all(needs)
        airflow.prepare(self.site)
        await airflow.migrate(self.site)
        self.say("Airflow: its database is up to date")

    async def airflow_servers(self, *needs: asyncio.Task[None]) -> None:
        await _all(needs)
        site = self.site
        api = self.supervisor.add(airflow.api_server(site))
        self.supervisor.add(airflow.scheduler_host(site, "scheduler-a"))
        self.supervisor.add(airflow.spec(site, "dag-processor", "dag-processor"))
        self.supervisor.add(airflow.spec(site, "triggerer", "triggerer", "--skip-serve-logs"))
        await api.wait_ready()
        self.say(f"Airflow: {site.airflow_url}")
        dags = sum(1 for path in airflow.DAGS.glob("*.py") if not path.name.startswith("_"))
        await airflow.Api(site).wait_for_dags(dags, within_s=START_WITHIN_S)
        self.supervisor.add(airflow.scheduler_host(site, "scheduler-b"))  # not before: loading it costs seconds
        self.say("Airflow: its scheduler runs, its DAGs are read; the standby loads")

    async def workers(self, *needs: asyncio.Task[None]) -> None:
        await _all(needs)
        self.supervisor.add(self.python("cloud", "-m", "console.sandbox.cloud"))
        deadline = time.monotonic() + START_WITHIN_S
        while not self.supervisor.bodies:
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"No instance got a worker within {START_WITHIN_S:.0f} s; see {self.site.home.logs / 'cloud.log'}."
                )
            await asyncio.sleep(0.2)
        names = sorted(self.supervisor.bodies)
        while not all(self._answers(name) for name in names):
            if time.monotonic() > deadline:
                raise SandboxError(f"A worker did not start; see {self.site.home.logs}/i-*.log.")
            await asyncio.sleep(0.3)
        self.say(f"Airflow: {len(names)} workers in three fleets")

    def _answers(self, name: str) -> bool:
        """Whether a worker says so in its log: asking it over the broker would cost seconds more."""
        with contextlib.suppress(OSError, KeyError):
            log = self.supervisor.processes[name].spec.log
            return b" ready." in log.read_bytes()[-20_000:]
        return False

    async def console(self, *needs: asyncio.Task[None]) -> None:
        await _all(needs)
        await console_processes.prepare(self.site)
        started = [self.supervisor.add(spec) for spec in console_processes.specs(self.site)]
        await asyncio.gather(*(process.wait_ready() for process in started))
        self.say(f"Console: {self.site.console_url}")

    async def connect_console(self, *needs: asyncio.Task[None]) -> None:
        await _all(needs)
        await airflow.Api(self.site).connect_console()

    async def everything(self, with_console: bool) -> None:
        """All steps; the first that fails ends the start."""
        async with asyncio.TaskGroup() as group:

            def step(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
                return group.create_task(work)

            installed = step(self.install_airflow())
            database, warehouse = step(self.server("postgres")), step(self.server("warehouse"))
            redis, broker = step(self.redis("redis")), step(self.redis("broker"))
            aws = step(self.aws())
            step(self.pager())
            step(self.mail())
            step(self.replication(database, warehouse, aws))
            migrated = step(self.airflow_database(installed, database))
            airflow_up = step(self.airflow_servers(migrated, broker))
            step(self.workers(migrated, broker, aws))
            if with_console:
                console_up = step(self.console(database, redis))
                step(self.connect_console(airflow_up, console_up))


async def _all(needs: tuple[asyncio.Task[None], ...]) -> None:
    """Wait for other steps. One that failed ends this one by the group's cancellation, not a second time."""
    if needs:
        done, _ = await asyncio.wait(needs, return_when=asyncio.FIRST_EXCEPTION)
        if any(task.cancelled() or task.exception() for task in done):
            raise asyncio.CancelledError


async def _run(site: Site, say: Progress, with_console: bool) -> int:
    supervisor = Supervisor(site, say)
    stopped = asyncio.Event()
    signals = 0
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        nonlocal signals
        signals += 1
        say(f"{signal.Signals(number).name}: stopping …")
        stopped.set()
        if signals > 1:  # asked twice: at once
            reaper.end(site.home.root, grace_s=0)

    for number in stop_signals():
        loop.add_signal_handler(number, on_signal, number)
    server = await supervisor.serve()
    start = asyncio.create_task(Start(site, supervisor, say).everything(with_console))
    waiting = asyncio.create_task(stopped.wait())
    writing = asyncio.create_task(supervisor.watch())
    code = 0
    try:
        await asyncio.wait({start, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if start.done() and not start.cancelled():
            start.result()
            supervisor.ready = True
            print(f"Quarterdeck is ready: {site.console_url}", flush=True)
            print(
                f"Sign in as viewer, operator or admin with the password {site.secrets.sign_in} "
                f"(API tokens: {site.home.tokens}).",
                flush=True,
            )
            await waiting
    except* SandboxError as group:
        code = 1
        print(f"The sandbox could not be started: {first(group)}", file=sys.stderr, flush=True)
    finally:
        start.cancel()
        await supervisor.stop_all()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await start
        await supervisor.stop_all()  # what a step had started meanwhile
        writing.cancel()
        server.close()
        site.home.control_socket.unlink(missing_ok=True)
        reaper.end(site.home.root, grace_s=1.0)
        site.home.processes.unlink(missing_ok=True)
        say("Stopped; nothing is left running.")
    return code


def first(group: BaseExceptionGroup[Any]) -> BaseException:
    """The first plain exception of a group of groups."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def main(*, with_console: bool = True) -> int:
    """Run a sandbox until Ctrl-C or SIGTERM. Returns the exit code."""
    say = Progress()
    os.environ.setdefault("TZ", "UTC")
    try:
        if not Path("/proc/self/stat").exists():
            raise SandboxError("The sandbox needs Linux (it finds its processes in /proc).")
        port = web_port(os.environ.get("PORT", "").strip())
        postgres.programs()
        redis_server.program()
        home = Home.of_environment(os.environ)
        home.create()
        lock = take_lock(home)
        left = reaper.end(home.root)
        if left:
            say(f"Ended {left} processes that an earlier run had left behind")
        site = Site(home, allocate(home, port), load_secrets(home))
        clear(home)
        write_private(home.env, environment.render(environment.console(site)))
    except SandboxError as error:
        print(f"The sandbox could not be started: {error}", file=sys.stderr, flush=True)
        return 1
    except OSError as error:
        print(f"The sandbox could not be started: {error}", file=sys.stderr, flush=True)
        return 1
    keeper = start_reaper(home)
    try:
        return asyncio.run(_run(site, say, with_console))
    finally:
        assert keeper.stdin is not None
        with contextlib.suppress(OSError):
            keeper.stdin.write(b"done")
            keeper.stdin.close()
        keeper.wait(10)
        lock.close()


def clear(home: Home) -> None:
    """Forget what is true of one run only, and keep the logs small."""
    for state in home.run.glob("scheduler-*/child.json"):
        state.unlink()
    shutil.rmtree(home.run / "receipts", ignore_errors=True)
    for log in home.logs.glob("*.log"):
        if log.name.startswith("i-"):  # a new start has new instances
            log.unlink()
        else:
            cut(log)
    # Task logs of days long gone: Airflow keeps them for ever.
    oldest = time.time() - KEEP_TASK_LOGS_S
    for run_folder in (home.airflow / "logs").glob("dag_id=*/run_id=*"):
        if run_folder.stat().st_mtime < oldest:
            shutil.rmtree(run_folder, ignore_errors=True)
