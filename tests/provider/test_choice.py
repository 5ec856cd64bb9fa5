"""Remote or local: by configuration alone, and never by accident in production."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from quarterdeck_airflow.files.choice import NoStore, Settings, local_folder
from quarterdeck_airflow.files.fallback import LocalFallbackMixin

DEVELOPMENT = Settings(environment="development", local_folder="/files")


def never_asked() -> bool:
    raise AssertionError("the connection was asked for")


def test_a_connection_that_exists_is_used() -> None:
    assert local_folder(DEVELOPMENT, "files", lambda: True) is None
    assert local_folder(Settings(), "files", lambda: True) is None


def test_without_a_connection_the_twin_is_used_in_development_only() -> None:
    assert local_folder(DEVELOPMENT, "files", lambda: False) == "/files"
    with pytest.raises(NoStore, match=r"files does not exist, and in production .* Define the connection"):
        local_folder(Settings(local_folder="/files"), "files", lambda: False)
    assert local_folder(Settings(local_folder="/files", allow_local_in_production=True), "files", lambda: False)
    with pytest.raises(NoStore, match=r"Set \[quarterdeck\] local_folder"):
        local_folder(Settings(environment="development"), "files", lambda: False)


def test_always_and_never_ask_nobody() -> None:
    always = Settings(environment="development", local_folder="/files", local_twin="always")
    assert local_folder(always, "files", never_asked) == "/files"
    assert local_folder(Settings(local_twin="never"), "files", never_asked) is None
    with pytest.raises(NoStore, match="local_twin is always"):
        local_folder(Settings(local_twin="always", local_folder="/files"), "files", never_asked)


def test_an_airflow_that_cant_be_asked_is_not_one_without_the_connection() -> None:
    def away() -> bool:
        raise ConnectionError("the API server is away")

    with pytest.raises(ConnectionError):
        local_folder(DEVELOPMENT, "files", away)


def test_unset_means_production() -> None:
    assert Settings.of({}) == Settings()
    assert (
        Settings.of({"environment": " Development ", "allow_local_in_production": "TRUE"}).environment == "development"
    )
    for bad in ({"environment": "prod"}, {"local_twin": "yes"}, {"allow_local_in_production": "1"}):
        with pytest.raises(NoStore, match="give one of"):
            Settings.of(bad)


class Remote:
    conn_name_attr = "ftp_conn_id"

    def __init__(self) -> None:
        self.ftp_conn_id = "ftp/partner"

    def get_conn(self) -> str:
        return "remote"

    def fetch(self, name: str) -> str:
        return f"remote {name}"

    def purge(self) -> str:
        return "remote"


class Twin:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fetch(self, name: str) -> str:
        return f"{self.folder} {name}"


def hook(settings: Settings) -> Any:
    class Hook(LocalFallbackMixin, Remote):
        local_twin = Twin

        @staticmethod
        def local_settings() -> Settings:
            return settings

    return Hook()


def test_any_hook_gets_a_twin() -> None:
    local = hook(Settings(environment="development", local_folder="/files", local_twin="always"))
    assert local.fetch("a") == "/files/ftp%2Fpartner a"
    for lacks in (local.purge, local.get_conn):
        with pytest.raises(NoStore, match="has no local twin"):
            lacks()
    remote = hook(Settings(local_twin="never"))
    assert (remote.fetch("a"), remote.purge(), remote.get_conn()) == ("remote a", "remote", "remote")


def test_a_hook_that_is_further_derived_keeps_its_twin() -> None:
    base = type(hook(Settings(environment="development", local_folder="/files", local_twin="always")))

    class Further(base):  # type: ignore[misc, valid-type]
        def fetch(self, name: str) -> str:
            return "remote, further"

    assert Further().fetch("a").startswith("/files/")
