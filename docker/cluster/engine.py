"""Docker with compose, or podman with podman-compose: build, bring up in stages, ask how things are, take down.

Only the standard library. The stages are compose.yaml's depends_on, made by hand: podman 4 ignores its conditions, and
without systemd nobody runs podman's health checks.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DOCKER = Path(__file__).resolve().parents[1]
REPOSITORY = DOCKER.parent
CORE_IMAGES = ("console", "proxy")
PLATFORM_IMAGES = (*CORE_IMAGES, "stand-ins", "airflow")
CORE = (("postgres", "redis"), ("console-migrate",), ("web", "worker", "beat", "watch", "proxy"))
PLATFORM = (
    ("postgres", "redis", "broker", "source", "warehouse", "aws", "mail"),
    ("console-migrate", "airflow-migrate", "sources-install"),
    ("airflow-api", "scheduler-a", "dag-processor", "replication", "web", "worker", "beat", "watch", "proxy"),
    ("scheduler-b", "triggerer", "worker-default", "worker-cpu", "worker-io"),
)
ONCE = frozenset({"console-migrate", "airflow-migrate", "sources-install"})
"""Services that end by themselves."""


def _answers(program: str) -> bool:
    if shutil.which(program) is None:
        return False
    try:
        return subprocess.run([program, "info"], capture_output=True, timeout=20).returncode == 0
    except subprocess.TimeoutExpired:
        return False


class EngineError(Exception):
    """The engine could not do it; the message is a sentence, and the end of what it said."""


@dataclass(frozen=True)
class Container:
    """One container of the project."""

    name: str
    service: str


class Engine:
    """One compose project. `env_file` holds its secrets."""

    def __init__(self, project: str, env_file: Path) -> None:
        self.project, self.env_file = project, env_file
        self.podman = not _answers("docker")  # the program alone, without its daemon, is no engine
        self.program = "podman" if self.podman else "docker"
        if self.podman and not (_answers("podman") and shutil.which("podman-compose")):
            raise EngineError("Neither Docker (with its daemon) nor podman with podman-compose is here.")

    # --- running commands ---------------------------------------------------------------------------------------

    def run(self, *arguments: str, within_s: float = 120, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One command of the engine. Raises EngineError."""
        return self._run((self.program, *arguments), within_s, check)

    def compose(self, *arguments: str, within_s: float = 600) -> str:
        program = ("podman-compose",) if self.podman else ("docker", "compose")
        command = (
            *program, "-p", self.project, "--env-file", str(self.env_file), "-f", str(DOCKER / "compose.yaml"),
            "--profile", "platform", "--profile", "core", *arguments,
        )  # fmt: skip
        return self._run(command, within_s, True).stdout

    def _run(self, command: Sequence[str], within_s: float, check: bool) -> subprocess.CompletedProcess[str]:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=within_s)
        except subprocess.TimeoutExpired:
            raise EngineError(f"{' '.join(command[:4])} … took longer than {within_s:.0f} s") from None
        if check and done.returncode:
            # Not the whole command: it may hold secrets.
            said = (done.stderr or done.stdout).strip()[-1500:]
            raise EngineError(f"{' '.join(command[:2])} … {command[-1][:80]} failed ({done.returncode}):\n{said}")
        return done

    # --- images -------------------------------------------------------------------------------------------------

    def build(self, target: str, within_s: float = 1200) -> None:
        """Build one image of docker/Dockerfile. BUILD_FLAGS are passed on."""
        flags = os.environ.get("BUILD_FLAGS", "").split()
        if self.podman and not flags:  # as install-engine prints them: a build without a network of its own
            flags = ["--isolation", "chroot", "--network", "host"]
            for file in ("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf"):
                if Path(file).exists():
                    flags += ["-v", f"{file}:{file}:ro"]
        self.run(
            "build", *flags, "-q", "-f", str(DOCKER / "Dockerfile"), "--target", target, "-t", f"quarterdeck/{target}",
            str(REPOSITORY), within_s=within_s,
        )  # fmt: skip

    # --- containers ---------------------------------------------------------------------------------------------

    def containers(self, *services: str) -> list[Container]:
        """The project's containers, of these services or of all."""
        ids = self.run("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}").stdout.split()
        said = json.loads(self.run("inspect", *ids).stdout) if ids else []
        found = [
            Container(one["Name"].lstrip("/"), one["Config"]["Labels"]["com.docker.compose.service"]) for one in said
        ]
        return sorted(
            (one for one in found if not services or one.service in services), key=lambda one: (one.service, one.name)
        )

    def start(self, services: Sequence[str]) -> None:
        """Create and start the services of one stage."""
        self.compose("up", "-d", "--no-build", "--no-deps", *services)

    def state(self, container: Container) -> tuple[str, int]:
        """Its status in the engine's word, and its exit code."""
        said = json.loads(self.run("inspect", container.name).stdout)[0]["State"]
        return str(said["Status"]), int(said.get("ExitCode", 0))

    def well(self, container: Container) -> bool:
        """Whether its health check succeeds now."""
        if self.podman:
            return self.run("healthcheck", "run", container.name, within_s=60, check=False).returncode == 0
        return self.run("inspect", "-f", "{{.State.Health.Status}}", container.name).stdout.strip() == "healthy"

    def wait(self, services: Sequence[str], within_s: float) -> None:
        """Until each container of the services is healthy, or has ended with 0 where it is to end."""
        deadline = time.monotonic() + within_s
        missing = self.containers(*services)
        if {one.service for one in missing} != set(services):
            raise EngineError(f"not every service of {', '.join(services)} has a container")
        while missing:
            missing = [one for one in missing if not self._done(one)]
            if missing and time.monotonic() > deadline:
                names = ", ".join(one.name for one in missing)
                raise EngineError(f"not well within {within_s:.0f} s: {names}\n{self.logs(missing[0])}")
            if missing:
                time.sleep(1)

    def _done(self, container: Container) -> bool:
        status, code = self.state(container)
        if container.service in ONCE:
            return status == "exited" and code == 0
        return status == "running" and self.well(container)

    def up(self, stages: Sequence[Sequence[str]], within_s: float) -> list[tuple[str, float]]:
        """Bring the stages up, one after the other. Returns what each took."""
        took = []
        deadline = time.monotonic() + within_s
        for stage in stages:
            began = time.monotonic()
            self.start(stage)
            self.wait(stage, max(1.0, deadline - time.monotonic()))
            took.append((" ".join(stage), time.monotonic() - began))
        return took

    def logs(self, container: Container, lines: int = 25) -> str:
        done = self.run("logs", "--tail", str(lines), container.name, check=False)
        return (done.stdout + done.stderr)[-3000:]

    def exec(self, container: Container, *command: str, within_s: float = 60) -> str:
        return self.run("exec", container.name, *command, within_s=within_s).stdout.strip()

    def down(self) -> list[str]:
        """Remove everything of the project, its volumes too. Returns what is left."""
        for container in self.containers():
            self.run("rm", "-f", "-t", "2", container.name, check=False) if self.podman else self.run(
                "rm", "-f", container.name, check=False
            )
        self.compose("down", "-v", "--remove-orphans", within_s=180)
        left = [one.name for one in self.containers()]
        volumes = self.run("volume", "ls", "-q").stdout.split()
        return left + [name for name in volumes if name.startswith(f"{self.project}_")]
