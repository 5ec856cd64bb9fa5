"""A home in a temporary folder, and small processes that stand for the real ones."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from console.sandbox import env as environment
from console.sandbox.env import Site
from console.sandbox.home import Home, load_secrets
from console.sandbox.ports import Ports
from console.sandbox.process import Spec


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.create()
    return made


@pytest.fixture
def site(home: Home) -> Site:
    ports = Ports(web=8000, postgres=1, warehouse=2, redis=3, broker=4, airflow=5, aws=6, pager=7, mail=8)
    return Site(home, ports, load_secrets(home))


@pytest.fixture
def python(home: Home) -> Callable[..., Spec]:
    """A spec of a process that runs some lines of Python."""

    def spec(code: str, name: str = "example", ready: Callable[[], Awaitable[bool]] | None = None) -> Spec:
        return Spec(
            name=name,
            command=(sys.executable, "-c", code),
            env=environment.base(home),
            log=home.logs / f"{name}.log",
            cwd=home.root,
            ready=ready,
            ready_within_s=5,
            stop_within_s=1,
        )

    return spec


@pytest.fixture
def wait() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Wait until something is true, ten seconds at most."""

    async def until(true: Callable[[], object]) -> None:
        for _ in range(200):
            if true():
                return
            await asyncio.sleep(0.05)
        raise AssertionError("it did not become true within 10 s")

    return until
