"""Termination hooks of Auto Scaling Groups, which moto stores and never runs.

An instance of a group with a hook on EC2_INSTANCE_TERMINATING waits (`Terminating:Wait`): its machine lives on, and a
message goes to the hook's SQS queue. It goes on by CompleteLifecycleAction, or when its time is over; a heartbeat
begins that time again.
"""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, TerminateInstanceActivity
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.sqs.models import sqs_backends

from console.sandbox.aws.replace import replace

TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
WAITS = "Terminating:Wait"


def hook_of(backend: AutoScalingBackend, group: str) -> Any | None:
    """The first hook on terminations of a group."""
    hooks = backend.describe_lifecycle_hooks(group)
    return next((hook for hook in hooks if hook.lifecycle_transition == TERMINATING), None)


def _tell(backend: AutoScalingBackend, hook: Any, body: dict[str, Any]) -> None:
    target = getattr(hook, "told_at", "")
    if target.startswith("arn:aws:sqs:"):
        *_, region, account, name = target.split(":")
        sqs_backends[account][region].send_message(name, json.dumps(body))


def _states(backend: AutoScalingBackend) -> list[Any]:
    return [state for group in backend.autoscaling_groups.values() for state in group.instance_states]


def install() -> None:
    """Put the hooks into moto's classes."""
    terminate = AutoScalingBackend.terminate_instance
    put = AutoScalingResponse.put_lifecycle_hook
    describe = AutoScalingResponse.describe_auto_scaling_groups

    def put_lifecycle_hook(self: Any) -> Any:
        answer = put(self)
        group, name = self._get_param("AutoScalingGroupName"), self._get_param("LifecycleHookName")
        hook = self.autoscaling_backend.lifecycle_hooks[f"{group}_{name}"]
        hook.told_at = self._get_param("NotificationTargetARN") or ""
        _tell(self.autoscaling_backend, hook, {"Event": "autoscaling:TEST_NOTIFICATION", "AutoScalingGroupName": group})
        return answer

    def terminate_instance(self: Any, instance_id: str, should_decrement: bool) -> Any:
        state = next((each for each in _states(self) if each.instance.id == instance_id), None)
        hook = hook_of(self, state.auto_scaling_group_name) if state is not None else None
        if state is None or hook is None or state.lifecycle_state == "Terminating:Proceed":
            return terminate(self, instance_id, should_decrement)
        if state.lifecycle_state != WAITS:
            state.lifecycle_state = WAITS
            state.waiting = (hook, str(uuid.uuid4()), should_decrement)
            state.ends_at = time.time() + hook.heartbeat_timeout
            _tell(
                self, hook,
                {
                    "LifecycleHookName": hook.name, "AccountId": self.account_id, "RequestId": str(uuid.uuid4()),
                    "LifecycleTransition": TERMINATING, "AutoScalingGroupName": state.auto_scaling_group_name,
                    "Service": "AWS Auto Scaling", "Time": datetime.now(UTC).isoformat(), "EC2InstanceId": instance_id,
                    "LifecycleActionToken": state.waiting[1],
                },
            )  # fmt: skip
        return TerminateInstanceActivity(state.instance, state.auto_scaling_group.desired_capacity)

    def waiting(self: Any) -> Any:
        instance, token = self._get_param("InstanceId"), self._get_param("LifecycleActionToken")
        group, name = self._get_param("AutoScalingGroupName"), self._get_param("LifecycleHookName")
        for state in _states(self.autoscaling_backend):
            if state.lifecycle_state != WAITS or state.auto_scaling_group_name != group:
                continue
            if state.waiting[0].name == name and (state.instance.id == instance or state.waiting[1] == token):
                return state
        raise ValidationError(f"No active Lifecycle Action found with instance ID {instance}")

    def go_on(backend: Any, state: Any) -> None:
        state.lifecycle_state = "Terminating:Proceed"
        terminate(backend, state.instance.id, state.waiting[2])

    def complete_lifecycle_action(self: Any) -> EmptyResult:
        go_on(self.autoscaling_backend, waiting(self))
        return EmptyResult()

    def record_lifecycle_action_heartbeat(self: Any) -> EmptyResult:
        state = waiting(self)
        state.ends_at = time.time() + state.waiting[0].heartbeat_timeout
        return EmptyResult()

    def describe_auto_scaling_groups(self: Any) -> ActionResult:
        for state in _states(self.autoscaling_backend):
            if state.lifecycle_state == WAITS and time.time() > state.ends_at:
                go_on(self.autoscaling_backend, state)
        found: ActionResult = describe(self)
        return found

    replace(AutoScalingBackend, terminate_instance=terminate_instance)
    replace(
        AutoScalingResponse,
        put_lifecycle_hook=put_lifecycle_hook,
        complete_lifecycle_action=complete_lifecycle_action,
        record_lifecycle_action_heartbeat=record_lifecycle_action_heartbeat,
        describe_auto_scaling_groups=describe_auto_scaling_groups,
    )
