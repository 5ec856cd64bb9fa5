"""docs/iam-policy.json allows what the adapters call: nothing missing, nothing extra."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.docker.aws_calls import calls_in, modules, said_in

DOCS = Path(__file__).parents[2] / "docs"
IMPLIED = {
    # "Amazon EC2 Auto Scaling API permissions": asked of whoever changes a group's launch template.
    "autoscaling:UpdateAutoScalingGroup": {"ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"},
}
"""What AWS checks beside the call itself."""


def statements() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DOCS / "iam-policy.json").read_text())["Statement"]
    return found


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def allowed() -> list[str]:
    return [action for statement in statements() for action in listed(statement["Action"])]


def called() -> set[str]:
    return {action for _, source in modules() for action in calls_in(source)}


def test_the_policy_allows_exactly_what_is_called() -> None:
    needed = called().union(*(more for action, more in IMPLIED.items() if action in called()))
    policy = set(allowed())
    assert sorted(needed - policy) == [], "called, but missing in docs/iam-policy.json"
    assert sorted(policy - needed) == [], "in docs/iam-policy.json, but never called"
    assert len(allowed()) == len(policy), "an action is allowed twice"


@pytest.mark.parametrize(("path", "source"), [pytest.param(*one, id=one[0].name) for one in modules()])
def test_an_error_names_the_action_that_was_refused(path: Path, source: str) -> None:
    """Each call says what IAM calls it, so that a denied one tells its remedy; and names none that it does not make."""
    if path.name != "aws.py":
        assert said_in(source) == calls_in(source)


def test_what_a_module_calls_is_found() -> None:
    source = (
        "from x import Clients\n"
        "def f(c: Clients):\n"
        "    c('rds', change=True).reboot_db_instance(DBInstanceIdentifier='a')\n"
        "    rows(c, 'elasticache', 'describe_replication_groups')\n"
        "    c('s3').head_object(Bucket='b', Key='k')\n"
    )
    assert calls_in(source) == {"rds:RebootDBInstance", "elasticache:DescribeReplicationGroups", "s3:GetObject"}


def test_nothing_is_allowed_by_a_wildcard_and_no_change_is_allowed_everywhere() -> None:
    for statement in statements():
        assert statement["Effect"] == "Allow"
        actions = listed(statement["Action"])
        assert not [action for action in actions if "*" in action]
        reads = all(action.split(":")[1].startswith(("Describe", "Get", "List")) for action in actions)
        narrowed = "*" not in listed(statement["Resource"]) or "Condition" in statement
        assert reads or narrowed, f"{statement['Sid']} changes anything in the account"


def test_every_action_is_named_with_the_feature_that_needs_it() -> None:
    manual = (DOCS / "production.md").read_text()
    assert [action for action in allowed() if f"`{action}`" not in manual] == []
