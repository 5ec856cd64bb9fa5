"""Where a sandbox keeps its things: `$SANDBOX_HOME`, its secrets, its state files."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent.parent
MARK = "QUARTERDECK_SANDBOX"
"""The environment variable that every process of a sandbox carries: its value is the home's path."""

LONGEST_SOCKET_PATH = 100
"""A Unix socket's path ends at 107 bytes on Linux; some room is left."""


class SandboxError(Exception):
    """The sandbox can't go on. The message is a sentence for the person at the terminal: what and the remedy."""


@dataclass(frozen=True)
class Home:
    """One sandbox's folder. `root` is absolute."""

    root: Path

    @classmethod
    def of_environment(cls, environ: Mapping[str, str]) -> Home:
        """`SANDBOX_HOME`, or `.sandbox` in the repository. A relative one counts from the working directory."""
        given = environ.get("SANDBOX_HOME", "").strip()
        return cls(Path(os.path.abspath(os.path.expanduser(given))) if given else REPOSITORY / ".sandbox")

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def tokens(self) -> Path:
        return self.root / "tokens"

    @property
    def env(self) -> Path:
        return self.root / "env"

    @property
    def processes(self) -> Path:
        return self.root / "processes.json"

    @property
    def pages(self) -> Path:
        return self.root / "pages.jsonl"

    @property
    def mail(self) -> Path:
        """Mails that Airflow's tasks sent, a file each."""
        return self.root / "mail"

    @property
    def faults(self) -> Path:
        return self.root / "faults.json"

    @property
    def airflow(self) -> Path:
        return self.root / "airflow"

    @property
    def airflow_venv(self) -> Path:
        return self.root / "airflow-venv"

    @property
    def run(self) -> Path:
        """Small state files of the running processes (pids of children, markers of finished steps)."""
        return self.root / "run"

    @property
    def control_socket(self) -> Path:
        """Where the supervisor listens. A home with a long path gets a short one in the temporary folder."""
        here = self.root / "control.sock"
        if len(os.fsencode(here)) <= LONGEST_SOCKET_PATH:
            return here
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"quarterdeck-{os.getuid()}-{digest}.sock"

    def create(self) -> None:
        """Make the folders. Others may pass through (PostgreSQL runs as another user under root), not look."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o711)
        for folder, mode in (
            (self.logs, 0o700), (self.tokens, 0o700), (self.airflow, 0o700), (self.run, 0o700),
        ):  # fmt: skip
            folder.mkdir(exist_ok=True)
            folder.chmod(mode)


def write_private(path: Path, text: str) -> None:
    """Replace a file at once, readable by its owner only."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object's file; empty when it is absent or broken (a state file can always be made anew)."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Secrets:
    """Made once for a home, kept in `secrets.json`; never printed but for `sign_in`."""

    database: str
    redis: str
    django: str
    airflow_password: str
    airflow_jwt: str
    airflow_secret: str
    airflow_fernet: str
    sign_in: str
    """The password of the console's users viewer, operator and admin."""


def load_secrets(home: Home) -> Secrets:
    """Read the home's secrets, making those that are missing."""
    path = home.root / "secrets.json"
    kept = read_json(path)
    fresh = {
        "database": secrets.token_urlsafe(18),
        "redis": secrets.token_urlsafe(18),
        "django": secrets.token_urlsafe(48),
        "airflow_password": secrets.token_urlsafe(18),
        "airflow_jwt": secrets.token_urlsafe(48),
        "airflow_secret": secrets.token_urlsafe(48),
        "airflow_fernet": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "sign_in": secrets.token_urlsafe(12),
    }
    values = {name: str(kept.get(name) or value) for name, value in fresh.items()}
    if values != kept:
        write_private(path, json.dumps(values, indent=1))
    return Secrets(**values)
