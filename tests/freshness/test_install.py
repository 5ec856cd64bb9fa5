"""`manage.py freshness install`: what it prints works, and what fails says what to do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.core.management import CommandError, call_command

from console.freshness.management.commands import freshness
from console.platform.database import Database
from console.platform.declared import SourceDeclared, declaration
from console.platform.heartbeats import Arrivals, Pulse
from console.platform.heartbeats_mysql import MysqlPulse
from console.platform.mysql import Mysql
from console.platform.ports import PlatformError
from console.platform.readings import BeatOrder
from tests.mysql.server import KINDS, server
from tests.platform.test_heartbeats import ADMIN, run

TASK = "shop-cdc"


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty database, declared as source and as warehouse, with a console's user that may nothing yet."""
    run(ADMIN, "CREATE DATABASE qd_install", "CREATE ROLE qd_installed LOGIN")
    admin = urlunsplit(urlsplit(ADMIN)._replace(path="/qd_install"))
    host = dict(part.split("=", 1) for part in urlsplit(ADMIN).query.split("&") if part).get("host", "")
    mine = f"postgresql://qd_installed@/qd_install?host={host}" if host else admin.replace("postgres:", "qd_installed:")
    declared = replace(declaration(), sources=(SourceDeclared("shop", "postgresql", mine),), warehouse_url=mine)
    monkeypatch.setattr(freshness, "declaration", lambda: declared)
    monkeypatch.setenv("ADMIN_URL", admin)
    try:
        yield mine
    finally:
        run(ADMIN, "DROP DATABASE qd_install WITH (FORCE)", "DROP ROLE qd_installed")


def said(*arguments: str) -> str:
    out = StringIO()
    call_command("freshness", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_what_it_prints_can_be_run_as_it_is_and_then_heartbeats_are_written_and_read(url: str) -> None:
    for side in ("source", "warehouse"):
        run(os.environ["ADMIN_URL"], said("install", "shop", "--side", side))
    pulse = Pulse(Database("the source shop", url, "SOURCE_URL"))
    found = pulse.beat("shop", [BeatOrder(TASK, "quarterdeck.heartbeat_shop_cdc")])
    assert (found.blind, len(found.beats)) == ("", 1)
    arrivals = Arrivals(Database("the warehouse", url, "WAREHOUSE_URL"))
    asked = [("shop", TASK, "quarterdeck.heartbeat_shop_cdc", "public", (TASK,))]
    assert arrivals.arrivals(asked).beats == found.beats


def test_what_the_newest_stamps_need_is_printed_beside_it_for_both_sides(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert '-- GRANT SELECT ON "public"."orders" TO "qd_installed";' in said("install", "shop")
    assert '-- GRANT SELECT ON "public"."orders" TO "qd_installed";' in said("install", "shop", "--side", "warehouse")
    source = SourceDeclared("shop", "mysql", "mysql://console@db/shop")
    monkeypatch.setattr(freshness, "declaration", lambda: replace(declaration(), sources=(source,)))
    assert "-- GRANT SELECT ON `public`.`orders` TO 'console'@'%';" in said("install", "shop")


def test_the_rule_for_the_tasks_table_mapping_is_printed(url: str) -> None:
    (printed,) = [line for line in said("install", "shop").splitlines() if line.startswith("-- {")]
    rule = json.loads(printed.removeprefix("-- "))
    assert rule["object-locator"] == {"schema-name": "quarterdeck", "table-name": "heartbeat_shop_cdc"}


def test_it_runs_them_as_an_administrator_and_again_without_harm(url: str) -> None:
    for _ in range(2):
        assert "done: GRANT pg_read_all_stats" in said("install", "shop", "--run", "--admin-url-env", "ADMIN_URL")


def test_what_the_consoles_own_user_may_not_do_is_told(url: str) -> None:
    with pytest.raises(CommandError, match=r"failed. Run those as a user who may: --admin-url-env"):
        said("install", "shop", "--run")


def test_a_source_that_is_not_declared_or_a_variable_that_is_not_set_is_named(url: str) -> None:
    with pytest.raises(CommandError, match="Declared: shop"):
        said("install", "shpo")
    with pytest.raises(CommandError, match="NOWHERE is not set"):
        said("install", "shop", "--run", "--admin-url-env", "NOWHERE")


def test_for_mysql_it_prints_its_own_grants(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = SourceDeclared("shop", "mysql", "mysql://console@db/shop")
    declared = replace(declaration(), sources=(source,))
    monkeypatch.setattr(freshness, "declaration", lambda: declared)
    text = said("install", "shop")
    assert "ENGINE=InnoDB" in text
    assert "GRANT PROCESS /*!80000 , XA_RECOVER_ADMIN */ ON *.* TO 'console'@'%'" in text
    assert "beat_at timestamp NOT NULL" in said("install", "shop", "--side", "warehouse")


@pytest.mark.parametrize("kind", KINDS)
def test_at_a_real_mysql_server_it_runs_them_and_then_heartbeats_are_written(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(kind) as made:
        made.run("CREATE USER console@'127.0.0.%' IDENTIFIED BY 'p@ss'")
        mine = f"mysql://console:p%40ss@127.0.0.1:{made.port}/"
        declared = replace(declaration(), sources=(SourceDeclared("shop", "mysql", mine),))
        monkeypatch.setattr(freshness, "declaration", lambda: declared)
        monkeypatch.setenv("ADMIN_URL", made.admin_url)
        pulse = MysqlPulse(Mysql("the source shop", mine, "SHOP_URL"))
        order = BeatOrder(TASK, "quarterdeck.heartbeat_shop_cdc")
        with pytest.raises(CommandError, match=r"failed. Run those as a user who may: --admin-url-env"):
            said("install", "shop", "--run")
        with pytest.raises(PlatformError, match="may not write"):
            pulse.beat("shop", [order])
        for _ in range(2):
            text = said("install", "shop", "--run", "--admin-url-env", "ADMIN_URL")
            assert "ON *.* TO 'console'@'127.0.0.%';" in text  # the account as the server knows it
        found = pulse.beat("shop", [order])
        assert (found.blind, len(found.beats)) == ("", 1)
    with pytest.raises(CommandError, match="can't be reached"):
        said("install", "shop", "--run", "--admin-url-env", "ADMIN_URL")
