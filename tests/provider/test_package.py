"""The package as it is installed: its description, its version, and the sandbox's stamp."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest
import quarterdeck_airflow
from quarterdeck_airflow.provider_info import get_provider_info

from console.sandbox import airflow


def modules() -> list[str]:
    info = get_provider_info()
    listed = [
        module for kind in ("hooks", "sensors", "triggers") for one in info[kind] for module in one["python-modules"]
    ]
    return listed + [one["hook-class-name"].rpartition(".")[0] for one in info["connection-types"]]


@pytest.mark.parametrize("module", modules())
def test_every_module_that_airflow_is_told_of_is_there(module: str) -> None:
    assert (airflow.PROVIDER / (module.replace(".", "/") + ".py")).exists()


def test_the_version_is_one() -> None:
    project = tomllib.loads((airflow.PROVIDER / "pyproject.toml").read_text())["project"]
    assert project["version"] == quarterdeck_airflow.__version__
    assert project["name"] == get_provider_info()["package-name"]


def test_the_sandbox_installs_it_anew_when_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "provider"
    shutil.copytree(airflow.PROVIDER, copy)
    monkeypatch.setattr(airflow, "PROVIDER", copy)
    before = airflow.provider_id()
    assert airflow.provider_id() == before
    (copy / "quarterdeck_airflow" / "new.py").write_text("x = 1\n")
    assert airflow.provider_id() != before
