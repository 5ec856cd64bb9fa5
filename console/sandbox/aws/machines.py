"""Which machine is the body of which instance, where machines are containers (docker/compose.yaml).

A machine asks each second (`body.py`), at `MACHINE_PATH`, which no AWS client ever calls: it is given the instance that
it has, else one of its queue's group that has no machine yet. The instance's private address becomes the machine's. A
machine that falls silent has failed its status check: its instance is terminated, and the group launches another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from moto.autoscaling.models import autoscaling_backends

MACHINE_PATH = "/sandbox/machine"
SILENT_S = 45.0
"""Longer than a container takes to be restarted, which is a reboot and keeps the instance."""


@dataclass(frozen=True)
class Claim:
    """A machine that is the body of an instance. `seen_at_s` is on the monotonic clock."""

    host: str
    address: str
    seen_at_s: float


@dataclass(frozen=True)
class Settled:
    """What the machine that asked is, every claim after it, and the instances whose machine fell silent."""

    instance: str | None
    claims: dict[str, Claim]
    silent: tuple[str, ...]


def settle(
    claims: Mapping[str, Claim], running: Sequence[str], host: str, address: str, others: Sequence[str], now_s: float
) -> Settled:
    """Pure. `running` are the instances of the asking machine's group, oldest first; `others` those of all groups.

    One instance never has two machines, a machine never two instances, and it keeps the one that it has.
    """
    alive = set(running) | set(others)
    kept = {instance: claim for instance, claim in claims.items() if instance in alive}
    heard_s = max((claim.seen_at_s for claim in kept.values()), default=now_s)
    if now_s - heard_s > SILENT_S / 2:  # it is this endpoint that was away, not every machine at once
        kept = {instance: replace(claim, seen_at_s=now_s) for instance, claim in kept.items()}
    mine = next((instance for instance, claim in kept.items() if claim.host == host), None)
    if mine is None:
        mine = next((instance for instance in running if instance not in kept), None)
    if mine is not None:
        kept[mine] = Claim(host, address, now_s)
    silent = tuple(instance for instance, claim in kept.items() if now_s - claim.seen_at_s > SILENT_S)
    return Settled(mine, {instance: claim for instance, claim in kept.items() if instance not in silent}, silent)


class Machines:
    """The claims of one account. Called under the endpoint's lock."""

    def __init__(self, account: str, region: str) -> None:
        self._autoscaling = autoscaling_backends[account][region]
        self.claims: dict[str, Claim] = {}

    def answer(self, body: Mapping[str, Any], now_s: float) -> dict[str, Any]:
        """`{host, address, queue}` → `{instance, queue, concurrency, version}`. KeyError where one is missing."""
        queue = str(body["queue"])
        instances = {state.instance.id: state.instance for state in self._states()}
        running = [id for id, instance in instances.items() if self._tags(instance).get("queue") == queue]
        settled = settle(self.claims, running, str(body["host"]), str(body["address"]), list(instances), now_s)
        self.claims = settled.claims
        for silent in settled.silent:
            self._autoscaling.terminate_instance(silent, False)
        if settled.instance is None:
            return {"instance": None, "queue": queue, "concurrency": 0, "version": ""}
        instance = instances[settled.instance]
        instance.nics[0].private_ip_address = str(body["address"])
        return {
            "instance": settled.instance,
            "queue": queue,
            "concurrency": int(self._tags(instance).get("concurrency", "2")),
            "version": str(getattr(instance, "launched_version", "")),
        }

    def hosts(self) -> dict[str, str]:
        """Each instance that has a machine, and that machine's host name."""
        return {instance: claim.host for instance, claim in self.claims.items()}

    def _states(self) -> list[Any]:
        groups = self._autoscaling.autoscaling_groups.values()
        return [state for group in groups for state in group.instance_states if state.instance.state == "running"]

    @staticmethod
    def _tags(instance: Any) -> dict[str, str]:
        return {tag["key"]: tag["value"] for tag in instance.get_tags()}
