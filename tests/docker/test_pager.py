"""docker/platform.yaml pages somebody: by mail, to the service of compose.yaml that takes and keeps it."""

from __future__ import annotations

import email
import re
from email.policy import default
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from console.incidents.pagers import pager
from console.platform.declared import parse
from tests.docker.test_compose import DOCKER, SERVICES, TEXT
from tests.incidents.pagers.conftest import message
from tests.sandbox.test_mail import office  # noqa: F401 - a fixture

PLATFORM = (DOCKER / "platform.yaml").read_text()
URL = re.search(r"EMAIL_URL: \$\{EMAIL_URL:-(\S+)\}", TEXT)
FROM = re.search(r"EMAIL_FROM: \$\{EMAIL_FROM:-(.+)\}", TEXT)


def declared() -> Any:
    names = set(re.findall(r"\$\{([A-Z_]+)\}", PLATFORM))
    urls = {"AIRFLOW_URL": "http://a", "AIRFLOW_BROKER_URL": "redis://b"}
    return parse(PLATFORM, {name: urls.get(name, "postgresql://a/c") for name in names})


def test_critical_incidents_have_a_pager() -> None:
    [route] = declared().routes
    assert "critical" in route.severities
    assert declared().pager(route.pagers[0]).kind == "email"


def test_its_mail_server_is_a_service_on_the_console_s_network_and_it_listens_there() -> None:
    assert URL
    parts = urlsplit(URL[1])
    service = SERVICES[str(parts.hostname)]
    assert str(parts.port) in service["command"]
    worker = SERVICES["worker"]
    assert set(service["networks"]) & set(worker["networks"])
    assert set(service["profiles"]) <= set(worker["profiles"])


def test_a_page_arrives_at_that_very_server(office: tuple[int, Path], settings: Any) -> None:  # noqa: F811
    port, folder = office
    assert FROM
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_FROM = "127.0.0.1", port, FROM[1]
    pager(declared().pager("on-call")).notify(message(title="No scheduler runs"))
    [kept] = folder.glob("*.eml")
    mail = email.message_from_bytes(kept.read_bytes(), policy=default)
    assert "No scheduler runs" in mail["Subject"]
    assert (mail["To"], "quarterdeck@cluster.example" in mail["From"]) == ("on-call@cluster.example", True)


def test_the_storage_is_the_bucket_that_airflow_hands_files_over_in() -> None:
    connection = yaml.safe_load(TEXT)["x-airflow-env"]["AIRFLOW_CONN_QUARTERDECK_FILES"]
    [storage] = declared().storage
    assert yaml.safe_load(connection)["schema"] == storage.bucket
    assert not storage.prefix
