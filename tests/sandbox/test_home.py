"""The sandbox's folder: private, with short socket paths, and secrets that are made once."""

from __future__ import annotations

import stat
from pathlib import Path

from console.sandbox.home import REPOSITORY, Home, load_secrets, read_json, write_private


def test_the_default_home_lies_in_the_repository() -> None:
    assert Home.of_environment({}).root == REPOSITORY / ".sandbox"


def test_a_relative_home_counts_from_the_working_directory() -> None:
    assert Home.of_environment({"SANDBOX_HOME": "here"}).root == Path.cwd() / "here"


def test_a_home_below_the_users_own_is_found() -> None:
    assert Home.of_environment({"SANDBOX_HOME": "~/x"}).root.is_absolute()


def test_its_folders_are_private(home: Home) -> None:
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o711
    assert stat.S_IMODE(home.tokens.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.logs.stat().st_mode) == 0o700


def test_the_control_socket_of_a_long_home_has_a_short_path() -> None:
    long = Home(Path("/" + "/".join(["a" * 40] * 10)))
    assert len(str(long.control_socket)) <= 107
    assert long.control_socket != Home(Path("/" + "/".join(["b" * 40] * 10))).control_socket


def test_the_control_socket_of_a_short_home_lies_in_it() -> None:
    assert Home(Path("/srv/qd")).control_socket == Path("/srv/qd/control.sock")


def test_secrets_are_made_once_and_differ_between_homes(home: Home, tmp_path: Path) -> None:
    first = load_secrets(home)
    assert load_secrets(home) == first
    other = Home(tmp_path / "other")
    other.create()
    assert load_secrets(other).database != first.database
    assert stat.S_IMODE((home.root / "secrets.json").stat().st_mode) == 0o600


def test_a_secret_that_a_newer_version_needs_is_added_to_the_others(home: Home) -> None:
    write_private(home.root / "secrets.json", '{"database": "kept"}')
    secrets = load_secrets(home)
    assert secrets.database == "kept"
    assert len(secrets.airflow_jwt) > 32


def test_a_broken_state_file_reads_as_empty(home: Home) -> None:
    (home.root / "x.json").write_text("{")
    assert read_json(home.root / "x.json") == {}
    assert read_json(home.root / "absent.json") == {}
