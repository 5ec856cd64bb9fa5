"""platform.yaml: what is declared becomes frozen values."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from console.platform.declared import DeclarationError, declaration, parse
from console.platform.declared.shape import json_schema

ROOT = Path(__file__).parents[2]
ENV = {
    "AIRFLOW_URL": "https://airflow.example.com/",
    "AIRFLOW_USERNAME": "console",
    "AIRFLOW_PASSWORD": "s3cret-airflow",
    "AIRFLOW_BROKER_URL": "redis://:s3cret-redis@queue:6379/0",
    "WAREHOUSE_URL": "postgresql://console:s3cret-warehouse@redshift:5439/dwh",
    "LEASE_URL": "postgresql://console:s3cret-lease@metadata/airflow",
    "SHOP_URL": "postgresql://console:s3cret-shop@shop/shop",
    "FILES_FOLDER": "/srv/files/quarterdeck_files",
    "BILLING_URL": "postgresql:///billing?host=/run/postgresql",
    "SOURCE_URL": "postgresql:///shop?host=/run/postgresql",
    "PAGERDUTY_KEY": "s3cret-key",
    "TERMINATIONS_QUEUE": "https://sqs.eu-north-1.amazonaws.com/1/terminations",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/s3cret",
    "TEAMS_URL": "msteams://s3cret/a/b/c",
    "DEAD_MAN_URL": "https://hc.example.com/s3cret",
    "PAGERDUTY_WEBHOOK_SECRET": "s3cret-hook",
    "ALERTMANAGER_TOKEN": "s3cret-alertmanager",
    "PAGER_URL": "http://127.0.0.1:9009",
    "PAGER_SECRET": "s3cret-pager",
}
FILES = ["docs/platform.example.yaml", "console/sandbox/platform.yaml", "tests/platform.yaml"]
SMALLEST = """
version: 1
name: no-aws
airflow: {url: "${AIRFLOW_URL}", username: "${AIRFLOW_USERNAME}", password: "${AIRFLOW_PASSWORD}"}
broker: {url: "${AIRFLOW_BROKER_URL}"}
"""


@pytest.mark.parametrize("file", FILES)
def test_every_declaration_of_this_repository_is_good_and_fits_the_schema(file: str) -> None:
    text = (ROOT / file).read_text()
    assert parse(text, ENV).fleets
    jsonschema.Draft202012Validator(json_schema()).validate(yaml.safe_load(text))


def test_the_committed_schema_is_the_parsers_own() -> None:
    assert json.loads((ROOT / "docs/platform.schema.json").read_text()) == json_schema(), (
        "run: python -m console.platform.declared > docs/platform.schema.json"
    )


def test_the_example_becomes_values() -> None:
    declared = parse((ROOT / FILES[0]).read_text(), ENV)
    assert declared.name == "production"
    assert declared.airflow.url == "https://airflow.example.com"
    assert declared.airflow.schedulers == ("scheduler-a", "scheduler-b")
    assert declared.broker.visibility_timeout_s == 86400
    assert declared.warehouse_url == ENV["WAREHOUSE_URL"]
    cpu = declared.fleet("cpu")
    assert cpu is not None
    assert (cpu.hardware, cpu.vcpus, cpu.concurrency, cpu.price_per_hour) == ("cpu-bound", 8, 8, 0.3252)
    assert declared.fleet("nobody") is None
    assert declared.tables[0].slo_s == 300
    assert [(pager.kind, pager.to) for pager in declared.pagers] == [
        ("pagerduty", ()),
        ("slack", ()),
        ("email", ("data-platform@example.com",)),
        ("sns", ()),
        ("apprise", ()),
    ]
    first, second = declared.routes
    assert (first.severities, first.targets) == (("critical", "error"), ("*",))
    assert (first.pagers, first.repage_s) == (("on-call", "phones", "archive"), 900)
    assert (second.targets, second.repage_s) == (("freshness", "pools"), None)
    assert declared.dead_man is not None
    assert (declared.dead_man.url, declared.dead_man.every_s) == ("https://hc.example.com/s3cret", 60)
    assert declared.hooks.pagerduty_secret == "s3cret-hook"
    assert declared.hooks.alertmanager_token == "s3cret-alertmanager"
    pager = declared.pager("phones")
    assert pager is not None
    assert pager.topic.endswith(":on-call")
    assert declared.pager("nobody") is None


def test_without_routes_every_pager_is_asked_in_its_order() -> None:
    pagers = "pagers: [{name: a, kind: email, to: [x]}, {name: b, kind: email, to: [y]}]\n"
    (route,) = parse(SMALLEST + pagers, ENV).routes
    assert (route.pagers, route.targets, route.severities) == (("a", "b"), ("*",), ("critical", "error", "warning"))
    assert parse(SMALLEST, ENV).routes == ()


def test_no_aws_at_all_is_a_platform_too() -> None:
    declared = parse(SMALLEST, ENV)
    assert (declared.fleets, declared.tasks, declared.datastores, declared.region) == ((), (), (), "")
    assert declared.warehouse_url == ""
    assert declared.storage == ()


def test_an_empty_section_declares_none() -> None:
    assert parse(SMALLEST + "fleets:\ntables: []\n", ENV).fleets == ()


def test_no_secret_is_in_a_repr() -> None:
    declared = parse((ROOT / FILES[0]).read_text(), ENV)
    parts = [declared, declared.airflow, declared.broker, *declared.sources, *declared.pagers, declared.dead_man]
    parts += [declared.hooks, *declared.routes]
    assert "s3cret" not in "".join(repr(part) + str(part) for part in parts)


def test_values_can_not_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse(SMALLEST, ENV).name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("5m", 300), ("1.5h", 5400), ("2d", 172800)])
def test_durations(text: str, seconds: float) -> None:
    declared = parse(SMALLEST.replace('URL}"}\n', f'URL}}", visibility_timeout: {text}}}\n'), ENV)
    assert declared.broker.visibility_timeout_s == seconds


def test_anchors_save_typing() -> None:
    text = (ROOT / "tests/platform.yaml").read_text().split("fleets:")[0]
    text += """fleets:
  - &base {queue: a, group: a, hardware: general, instance_type: m7g.large, vcpus: 2, concurrency: 4, baseline: 2,
           max: 4, price_per_hour: 1}
  - {<<: *base, queue: b, group: b, baseline: 1}
"""
    assert [(fleet.queue, fleet.baseline, fleet.max) for fleet in parse(text, ENV).fleets] == [("a", 2, 4), ("b", 1, 4)]


class TestTheFile:
    def test_is_read_once_per_process(self) -> None:
        assert declaration() is declaration()

    def test_that_is_missing_is_named_with_its_variable(self, settings, tmp_path: Path) -> None:
        settings.PLATFORM_FILE = str(tmp_path / "nowhere.yaml")
        declaration.cache_clear()
        with pytest.raises(DeclarationError) as raised:
            declaration()
        assert "nowhere.yaml" in raised.value.faults[0].path
        assert "No such file" in raised.value.faults[0].message
        assert "PLATFORM_FILE" in raised.value.faults[0].hint
        declaration.cache_clear()

    def test_that_is_not_text_is_told(self, settings, tmp_path: Path) -> None:
        file = tmp_path / "platform.yaml"
        file.write_bytes(b"name: \xff")
        settings.PLATFORM_FILE = str(file)
        declaration.cache_clear()
        with pytest.raises(DeclarationError, match="not UTF-8"):
            declaration()
        declaration.cache_clear()
