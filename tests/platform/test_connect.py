"""Settings become adapters: each made once per process, by the declaration, without touching the network."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import pytest

from console.platform import connect
from console.platform.declared import declaration
from console.platform.ports import PlatformError

PORTS = ["airflow", "broker", "compute", "replication", "warehouse", "datastores"]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    connect.forget()
    yield
    connect.forget()
    declaration.cache_clear()


@pytest.mark.parametrize("name", PORTS)
def test_an_adapter_is_made_once_and_opens_no_connection(name: str) -> None:
    with patch("socket.socket.connect", side_effect=AssertionError("a connection was opened")):
        assert getattr(connect, name)() is getattr(connect, name)()


def test_threads_get_the_same_adapter() -> None:
    connect.airflow()
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _: id(connect.airflow()), range(32)))) == 1


def test_each_source_has_its_own() -> None:
    assert connect.origin("shop") is connect.origin("shop")
    assert connect.origin("shop") is not connect.warehouse()


def test_a_source_that_is_not_declared_is_told() -> None:
    with pytest.raises(PlatformError, match="the source web is not declared") as raised:
        connect.origin("web")
    assert raised.value.code == "not_found"


def test_a_platform_without_a_warehouse_says_so(settings, tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "platform.yaml").read_text()
    file = tmp_path / "platform.yaml"
    file.write_text(text.replace('warehouse: {url: "${WAREHOUSE_URL}"}\n', "").split("tables:")[0])
    settings.PLATFORM_FILE = str(file)
    declaration.cache_clear()
    with pytest.raises(PlatformError, match="no warehouse is declared"):
        connect.warehouse()


@pytest.mark.parametrize("name", PORTS)
def test_no_adapters_repr_shows_a_secret(name: str) -> None:
    assert "not-a-real-password" not in repr(getattr(connect, name)())
