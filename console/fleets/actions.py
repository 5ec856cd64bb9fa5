"""What an operation does to workers and groups: one call each, repeatable unless it says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.utils import timezone

from console.fleets.models import ScalingSwitch
from console.operations.kinds import Action
from console.operations.rules import JSON
from console.platform.ports import Ports


def cancel(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.broker().cancel(args["nodes"], args["queues"])


def consume(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.broker().consume(args["nodes"], args["queues"])


def canary(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.broker().send_canary(args["nodes"])


def canary_end(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.broker().end_canary(args["nodes"])


def stop(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.broker().stop(args["nodes"])


def terminate(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.compute().terminate(args["group"], args["instance_id"], decrement=args["decrement"])


def set_desired(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.compute().set_desired(args["group"], args["desired"])


def set_limits(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.compute().set_limits(args["group"], args["minimum"], args["maximum"])


def keep_waiting(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.compute().keep_waiting(args["group"], args["hook"], args["instance_id"], args["token"])


def let_go(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.compute().let_go(args["group"], args["hook"], args["instance_id"], args["token"])


def protect(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.compute().protect(args["group"], args["instances"], protected=args["protected"])


def set_switch(ports: Ports, args: Mapping[str, JSON]) -> None:
    """The console's own switch of a fleet's autoscaling; no port is asked."""
    until = datetime.fromisoformat(args["until"]) if args["until"] else None
    values = {"on": args["on"], "until": until, "set_at": timezone.now()}
    ScalingSwitch.objects.update_or_create(queue=args["queue"], defaults=values)


def set_version(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.compute().set_version(args["group"], args["version"])


_OF_WORKERS = (cancel, consume, canary, canary_end, stop, terminate, keep_waiting, let_go)
_ALL: tuple[Action, ...] = (*_OF_WORKERS, set_desired, set_limits, set_version, set_switch, protect)
ACTIONS: Mapping[str, Action] = {action.__name__: action for action in _ALL}
