"""Auto Scaling Groups and their EC2 instances."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from console.platform.aws import POLL_S, Clients, chunks, reported, rows, utc
from console.platform.budget import Budget
from console.platform.ports import PlatformError
from console.platform.readings import FleetMetric, GroupReading, InstanceReading, TerminationNotice

SYSTEM = "AWS Auto Scaling"
GROUPS_PER_CALL = 100
NAMESPACE = "Quarterdeck"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
HEARTBEAT_S, LIMIT_S = 3600.0, 48 * 3600.0
"""AWS' defaults for a lifecycle hook."""
METRICS_PER_CALL = 500
PROTECTED_PER_CALL = 50
INSTANCES_PER_CALL = 200  # AWS' limit of values in one filter


class Compute:
    """The groups of one region. Safe for threads. Raises PlatformError."""

    def __init__(self, clients: Clients, *, poll_s: float = POLL_S) -> None:
        self._clients = clients
        self._poll_s = poll_s

    def groups(self, names: Sequence[str]) -> tuple[GroupReading, ...]:
        """The groups that exist of those named, in that order, each with its instances."""
        if not names:
            return ()  # AWS would answer with every group of the account
        budget = Budget(SYSTEM, self._poll_s)
        groups: dict[str, dict[str, Any]] = {}
        for some in chunks(list(dict.fromkeys(names)), GROUPS_PER_CALL):
            for group in rows(
                self._clients,
                "autoscaling",
                "describe_auto_scaling_groups",
                "autoscaling:DescribeAutoScalingGroups",
                "AutoScalingGroups",
                budget,
                AutoScalingGroupNames=some,
            ):
                groups[group["AutoScalingGroupName"]] = group
        found = [groups[name] for name in dict.fromkeys(names) if name in groups]
        machines = self._machines([row["InstanceId"] for group in found for row in group.get("Instances", [])], budget)
        versions = self._symbolic_versions(found, budget)
        return tuple(_group(group, machines, versions) for group in found)

    # --- changes: each idempotent unless it says otherwise ----------------------------------------------------------

    def set_desired(self, group: str, desired: int) -> None:
        """How many instances the group keeps. PlatformError `rejected` outside its minimum and maximum."""
        found = self._known(group)
        if not found.minimum <= desired <= found.maximum:  # AWS says so too; some stand-ins do not
            raise PlatformError(
                SYSTEM,
                "rejected",
                f"{group} takes {found.minimum} to {found.maximum} instances, not {desired}",
                remedy="Change the group's minimum or maximum first.",
                permanent=True,
            )
        with reported("autoscaling", "autoscaling:SetDesiredCapacity"):
            self._clients("autoscaling", change=True).set_desired_capacity(
                AutoScalingGroupName=group, DesiredCapacity=desired, HonorCooldown=False
            )

    def set_limits(self, group: str, minimum: int, maximum: int) -> None:
        """The group's minimum and maximum."""
        with reported("autoscaling", "autoscaling:UpdateAutoScalingGroup"):
            self._clients("autoscaling", change=True).update_auto_scaling_group(
                AutoScalingGroupName=group, MinSize=minimum, MaxSize=maximum
            )

    def set_version(self, group: str, version: str) -> None:
        """Which version of its launch template the group launches from now on."""
        with reported("autoscaling", "autoscaling:DescribeAutoScalingGroups"):
            answer = self._clients("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])
        holder = next(iter(answer["AutoScalingGroups"]), None)
        template = _template(holder) if holder else {}
        if not template:
            raise _missing(group)
        with reported("autoscaling", "autoscaling:UpdateAutoScalingGroup"):
            self._clients("autoscaling", change=True).update_auto_scaling_group(
                AutoScalingGroupName=group,
                LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"], "Version": version},
            )

    def terminate(self, group: str, instance_id: str, *, decrement: bool) -> None:
        """End an instance; with `decrement` the group's desired capacity goes down with it, else it is replaced.

        Not idempotent: a second one could take the desired capacity down again. An instance that has left its group is
        taken as done.
        """
        if not any(each.instance_id == instance_id for each in self._known(group).instances):
            return
        with reported("autoscaling", "autoscaling:TerminateInstanceInAutoScalingGroup"):
            self._clients("autoscaling", change=True).terminate_instance_in_auto_scaling_group(
                InstanceId=instance_id, ShouldDecrementDesiredCapacity=decrement
            )

    def protect(self, group: str, instance_ids: Sequence[str], *, protected: bool) -> None:
        """Scale-in protection on or off; instances that have left the group are passed over."""
        there = {each.instance_id for each in self._known(group).instances}
        for some in chunks([each for each in instance_ids if each in there], PROTECTED_PER_CALL):
            with reported("autoscaling", "autoscaling:SetInstanceProtection"):
                self._clients("autoscaling", change=True).set_instance_protection(
                    AutoScalingGroupName=group, InstanceIds=some, ProtectedFromScaleIn=protected
                )

    def notices(self, queue: str) -> tuple[TerminationNotice, ...]:
        """Announced terminations. What is none (a test notification, another transition) is forgotten at once."""
        with reported("sqs", "sqs:ReceiveMessage"):
            answer = self._clients("sqs").receive_message(
                QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=0, VisibilityTimeout=60
            )
        found, others = [], []
        for message in answer.get("Messages", []):
            notice = self._notice(message)
            if notice is None:
                others.append(message["ReceiptHandle"])
            else:
                found.append(notice)
        self.forget_notices(queue, others)
        return tuple(found)

    def _notice(self, message: dict[str, Any]) -> TerminationNotice | None:
        try:
            body = json.loads(message["Body"])
            body = json.loads(body["Message"]) if "Message" in body else body  # by SNS
            if body.get("LifecycleTransition") != TERMINATING:
                return None
            group, hook, instance = (body[k] for k in ("AutoScalingGroupName", "LifecycleHookName", "EC2InstanceId"))
            token = str(body.get("LifecycleActionToken", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        with reported("autoscaling", "autoscaling:DescribeLifecycleHooks"):
            hooks = self._clients("autoscaling").describe_lifecycle_hooks(
                AutoScalingGroupName=group, LifecycleHookNames=[hook]
            )["LifecycleHooks"]
        heartbeat_s = float(hooks[0].get("HeartbeatTimeout") or HEARTBEAT_S) if hooks else HEARTBEAT_S
        limit_s = min(LIMIT_S, 100 * heartbeat_s)
        return TerminationNotice(message["ReceiptHandle"], group, hook, instance, token, heartbeat_s, limit_s)

    def forget_notices(self, queue: str, receipts: Sequence[str]) -> None:
        for receipt in receipts:
            with reported("sqs", "sqs:DeleteMessage"):
                self._clients("sqs", change=True).delete_message(QueueUrl=queue, ReceiptHandle=receipt)

    def keep_waiting(self, group: str, hook: str, instance_id: str, token: str) -> None:
        with _still_waiting("autoscaling:RecordLifecycleActionHeartbeat"):
            self._clients("autoscaling", change=True).record_lifecycle_action_heartbeat(
                **_action(group, hook, instance_id, token)
            )

    def let_go(self, group: str, hook: str, instance_id: str, token: str) -> None:
        with _still_waiting("autoscaling:CompleteLifecycleAction"):
            self._clients("autoscaling", change=True).complete_lifecycle_action(
                LifecycleActionResult="CONTINUE", **_action(group, hook, instance_id, token)
            )

    def publish(self, metrics: Sequence[FleetMetric]) -> None:
        """Points of now in CloudWatch's namespace `Quarterdeck`, by AutoScalingGroupName and Queue."""
        for start in range(0, len(metrics), METRICS_PER_CALL):
            data = [
                {
                    "MetricName": each.name,
                    "Dimensions": [
                        {"Name": "AutoScalingGroupName", "Value": each.group},
                        {"Name": "Queue", "Value": each.queue},
                    ],
                    "Value": each.value,
                    "Unit": "Count",
                }
                for each in metrics[start : start + METRICS_PER_CALL]
            ]
            with reported("cloudwatch", "cloudwatch:PutMetricData"):
                self._clients("cloudwatch", change=True).put_metric_data(Namespace=NAMESPACE, MetricData=data)

    def _known(self, group: str) -> GroupReading:
        found = self.groups([group])
        if not found:
            raise _missing(group)
        return found[0]

    def _machines(self, ids: Sequence[str], budget: Budget) -> dict[str, dict[str, Any]]:
        """EC2's record of each instance. By filter, not by id: one id that has just vanished would fail the call."""
        found: dict[str, dict[str, Any]] = {}
        for some in chunks(ids, INSTANCES_PER_CALL):
            for reservation in rows(
                self._clients,
                "ec2",
                "describe_instances",
                "ec2:DescribeInstances",
                "Reservations",
                budget,
                Filters=[{"Name": "instance-id", "Values": some}],
            ):
                found.update({row["InstanceId"]: row for row in reservation.get("Instances", [])})
        return found

    def _symbolic_versions(self, groups: Iterable[dict[str, Any]], budget: Budget) -> dict[tuple[str, str], str]:
        """What `$Latest` and `$Default` mean now, by (template id, word)."""
        templates = [_template(group) for group in groups]
        symbolic = {t["LaunchTemplateId"] for t in templates if str(t.get("Version", "")).startswith("$")}
        versions: dict[tuple[str, str], str] = {}
        for some in chunks(sorted(symbolic), INSTANCES_PER_CALL):
            for row in rows(
                self._clients,
                "ec2",
                "describe_launch_templates",
                "ec2:DescribeLaunchTemplates",
                "LaunchTemplates",
                budget,
                LaunchTemplateIds=some,
            ):
                versions[(row["LaunchTemplateId"], "$Latest")] = str(row.get("LatestVersionNumber", ""))
                versions[(row["LaunchTemplateId"], "$Default")] = str(row.get("DefaultVersionNumber", ""))
        return versions


def _action(group: str, hook: str, instance_id: str, token: str) -> dict[str, str]:
    found = {"AutoScalingGroupName": group, "LifecycleHookName": hook, "InstanceId": instance_id}
    return found | ({"LifecycleActionToken": token} if token else {})


@contextmanager
def _still_waiting(action: str) -> Iterator[None]:
    """A termination that waits no more is done: it went on by itself, or was told so before."""
    try:
        with reported("autoscaling", action, leave=frozenset({"ValidationError"})):
            yield
    except ClientError as error:
        if "No active Lifecycle Action" not in str(error):
            with reported("autoscaling", action):
                raise


def _missing(group: str) -> PlatformError:
    return PlatformError(
        SYSTEM,
        "not_found",
        f"there is no Auto Scaling Group {group}, or it has no launch template",
        remedy="Compare `group` in platform.yaml with the account.",
        permanent=True,
    )


def _template(holder: dict[str, Any]) -> dict[str, Any]:
    """A group's or instance's launch template, also in a mixed-instances policy; empty where there is none."""
    mixed = holder.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {}).get("LaunchTemplateSpecification", {})
    found: dict[str, Any] = holder.get("LaunchTemplate") or mixed
    return found if found.get("LaunchTemplateId") else {}


def _version(holder: dict[str, Any], versions: dict[tuple[str, str], str]) -> str | None:
    template = _template(holder)
    if not template:
        return holder.get("LaunchConfigurationName") or None
    version = str(template.get("Version") or "$Default")
    return versions.get((template["LaunchTemplateId"], version)) if version.startswith("$") else version


def _group(
    group: dict[str, Any], machines: dict[str, dict[str, Any]], versions: dict[tuple[str, str], str]
) -> GroupReading:
    return GroupReading(
        name=group["AutoScalingGroupName"],
        minimum=int(group["MinSize"]),
        maximum=int(group["MaxSize"]),
        desired=int(group["DesiredCapacity"]),
        version=_version(group, versions),
        instances=tuple(
            _instance(row, machines.get(row["InstanceId"], {}), versions) for row in group.get("Instances", [])
        ),
    )


def _instance(row: dict[str, Any], machine: dict[str, Any], versions: dict[tuple[str, str], str]) -> InstanceReading:
    return InstanceReading(
        instance_id=row["InstanceId"],
        lifecycle=str(row.get("LifecycleState") or ""),
        health=str(row.get("HealthStatus") or ""),
        zone=str(row.get("AvailabilityZone") or machine.get("Placement", {}).get("AvailabilityZone") or ""),
        instance_type=row.get("InstanceType") or machine.get("InstanceType"),
        version=_version(row, versions),
        protected=bool(row.get("ProtectedFromScaleIn")),
        launched_at=utc(machine.get("LaunchTime")),
        private_ip=machine.get("PrivateIpAddress"),
    )
