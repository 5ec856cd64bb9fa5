"""A broken platform.yaml: every fault at once, each with its line, what is wrong, and the remedy; never a secret."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.platform.declared import DeclarationError, Fault, parse
from tests.platform.test_declaration import ENV, ROOT, SMALLEST

GOOD = (ROOT / "tests/platform.yaml").read_text()


def faults(text: str, env: dict[str, str] = ENV) -> tuple[Fault, ...]:
    with pytest.raises(DeclarationError) as raised:
        parse(text, env)
    assert all(fault.hint for fault in raised.value.faults)
    return raised.value.faults


def only(text: str, env: dict[str, str] = ENV) -> Fault:
    (fault,) = faults(text, env)
    return fault


@pytest.mark.parametrize(
    ("old", "new", "path", "message", "hint"),
    [
        (
            "baseline: 2, max: 4, price_per_hour: 0.09",
            "baseline: 5, max: 4, price_per_hour: 0.09",
            "fleets[0].baseline, line 14",
            "is 5, more than max (4)",
            "Lower baseline or raise max.",
        ),
        (
            "vcpus: 2, concurrency: 2",
            "vcpus: 2, concurrency: 8",
            "fleets[1].concurrency",
            "one task per core (2)",
            "leave it out",
        ),
        ("vcpus: 2, concurrency: 16, ", "vcpus: 2, ", "fleets[2].concurrency", "is missing", "runs at once"),
        ("slo: 5m", "slo: 5m, cutoffs: [daily]", "tables[0].cutoffs[0]", "is not a calendar", "every day 00:00"),
        (
            "slo: 5m",
            'slo: 5m, cutoffs: ["every day 00:00 Mars/Base, due by 02:30"]',
            "tables[0].cutoffs[0]",
            "no time zone: 'Mars/Base'",
            "every day 00:00",
        ),
        (
            "slo: 5m",
            "slo: 30s",
            "tables[0].slo",
            "2 × (1 s per batch of shop-cdc + 10 s between heartbeats) + 10 s between polls = 32 s",
            "at least 32s",
        ),
        ("slo: 5m", "slo: 5m, also: [shop-cdcc]", "tables[0].also[0]", "is not declared", "Did you mean shop-cdc?"),
        ("slo: 5m", "slo: 5m, also: [shop-cdc]", "tables[0].also[0]", "is there twice", "once"),
        ("hardware: general", "hardware: gneral", "fleets[0].hardware", "'gneral'", "'cpu-bound', 'io-bound'"),
        (
            "instance_type: m7g.large",
            "instance_tpye: m7g.large",
            "fleets[0].instance_tpye",
            "not a known key",
            "Did you mean instance_type?",
        ),
        ("price_per_hour: 0.08", "price_per_hour: -1", "fleets[1].price_per_hour", "is -1", "at least 0"),
        ("price_per_hour: 0.08", "price_per_hour: cheap", "fleets[1].price_per_hour", "text where a number", "digits"),
        ("vcpus: 2, concurrency: 4", "vcpus: 2.5, concurrency: 4", "fleets[0].vcpus", "whole number", "digits"),
        (
            "vcpus: 2, concurrency: 4",
            "vcpus: true, concurrency: 4",
            "fleets[0].vcpus",
            "true or false where a whole",
            "digits",
        ),
        ("queue: cpu,", "queue: default,", "fleets[1].queue", "'default' is there twice, first at fleets[0]", "once"),
        ("group: tests-cpu", "group: tests-io", "fleets[2].group", "'tests-io' is there twice", "once"),
        ("queue: cpu,", "queue: 7,", "fleets[1].queue", "a number where text is expected", "quotes"),
        ("queue: cpu,", 'queue: "a b",', "fleets[1].queue", "'a b' is not a name", "shop-cdc"),
        (
            "source: shop, identifier",
            "source: shpo, identifier",
            "tasks[0].source",
            "'shpo' is not declared",
            "mean shop?",
        ),
        ("customers, task: shop-cdc", "customers, task: shop", "tables[1].task", "'shop' is not declared", "shop-cdc"),
        (
            "name: shop.public.customers",
            "name: web.public.customers",
            "tables[1].name",
            "begins with 'web', but its task reads 'shop'",
            "source.schema.table",
        ),
        ("name: shop.public.customers", "name: shop.public.orders", "tables[1].name", "there twice", "once"),
        (
            "name: shop.public.customers",
            "name: customers",
            "tables[1].name",
            "not a source, a schema and a table",
            "shop.public.orders",
        ),
        (
            "warehouse: public.customers",
            "warehouse: customers",
            "tables[1].warehouse",
            "not a schema and a table",
            "public.orders",
        ),
        ("slo: 5m", "slo: 5", "tables[0].slo", "has no unit", "such as 5m"),
        ("slo: 5m", "slo: 5min", "tables[0].slo", "'5min' is not a duration", "90s or 5m"),
        ("slo: 5m", "slo: 0m", "tables[0].slo", "'0m' is not a duration", "90s or 5m"),
        ("kind: rds", "kind: redshift", "datastores[0].kind", "'redshift'", "'rds' or 'elasticache'"),
        (
            "bucket: tests-files, prefix: team",
            "prefix: team",
            "storage[0].bucket",
            "is missing",
            "a bucket, or the folder",
        ),
        ("bucket: tests-files, prefix: team", "prefix: team", "storage[0].prefix", "without a bucket", "leave it out"),
        ("bucket: tests-files", "folder: /x, bucket: tests-files", "storage[0].folder", "beside a bucket", "one place"),
        ("bucket: tests-files, prefix: team", "folder: x/y", "storage[0].folder", "not an absolute path", "slash"),
        (
            "bucket: tests-files",
            "bucket: s3://tests-files",
            "storage[0].bucket",
            "not a bucket's name",
            "the name alone",
        ),
        ("prefix: team", "prefix: team/../x", "storage[0].prefix", "is not a prefix of keys", "team/files"),
        ("unread_after: 1h", "unread_after: 1", "storage[0].unread_after", "has no unit", "such as 1m"),
        ("quiet_after: 6h", "swept_within: 2h", "storage[0].swept_within", "less than the day", "1d or more"),
        ("unread_after: 1h", "unread_aftr: 1h", "storage[0].unread_aftr", "not a known key", "mean unread_after?"),
        ("region: eu-north-1\n", "", "region", "is missing, but fleets are declared", "eu-north-1"),
        ("version: 1", "version: 2", "version, line 2", "is 2", "must be 1"),
        ("name: tests\n", "", "name", "is missing", "Shown in the console's navigation"),
        (
            'warehouse: {url: "${WAREHOUSE_URL}"}\n',
            "",
            "warehouse",
            "is missing, but tables are declared",
            "WAREHOUSE_URL",
        ),
        (
            "username: ${AIRFLOW_USERNAME}",
            "usernme: ${AIRFLOW_USERNAME}",
            "airflow.usernme, line 7",
            "not a known key",
            "username",
        ),
        ("pagers: []", "pagers: [{name: a, kind: pager}]", "pagers[0].kind", "no kind of pager", "email, pagerduty"),
        ("pagers: []", "pagers: [{name: a, kind: email, to: []}]", "pagers[0].to", "is empty", "to"),
        ("pagers: []", "pagers: 3", "pagers", "a number where a list", "dash"),
        ("pagers: []", "pagers: [oncall]", "pagers[0]", "text where a mapping", "key: value"),
        (
            "pagers: []",
            "pagers: [{name: a, kind: sns, topic: on-call}]",
            "pagers[0].topic",
            "not the ARN of an SNS topic",
            "arn:aws:sns",
        ),
        (
            "pagers: []",
            "pagers: [{name: a, kind: webhook, url: http://10.0.0.7/hook}]",
            "pagers[0].url",
            "is a private address",
            "allow_private: true",
        ),
        (
            "pagers: []",
            "pagers: [{name: a, kind: apprise, url: msteams://abc}]",
            "pagers[0].url",
            "holds a secret",
            "${APPRISE_URL}",
        ),
        (
            "pagers: []",
            "pagers: [{name: day, kind: email, to: [x]}]\nroutes: [{pagers: [dya]}]",
            "routes[0].pagers[0]",
            "'dya' is not declared",
            "mean day?",
        ),
        (
            "pagers: []",
            "pagers: [{name: a, kind: email, to: [x]}]\nroutes: [{pagers: [a, a]}]",
            "routes[0].pagers[1]",
            "there twice",
            "once",
        ),
        (
            "pagers: []",
            "pagers: [{name: a, kind: email, to: [x]}]\nroutes: [{pagers: [a], severities: [warning]}]",
            "routes, line",
            "none takes critical",
            "Add critical",
        ),
        ("pagers: []", "routes: [{pagers: [a]}]", "routes[0].pagers[0]", "'a' is not declared", "No pagers are"),
        ("pagers: []", "routes: [{pagers: [], repage: 5}]", "routes[0].repage", "has no unit", "such as 5m"),
        (
            "pagers: []",
            "routes: [{pagers: [], severities: [fatal]}]",
            "routes[0].severities[0]",
            "'fatal'",
            "'warning'",
        ),
        ("pagers: []", "dead_man: {url: https://hc.example.com/x}", "dead_man.url", "holds a secret", "DEAD_MAN_URL"),
        ("pagers: []", "hooks: {pagerduty: {secert: a}}", "hooks.pagerduty.secert", "not a known key", "secret?"),
        (
            "pagers: []",
            "hooks: {alertmanager: {token: a}}",
            "hooks.alertmanager.token",
            "holds a secret",
            "${HOOK_TOKEN}",
        ),
        ("airflow:\n", "airflow: x\nother:\n", "airflow", "text where a mapping", "key: value"),
    ],
)
def test_one_fault_is_named_where_it_is_with_its_remedy(old: str, new: str, path: str, message: str, hint: str) -> None:
    assert old in GOOD
    found = [fault for fault in faults(GOOD.replace(old, new, 1)) if fault.path.startswith(path)]
    assert len(found) == 1, faults(GOOD.replace(old, new, 1))
    assert message in found[0].message
    assert hint in found[0].hint


def test_all_faults_are_told_at_once() -> None:
    text = GOOD.replace("baseline: 2", "baseline: 9").replace("slo: 5m", "slo: 5").replace("kind: rds", "kind: rdb")
    assert len(faults(text)) == 5
    assert "fleets[2].baseline" in str(DeclarationError(faults(text)))


def test_lines_are_those_of_the_file() -> None:
    text = GOOD.replace("slo: 15m", "slo: later")
    line = next(number for number, each in enumerate(text.splitlines(), 1) if "later" in each)
    assert only(text).path == f"tables[1].slo, line {line}"


class TestSecrets:
    def test_as_values_are_refused_and_not_repeated(self) -> None:
        fault = only(GOOD.replace("${AIRFLOW_PASSWORD}", "hunter2"))
        assert fault.path.startswith("airflow.password, line 8")
        assert "${AIRFLOW_PASSWORD}" in fault.hint
        assert "hunter2" not in repr(fault)

    @pytest.mark.parametrize(
        "url",
        [
            "redis://:hunter2@host/0",
            "redis://user:hunter2@host/0",
            "redis://user:hunt/er2@host/0",
            "redis://${HOST}/0?password=hunter2",
        ],
    )
    def test_in_a_url_are_refused_and_not_repeated(self, url: str) -> None:
        fault = faults(GOOD.replace("${AIRFLOW_BROKER_URL}", url))[0]
        assert fault.path.startswith("broker.url, line 10")
        assert "password in its URL" in fault.message
        assert "hunt" not in repr(fault)

    def test_by_reference_inside_a_url_are_fine(self) -> None:
        text = GOOD.replace("${AIRFLOW_BROKER_URL}", "rediss://:${REDIS_PASSWORD}@queue:6379/0")
        assert parse(text, ENV | {"REDIS_PASSWORD": "x"}).broker.url == "rediss://:x@queue:6379/0"

    def test_of_slack_are_its_url(self) -> None:
        slack = "pagers: [{name: a, kind: slack, url: https://hooks.slack.com/services/T0/B0/xyz}]"
        fault = only(GOOD.replace("pagers: []", slack))
        assert "SLACK_WEBHOOK_URL" in fault.hint
        assert "xyz" not in repr(fault)

    def test_that_are_not_urls_are_not_repeated(self) -> None:
        for value in ("hunter2", "hunter2:secret", "redis//x:hunter2@y", "redis://[hunter2", "redis://x:hunter2"):
            fault = only(GOOD, ENV | {"AIRFLOW_BROKER_URL": value})
            assert fault.path.startswith("broker.url")
            assert "AIRFLOW_BROKER_URL" in fault.message + fault.hint
            assert "hunter2" not in repr(fault)


class TestReferences:
    def test_that_are_not_set_are_named_once_each(self) -> None:
        env = {name: value for name, value in ENV.items() if not name.startswith("AIRFLOW_")}
        found = faults(GOOD, env)
        assert [fault.path.split(",")[0] for fault in found] == [
            "airflow.url",
            "airflow.username",
            "airflow.password",
            "broker.url",
        ]
        assert "AIRFLOW_URL, which is not set" in found[0].message

    def test_that_are_empty_count_as_not_set(self) -> None:
        assert "WAREHOUSE_URL" in only(GOOD, ENV | {"WAREHOUSE_URL": ""}).message

    def test_of_the_wrong_kind_name_the_variable(self) -> None:
        fault = only(GOOD, ENV | {"WAREHOUSE_URL": "mysql://host/db"})
        assert (fault.path, fault.message) == ("warehouse.url, line 11", "(from WAREHOUSE_URL) starts with 'mysql'")
        assert fault.hint == "Expected postgresql://…, in WAREHOUSE_URL."


class TestSignIn:
    def test_needs_a_user_or_a_token(self) -> None:
        text = SMALLEST.replace(', username: "${AIRFLOW_USERNAME}", password: "${AIRFLOW_PASSWORD}"', "")
        assert "can't sign in" in only(text).message
        assert parse(text.replace('AIRFLOW_URL}"', 'AIRFLOW_URL}", token: "${AIRFLOW_PASSWORD}"'), ENV).airflow.token

    def test_needs_not_both(self) -> None:
        assert "beside a user" in only(SMALLEST.replace("username:", 'token: "${AIRFLOW_PASSWORD}", username:')).message


class TestYaml:
    def test_that_is_broken_is_told_with_its_line(self) -> None:
        fault = only("version: 1\nname: [x\nairflow: {}\n")
        assert fault.path.startswith("platform.yaml, line 3")
        assert "not YAML" in fault.message

    def test_an_unquoted_reference_in_braces_gets_the_remedy(self) -> None:
        assert 'url: "${NAME}"' in only("broker: {url: ${AIRFLOW_BROKER_URL}}\n").hint

    def test_a_key_that_is_there_twice_is_a_fault(self) -> None:
        fault = only(GOOD + "name: other\n")
        assert fault.path == "name, line 3"
        assert "twice" in fault.message

    @pytest.mark.parametrize("text", ["", "# nothing\n", "null", "[]", "just text", "3"])
    def test_that_declares_nothing_is_told(self, text: str) -> None:
        assert faults(text)[0].path.startswith("platform.yaml")

    @pytest.mark.parametrize(
        "text", ["&a [*a]", "{? [1, 2] : x}", "!!python/object/apply:os.system [ls]", "\x00", "- - -"]
    )
    def test_that_is_strange_is_a_fault_not_a_crash(self, text: str) -> None:
        assert faults(text)

    @given(st.text(alphabet=st.sampled_from("abc:{}[]-\n \"'&*!#${}1,|>?"), max_size=60))
    def test_that_is_anything_is_values_or_faults(self, text: str) -> None:
        with pytest.raises(DeclarationError):
            parse(text, ENV)

    @given(st.data())
    def test_with_any_value_changed_is_values_or_faults(self, data: st.DataObject) -> None:
        lines = GOOD.splitlines()
        number = data.draw(st.integers(0, len(lines) - 1))
        junk = data.draw(st.sampled_from(["", "null", "[]", "{}", "x: y", "  - 1", "7", "airflow:", "fleets: {a: b}"]))
        lines[number] = junk
        with suppress(DeclarationError):
            parse("\n".join(lines), ENV)
