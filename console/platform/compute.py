"""Auto Scaling Groups and their EC2 instances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from console.platform.aws import POLL_S, Clients, chunks, pages, utc
from console.platform.budget import Budget
from console.platform.readings import GroupReading, InstanceReading

GROUPS_PER_CALL = 100
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
        budget = Budget("AWS Auto Scaling", self._poll_s)
        groups: dict[str, dict[str, Any]] = {}
        for some in chunks(list(dict.fromkeys(names)), GROUPS_PER_CALL):
            for page in pages(
                self._clients,
                "autoscaling",
                "describe_auto_scaling_groups",
                "autoscaling:DescribeAutoScalingGroups",
                budget,
                AutoScalingGroupNames=some,
            ):
                groups.update({group["AutoScalingGroupName"]: group for group in page["AutoScalingGroups"]})
        found = [groups[name] for name in dict.fromkeys(names) if name in groups]
        machines = self._machines([row["InstanceId"] for group in found for row in group.get("Instances", [])], budget)
        versions = self._symbolic_versions(found, budget)
        return tuple(_group(group, machines, versions) for group in found)

    def _machines(self, ids: Sequence[str], budget: Budget) -> dict[str, dict[str, Any]]:
        """EC2's record of each instance. By filter, not by id: one id that has just vanished would fail the call."""
        found: dict[str, dict[str, Any]] = {}
        for some in chunks(ids, INSTANCES_PER_CALL):
            for page in pages(
                self._clients,
                "ec2",
                "describe_instances",
                "ec2:DescribeInstances",
                budget,
                Filters=[{"Name": "instance-id", "Values": some}],
            ):
                for reservation in page.get("Reservations", []):
                    found.update({row["InstanceId"]: row for row in reservation.get("Instances", [])})
        return found

    def _symbolic_versions(self, groups: Iterable[dict[str, Any]], budget: Budget) -> dict[tuple[str, str], str]:
        """What `$Latest` and `$Default` mean now, by (template id, word)."""
        templates = [_template(group) for group in groups]
        symbolic = {t["LaunchTemplateId"] for t in templates if str(t.get("Version", "")).startswith("$")}
        versions: dict[tuple[str, str], str] = {}
        for some in chunks(sorted(symbolic), INSTANCES_PER_CALL):
            for page in pages(
                self._clients,
                "ec2",
                "describe_launch_templates",
                "ec2:DescribeLaunchTemplates",
                budget,
                LaunchTemplateIds=some,
            ):
                for row in page.get("LaunchTemplates", []):
                    versions[(row["LaunchTemplateId"], "$Latest")] = str(row.get("LatestVersionNumber", ""))
                    versions[(row["LaunchTemplateId"], "$Default")] = str(row.get("DefaultVersionNumber", ""))
        return versions


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
