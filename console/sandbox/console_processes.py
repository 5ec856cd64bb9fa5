"""The console's own processes, run as in production but for the address they listen on."""

from __future__ import annotations

import asyncio
import sys

from console.sandbox import env as environment
from console.sandbox import probe
from console.sandbox.env import Site
from console.sandbox.home import REPOSITORY, SandboxError
from console.sandbox.process import Spec, last_lines


def env(site: Site) -> dict[str, str]:
    return {**environment.base(site.home), **environment.console(site)}


def _spec(site: Site, name: str, *command: str) -> Spec:
    return Spec(
        name=name,
        command=(sys.executable, *command),
        env=env(site),
        log=site.home.logs / f"{name}.log",
        cwd=REPOSITORY,
    )


def specs(site: Site) -> tuple[Spec, ...]:
    """web, worker, beat and watch."""

    async def serves() -> bool:
        return (await probe.http(site.ports.web, "/healthz")).status == 200

    web = _spec(
        site, "web", "-m", "uvicorn", "console.asgi:application", "--host", "127.0.0.1",
        "--port", str(site.ports.web), "--no-access-log", "--proxy-headers",
    )  # fmt: skip
    return (
        Spec(**{**web.__dict__, "ready": serves, "ready_within_s": 180.0}),
        _spec(
            site, "worker", "-m", "celery", "-A", "console", "worker", "--pool", "threads", "--concurrency", "16",
            "-n", "console@%h", "--without-gossip", "--without-mingle",
        ),
        _spec(site, "beat", "-m", "celery", "-A", "console", "beat", "-S", "redbeat.RedBeatScheduler", "--pidfile="),
        _spec(site, "watch", "manage.py", "watch"),
    )  # fmt: skip


async def manage(site: Site, *arguments: str, stdin: str = "") -> str:
    """Run one management command. Returns its standard output. Raises SandboxError with the end of what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "manage.py", *arguments, env=env(site), cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate(stdin.encode())
    if process.returncode:
        log = site.home.logs / f"manage-{arguments[0]}.log"
        log.write_bytes(output + errors)
        raise SandboxError(f"manage.py {arguments[0]} failed (exit code {process.returncode}). {last_lines(log)}")
    return output.decode()


async def prepare(site: Site) -> None:
    """Migrations, static files, the three users and their tokens."""
    await manage(site, "migrate", "--noinput", "--verbosity", "0")
    await asyncio.gather(
        manage(site, "sandbox_accounts", str(site.home.tokens), stdin=site.secrets.sign_in + "\n"),
        manage(site, "collectstatic", "--noinput", "--verbosity", "0"),
    )
