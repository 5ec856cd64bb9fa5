"""One fresh look at a whole fleet, for an operation that works on all of it: a deploy, a resize."""

from __future__ import annotations

from datetime import datetime

from console.fleets.crew import Crew
from console.fleets.looking import Wanted, look, of_drains
from console.fleets.members import FleetSeen, Member
from console.fleets.models import Worker
from console.fleets.names import node_of
from console.platform.ports import Ports
from console.platform.readings import GroupReading


def look_at_fleet(ports: Ports, queue: str, group: str, crew: Crew | None, now: datetime) -> FleetSeen:
    """The group, every member's worker, and those of `crew` that have left: one call to each system."""
    drains = {each.instance_id: each for each in of_drains(crew)} if crew else {}
    nodes = dict(Worker.objects.serving(queue).exclude(instance_id="").values_list("instance_id", "node"))

    def wanted(reading: GroupReading | None) -> list[Wanted]:
        members = [each.instance_id for each in reading.instances] if reading else []
        others = [Wanted(nodes.get(each, node_of(each)), each) for each in members if each not in drains]
        return [*drains.values(), *others]

    found = look(ports, queue, group, wanted, now)
    if found.group is None:
        return FleetSeen(False, drained=found.seen)
    members = tuple(
        Member(
            instance_id=each.instance_id,
            node=drains[each.instance_id].node
            if each.instance_id in drains
            else nodes.get(each.instance_id, node_of(each.instance_id)),
            version=each.version,
            lifecycle=each.lifecycle,
            launched_at=each.launched_at,
            seen=found.seen[each.instance_id],
        )
        for each in found.group.instances
    )
    return FleetSeen(
        visible=found.broker,
        desired=found.group.desired,
        version=found.group.version,
        members=members,
        drained=found.seen,
        minimum=found.group.minimum,
        maximum=found.group.maximum,
    )
