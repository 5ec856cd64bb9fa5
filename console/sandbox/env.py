"""The environments of the sandbox's processes, and the `env` file for other programs."""

from __future__ import annotations

import hashlib
import hmac
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from console.sandbox.home import MARK, REPOSITORY, Home, Secrets
from console.sandbox.ports import Ports

REGION = "eu-north-1"
ACCOUNT = "123456789012"
"""The one account of moto's endpoint."""
AIRFLOW_USER = "quarterdeck"
PASSED_ON = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE")
"""What a process of the sandbox gets from the caller's environment: nothing of it configures the platform."""


DERIVED = ("PAGERDUTY_KEY", "PAGER_SECRET", "PAGERDUTY_WEBHOOK_SECRET", "ALERTMANAGER_TOKEN")
"""Secrets between the console and those that it pages, or that call it; stable for a sandbox."""


def _derived(secret: str, name: str) -> str:
    """32 characters, as PagerDuty's routing keys have."""
    return hmac.new(secret.encode(), name.encode(), hashlib.sha256).hexdigest()[:32]


@dataclass(frozen=True)
class Site:
    """Everything that tells one sandbox from another."""

    home: Home
    ports: Ports
    secrets: Secrets

    def database_url(self, user: str, database: str, *, warehouse: bool = False, driver: str = "postgresql") -> str:
        port = self.ports.warehouse if warehouse else self.ports.postgres
        return f"{driver}://{user}:{self.secrets.database}@127.0.0.1:{port}/{database}"

    def redis_url(self, *, broker: bool = False) -> str:
        port = self.ports.broker if broker else self.ports.redis
        return f"redis://:{self.secrets.redis}@127.0.0.1:{port}/0"

    @property
    def aws_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.aws}"

    @property
    def airflow_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.airflow}"

    @property
    def console_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.web}"


def base(home: Home, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What each process gets: a few of the caller's variables, and the mark by which leftovers are found."""
    source = os.environ if environ is None else environ
    return {
        **{name: source[name] for name in PASSED_ON if name in source},
        MARK: str(home.root),
        "SPT_NOENV": "1",  # setproctitle would overwrite the environment that shows the mark
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",  # dozens of Python processes: glibc's arenas would cost most of the memory
    }


def console(site: Site) -> dict[str, str]:
    """The console's environment, as CONTRACT names it; also what the `env` file says."""
    ports = site.ports
    return {
        "DATABASE_URL": site.database_url("quarterdeck", "quarterdeck"),
        "REDIS_URL": site.redis_url(),
        "SECRET_KEY": site.secrets.django,
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "BASE_URL": site.console_url,
        "DEBUG": "0",
        "PLATFORM_FILE": str(REPOSITORY / "console" / "sandbox" / "platform.yaml"),
        "AIRFLOW_URL": site.airflow_url,
        "AIRFLOW_USERNAME": AIRFLOW_USER,
        "AIRFLOW_PASSWORD": site.secrets.airflow_password,
        "AIRFLOW_BROKER_URL": site.redis_url(broker=True),
        "WAREHOUSE_URL": site.database_url("loader", "warehouse", warehouse=True),
        "LEASE_URL": site.database_url("quarterdeck", "lease"),
        "SOURCE_URL": site.database_url("shop", "shop"),
        "BILLING_URL": site.database_url("billing", "billing"),
        "FILES_FOLDER": str(site.home.root / "files" / "quarterdeck_files"),
        "AWS_ENDPOINT_URL": site.aws_url,
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "TERMINATIONS_QUEUE": f"{site.aws_url}/{ACCOUNT}/terminations",
        "PAGER_URL": f"http://127.0.0.1:{ports.pager}",
        "DEAD_MAN_URL": f"http://127.0.0.1:{ports.pager}/dead-man",
        **{name: _derived(site.secrets.django, name) for name in DERIVED},
        "PORT": str(ports.web),
        "SANDBOX_HOME": str(site.home.root),
        "DJANGO_SETTINGS_MODULE": "console.settings",
    }


def render(values: Mapping[str, str]) -> str:
    """A file for `. FILE`: one quoted `export NAME=value` a line."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
