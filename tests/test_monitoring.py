"""The dashboard and the alert rules ask for figures that `/metrics` has, by labels that these have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from console.health import collect_sources
from console.lib import metrics

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "monitoring"
ADDED = {"alertname", "instance", "job"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def known(now: datetime) -> dict[str, set[str]]:
    """The labels of every metric, whether or not it has a sample now."""
    return {
        metric.name: set(getattr(metric, "_labelnames", ()))
        for collect in {*metrics._collectors.values(), collect_sources}
        for metric in collect(now)
    } | {"quarterdeck_collector_up": {"collector"}, "quarterdeck_collector_seconds": {"collector"}}


def rules() -> list[dict[str, Any]]:
    told = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
    return [rule for group in told["groups"] for rule in group["rules"]]


def questions() -> Iterator[tuple[str, str]]:
    """Where each expression stands, and the expression with what is said of it."""
    board = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield panel["title"], f"{target['expr']} {target['legendFormat']}"
    for rule in rules():
        yield rule["alert"], f"{rule['expr']} {json.dumps(rule['annotations'])}"


def test_every_figure_that_is_asked_for_exists_with_its_labels(known: dict[str, set[str]]) -> None:
    wrong = []
    for where, text in questions():
        names = set(re.findall(r"\bquarterdeck_\w+", text))
        labels = set(re.findall(r'[{,]\s*(\w+)(?:=~|=)"', text)) | set(re.findall(r"\$labels\.(\w+)", text))
        labels |= set(re.findall(r"\b(?:by|on) ?\((\w+)\)", text)) | set(re.findall(r"\{\{(\w+)\}\}", text))
        assert names, where
        wrong += [f"{where}: no metric {name}" for name in names if name not in known]
        has = set().union(*(known.get(name, set()) for name in names))
        wrong += [f"{where}: no label {label}" for label in labels - has - ADDED]
    assert wrong == []


def test_every_alert_says_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}, rule["alert"]
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
        assert rule["annotations"]["remedy"].endswith("."), rule["alert"]


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads((FOLDER / "grafana-dashboard.json").read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
