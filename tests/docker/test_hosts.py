"""docker/hosts: the units are sound and keep the promises that drains rest on; the playbook is well-formed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from configparser import RawConfigParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
HOSTS = REPOSITORY / "docker" / "hosts"
UNITS = sorted(path.name for path in (HOSTS / "systemd").iterdir() if path.suffix in {".service", ".path"})
PROGRAMS = (
    "/opt/airflow/venv/bin/python", "/opt/quarterdeck/venv/bin/python", "/opt/quarterdeck/venv/bin/uvicorn",
    "/opt/quarterdeck/venv/bin/celery", "/usr/local/sbin/quarterdeck-host", "/usr/bin/systemctl",
)  # fmt: skip
CONSOLE = [f"quarterdeck-{name}.service" for name in ("web", "worker", "beat", "watch")]
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


class Unit(RawConfigParser):
    """A unit's file. A setting that is repeated keeps its last value."""

    optionxform = staticmethod(str)  # type: ignore[assignment]


def unit(name: str) -> Unit:
    parsed = Unit(strict=False, comment_prefixes=("#",))
    parsed.read(HOSTS / "systemd" / name)
    return parsed


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host's root folder with the units and the programs that they start."""
    (tmp_path / "etc/systemd").mkdir(parents=True)
    shutil.copytree(HOSTS / "systemd", tmp_path / "etc/systemd/system")
    shutil.copytree("/usr/lib/systemd/system", tmp_path / "usr/lib/systemd/system", symlinks=True)
    for program in PROGRAMS:
        path = tmp_path / program.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    return tmp_path


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE
    return subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, timeout=60)


@needs_systemd
def test_systemd_finds_no_fault_in_the_units(root: Path) -> None:
    done = analyze("verify", "--man=no", f"--root={root}", *UNITS)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_systemd_would_find_one(root: Path) -> None:
    broken = root / "etc/systemd/system/airflow-worker.service"
    broken.write_text(broken.read_text().replace("KillMode=mixed", "KillMode=whatever"))
    assert "kill mode" in analyze("verify", "--man=no", f"--root={root}", *UNITS).stderr


@needs_systemd
@pytest.mark.parametrize(("name", "most"), [*((name, 20) for name in CONSOLE), ("airflow-scheduler.service", 40)])
def test_a_unit_is_exposed_as_little_as_it_can_be(root: Path, name: str, most: int) -> None:
    done = analyze("security", "--offline=true", f"--root={root}", f"--threshold={most}", name)
    assert done.returncode == 0, done.stdout[-300:]


@pytest.mark.parametrize("name", ["airflow-worker.service", "airflow-scheduler.service"])
def test_an_agent_is_stopped_alone_and_waited_for(name: str) -> None:
    service = unit(name)["Service"]
    assert service["KillMode"] == "mixed"
    assert service["TimeoutStopSec"] == "infinity"


def test_only_a_clean_drain_powers_off() -> None:
    """The agent runs --on-drained after a clean exit only (tests/agent); nothing else makes that file."""
    service = unit("airflow-worker.service")["Service"]
    flag = unit("quarterdeck-poweroff.path")["Path"]["PathExists"]
    assert f'--on-drained "touch {flag}"' in service["ExecStart"]
    assert "ExecStopPost" not in service
    assert service["Restart"] == "on-failure"
    mentions = [path.name for path in (HOSTS / "systemd").iterdir() if "poweroff" in path.read_text()]
    assert sorted(mentions) == ["airflow-worker.service", "quarterdeck-poweroff.path", "quarterdeck-poweroff.service"]


@pytest.mark.parametrize("name", [*CONSOLE, "airflow-worker.service", "airflow-scheduler.service"])
def test_no_process_runs_as_root(name: str) -> None:
    service = unit(name)["Service"]
    assert service["User"] in {"quarterdeck", "airflow"}
    assert service["NoNewPrivileges"] == "yes"


# The host's own question to the metadata service, against a real server of it

TAGS = {
    "instance-id": "i-0123456789abcdef0",
    "tags/instance/queue": "cpu",
    "tags/instance/concurrency": "8",
    "tags/instance/aws:ec2launchtemplate:version": "7",
}


