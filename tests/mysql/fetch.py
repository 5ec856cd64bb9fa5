"""MySQL's own server out of Debian, for the tests: `python -m tests.mysql.fetch`.

The stable Debian that this runs on has MariaDB only; the unstable one has MySQL, built for a newer libc. So its
packages are taken with all that they depend on, that libc included, and unpacked into a folder; nothing is installed.
apt does it, with a state of its own: from the mirror that this machine's apt is configured with, signatures checked.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

PACKAGE = "mysql-server-core"
SUITE = "sid"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
FETCH_S = 240


class Unfetchable(Exception):
    """Why there is no MySQL here; a sentence."""


def folder() -> Path:
    """Where it is unpacked. The server runs as nobody under root, so it is no folder of root's own."""
    if named := os.environ.get("QD_MYSQL_FOLDER"):
        return Path(named)
    return (Path("/var/cache") if os.geteuid() == 0 else Path.home() / ".cache") / "quarterdeck" / "mysql"


def command(where: Path) -> list[str] | None:
    """How its server is called, by its own loader with its own libraries; None where it is not unpacked."""
    program = where / "usr/sbin/mysqld"
    loader = next(iter(sorted(where.glob("usr/lib/*/ld-linux-*.so.*"))), None)
    if loader is None or not program.exists():
        return None
    return [
        str(loader),
        "--library-path",
        str(loader.parent),
        str(program),
        "--no-defaults",
        f"--basedir={where}/usr",
        f"--lc-messages-dir={where}/usr/share/mysql",
        f"--character-sets-dir={where}/usr/share/mysql/charsets",
        f"--plugin-dir={where}/usr/lib/mysql/plugin",
    ]


def fetch(where: Path) -> str:
    """Its version. What is there already is kept. Raises Unfetchable."""
    if command(where) is None:
        where.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="mysql-", dir=where.parent) as made:
            work = Path(made)
            unpacked = work / "unpacked"
            unpacked.mkdir(mode=0o755)
            for package in _packages(work):
                _run(["dpkg-deb", "--extract", str(package), str(unpacked)])
            for unneeded in ("usr/share/doc", "usr/share/man", "usr/share/perl"):
                shutil.rmtree(unpacked / unneeded, ignore_errors=True)
            if command(unpacked) is None:
                raise Unfetchable(f"Debian's {PACKAGE} has no usr/sbin/mysqld any more, or no loader came with it.")
            _run([*(command(unpacked) or ()), "--version"])  # it runs here, or is not taken
            shutil.rmtree(where, ignore_errors=True)
            unpacked.rename(where)
    return _run([*(command(where) or ()), "--version"]).strip()


def _packages(work: Path) -> list[Path]:
    if shutil.which("apt-get") is None or not KEYRING.exists():
        raise Unfetchable("This is no Debian: apt-get or its keyring is missing.")
    for name in ("lists/partial", "archives/partial", "sources"):
        (work / name).mkdir(parents=True)
    (work / "status").touch()  # nothing is installed, so everything that it depends on comes along
    (work / "sources" / "debian.sources").write_text(
        f"Types: deb\nURIs: {_mirror()}\nSuites: {SUITE}\nComponents: main\nSigned-By: {KEYRING}\n"
    )
    options = {
        "Dir::State": work,
        "Dir::State::status": work / "status",
        "Dir::State::lists": work / "lists",
        "Dir::Cache": work,
        "Dir::Cache::archives": work / "archives",
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": work / "sources",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Acquire::Languages": "none",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
    }
    apt = ["apt-get", "-qq", *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]
    _run([*apt, "update"])
    _run([*apt, "--yes", "--download-only", "install", PACKAGE])
    return sorted((work / "archives").glob("*.deb"))


def _mirror() -> str:
    """The one of this machine's apt that has Debian itself."""
    told = _run(["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"])
    lines = [line.split(" ", 1) for line in told.splitlines() if " " in line]
    plain = [uri for release, uri in lines if uri.rstrip("/").endswith("/debian") and "-" not in release]
    if not plain:
        raise Unfetchable("apt is configured with no mirror of Debian.")
    return plain[0]


def _run(arguments: Sequence[str]) -> str:
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=FETCH_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unfetchable(f"{arguments[0]} did not end well: {error}") from None
    if done.returncode:
        raise Unfetchable(f"{Path(arguments[0]).name} failed: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mysql.fetch", description="MySQL's own server for the tests")
    parser.add_argument("--again", action="store_true", help="take today's version, though one is there")
    where, began_s = folder(), time.monotonic()
    if parser.parse_args().again:
        shutil.rmtree(where, ignore_errors=True)
    try:
        version = fetch(where)
    except Unfetchable as error:
        sys.exit(f"MySQL can not be fetched: {error}")
    print(f"{version}\nin {where}, {time.monotonic() - began_s:.0f} s")


if __name__ == "__main__":
    main()
