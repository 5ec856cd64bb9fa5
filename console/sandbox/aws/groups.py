"""Auto Scaling Groups: what moto leaves out. Methods here replace moto's own (moto is pinned exactly).

Instances spread over the zones and remember the launch template's version that they were launched with, every launch
and termination leaves a scaling activity, and wrong calls are refused with AWS' words instead of an HTML page.
"""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, InstanceState
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.models import EC2Backend

from console.sandbox.aws.replace import replace

ACTIVITIES_KEPT = 200


def note(group: Any, description: str, cause: str) -> None:
    """Add a finished scaling activity to the group's list, newest first."""
    at = datetime.now(UTC)
    activities = group.__dict__.setdefault("activities", [])
    activities.insert(
        0,
        {
            "ActivityId": str(uuid.uuid4()),
            "AutoScalingGroupName": group.name,
            "Description": description,
            "Cause": f"At {at:%Y-%m-%dT%H:%M:%SZ} {cause}",
            "StartTime": at,
            "EndTime": at,
            "StatusCode": "Successful",
            "Progress": 100,
        },
    )
    del activities[ACTIVITIES_KEPT:]


def zone_with_fewest(zones: list[str], used: list[str]) -> int:
    """The index of the zone that has the fewest instances; the first of those that tie."""
    counts = Counter(used)
    return min(range(len(zones)), key=lambda index: (counts[zones[index]], index))


def resolve_version(template: Any, wanted: str) -> str:
    """A launch template's version number for `$Latest`, `$Default` or a number."""
    if wanted == "$Latest":
        return str(template.latest_version_number)
    if wanted in {"$Default", ""}:
        return str(template.default_version_number)
    return str(wanted)


def install() -> None:
    """Put the replacements into moto's classes."""
    launch_together = FakeAutoScalingGroup.replace_autoscaling_group_instances
    terminate = EC2Backend.terminate_instances

    def launch(self: Any, count_needed: int, propagated_tags: dict[str, str]) -> None:
        subnets = (self.vpc_zone_identifier or "").split(",")
        for _ in range(count_needed):
            known = {state.instance.id for state in self.instance_states}
            used = [state.availability_zone for state in self.instance_states]
            everything = self.vpc_zone_identifier
            if len(subnets) > 1:  # moto launches into the first subnet: so the one wanted is made the only one
                self.vpc_zone_identifier = subnets[zone_with_fewest(self.availability_zones, used)]
            try:
                launch_together(self, 1, dict(propagated_tags))
            finally:
                self.vpc_zone_identifier = everything
            for state in self.instance_states:
                if state.instance.id in known:
                    continue
                if self.ec2_launch_template is not None:
                    version = resolve_version(self.ec2_launch_template, self.launch_template_version)
                    state.instance.launched_version = version
                note(
                    self,
                    f"Launching a new EC2 instance: {state.instance.id}",
                    f"an instance was started in response to a difference between desired ({self.desired_capacity}) "
                    "and actual capacity, increasing the capacity.",
                )

    def terminate_instances(self: Any, instance_ids: list[str]) -> Any:
        for reservation in self.reservations.values():
            for instance in reservation.instances:
                group = getattr(instance, "autoscaling_group", None)
                if instance.id in instance_ids and group is not None and instance.state == "running":
                    note(
                        group,
                        f"Terminating EC2 instance: {instance.id}",
                        f"instance {instance.id} was taken out of service.",
                    )
        return terminate(self, instance_ids)

    def launch_template(self: Any) -> dict[str, Any] | None:
        template = self.auto_scaling_group.ec2_launch_template
        if template is None:
            return None
        version = getattr(self.instance, "launched_version", str(template.default_version_number))
        return {"LaunchTemplateId": template.id, "LaunchTemplateName": template.name, "Version": version}

    def existing(backend: AutoScalingBackend, name: str | None) -> Any:
        group = backend.autoscaling_groups.get(name or "")
        if group is None:
            raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup: {name} not found")
        return group

    def describe_scaling_activities(self: Any) -> ActionResult:
        name = self._get_param("AutoScalingGroupName")
        limit = self._get_int_param("MaxRecords") or 100
        backend = self.autoscaling_backend
        groups = [existing(backend, name)] if name else list(backend.autoscaling_groups.values())
        activities = [activity for group in groups for activity in getattr(group, "activities", [])]
        activities.sort(key=lambda activity: activity["StartTime"], reverse=True)
        return ActionResult({"Activities": activities[:limit]})

    def set_desired_capacity(self: Any) -> EmptyResult:
        name, wanted = self._get_param("AutoScalingGroupName"), self._get_int_param("DesiredCapacity")
        group = existing(self.autoscaling_backend, name)
        if wanted > group.max_size:
            raise ValidationError(
                f"New SetDesiredCapacity value {wanted} is above max value {group.max_size} for the AutoScalingGroup."
            )
        if wanted < group.min_size:
            raise ValidationError(
                f"New SetDesiredCapacity value {wanted} is below min value {group.min_size} for the AutoScalingGroup."
            )
        self.autoscaling_backend.set_desired_capacity(name, wanted)
        return EmptyResult()

    def terminate_in_group(self: Any) -> ActionResult:
        instance = self._get_param("InstanceId")
        decrement = self._get_bool_param("ShouldDecrementDesiredCapacity", False)
        backend = self.autoscaling_backend
        states = [s for g in backend.autoscaling_groups.values() for s in g.instance_states]
        state = next((s for s in states if s.instance.id == instance), None)
        if state is None:
            raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {instance}")
        group = state.auto_scaling_group
        if decrement and group.desired_capacity - 1 < group.min_size:
            raise ValidationError(
                f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without replacement "
                f"will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or "
                "lower group's min size."
            )
        return ActionResult({"Activity": backend.terminate_instance(instance, decrement)})

    replace(FakeAutoScalingGroup, replace_autoscaling_group_instances=launch)
    replace(EC2Backend, terminate_instances=terminate_instances)
    replace(InstanceState, launch_template=property(launch_template))
    replace(
        AutoScalingResponse,
        describe_scaling_activities=describe_scaling_activities,
        set_desired_capacity=set_desired_capacity,
        terminate_instance_in_auto_scaling_group=terminate_in_group,
    )