@pytest.fixture
def metadata() -> Iterator[tuple[str, dict[str, str]]]:
    answers = dict(TAGS)

    class Service(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.reply(200, "token")

        def do_GET(self) -> None:
            name = self.path.removeprefix("/latest/meta-data/")
            if self.headers["X-aws-ec2-metadata-token"] != "token":
                return self.reply(401, "")
            return self.reply(200 if name in answers else 404, answers.get(name, ""))

        def reply(self, status: int, text: str) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    server.server_close()


def ask(url: str, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(HOSTS / "quarterdeck-host")], capture_output=True, text=True, timeout=30,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "METADATA_URL": url, "HOST_ENV": str(target)},
    )  # fmt: skip


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@needs_curl
def test_a_host_learns_who_it_is(metadata: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    url, _ = metadata
    assert ask(url, tmp_path / "env").returncode == 0
    said = dict(line.split("=") for line in (tmp_path / "env").read_text().splitlines())
    assert said == {
        "PLATFORM_HOST": TAGS["instance-id"], "QUEUE": "cpu", "CONCURRENCY": "8", "LAUNCH_VERSION": "7",
    }  # fmt: skip


@needs_curl
@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("tags/instance/queue", None, "InstanceMetadataTags"),
        ("tags/instance/queue", "cpu\nLD_PRELOAD=/tmp/x.so", "odd queue"),
        ("tags/instance/concurrency", "many", "odd concurrency"),
        ("instance-id", "i-$(reboot)", "odd instance id"),
    ],
)
def test_an_odd_answer_never_becomes_a_units_environment(
    metadata: tuple[str, dict[str, str]], tmp_path: Path, name: str, value: str | None, word: str
) -> None:
    url, answers = metadata
    answers.pop(name)
    if value is not None:
        answers[name] = value
    done = ask(url, tmp_path / "env")
    assert done.returncode == 1
    assert word in done.stderr
    assert not (tmp_path / "env").exists()


def test_user_data_is_a_script_without_a_secret() -> None:
    script = HOSTS / "user-data.sh"
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    assert "get-secret-value" in script.read_text()


def playbook() -> str | None:
    beside = Path(sys.executable).with_name("ansible-playbook")
    return str(beside) if beside.exists() else shutil.which("ansible-playbook")


@pytest.mark.skipif(playbook() is None, reason="ansible-core is not installed (docker/hosts/requirements.txt)")
def test_the_playbook_is_well_formed(tmp_path: Path) -> None:
    program = playbook()
    assert program
    done = subprocess.run(
        [program, "--syntax-check", "site.yml"], cwd=HOSTS / "ansible", capture_output=True, text=True, timeout=120,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "ANSIBLE_CONFIG": str(HOSTS / "ansible" / "ansible.cfg"),
             "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_two_roles_that_share_a_folder_want_it_alike() -> None:
    """On a host that has both the second run would otherwise change it back, and shut the other one out."""
    wanted: dict[str, set[str]] = {}
    for role in sorted((HOSTS / "ansible" / "roles").glob("*/tasks/main.yml")):
        for task in yaml.safe_load(role.read_text()):
            if task.get("ansible.builtin.file", {}).get("state") != "directory":
                continue
            for item in task.get("loop", []):
                rest = {key: value for key, value in item.items() if key != "path"}
                wanted.setdefault(item["path"], set()).add(str(sorted(rest.items())))
    assert "/etc/quarterdeck" in wanted
    assert {path: each for path, each in wanted.items() if len(each) > 1} == {}


def test_the_packed_code_is_all_that_a_console_reads_and_the_same_for_the_same_code(tmp_path: Path) -> None:
    copy = tmp_path / "repository"
    for part in ("console", "docs", "static", "templates"):
        shutil.copytree(REPOSITORY / part, copy / part)
    shutil.copy(REPOSITORY / "manage.py", copy)
    (copy / "console" / "__pycache__").mkdir(exist_ok=True)
    (copy / "console" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"x")

    def pack(repository: Path) -> tuple[str, set[str]]:
        target = tmp_path / "packed.tar"
        script = HOSTS / "ansible" / "roles" / "console" / "files" / "pack.py"
        done = subprocess.run([sys.executable, script, repository, target], capture_output=True, text=True, check=True)
        with tarfile.open(target) as tar:
            return done.stdout.strip(), set(tar.getnames())

    told, names = pack(copy)
    assert {"manage.py", "console/settings.py", "docs/runbooks/storage-away.md", "templates/base.html"} <= names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    os.utime(copy / "manage.py", (1, 1))
    assert pack(copy)[0] == told
    (copy / "manage.py").write_text("changed")
    assert pack(copy)[0] != told
