"""The whole in one process: a flood grows the fleet, is worked off, leaves the baseline; nothing is killed."""

from __future__ import annotations

import pytest
from django.utils import timezone

from console.fleets.models import ScalingDecision, ScalingSwitch
from console.operations.models import Operation
from console.platform.sources import TASKS
from tests.fleets.scaling.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    made = World(timezone.now())
    ScalingSwitch.objects.create(queue="io", on=True, set_at=made.now)
    made.run(30)
    assert made.desired == 2
    return made


def test_a_flood_grows_the_fleet_and_is_drained_away(world: World) -> None:
    world.flood(300)
    world.run(30)  # two intervals
    assert world.desired == 4
    out = ScalingDecision.objects.filter(queue="io", action="out").latest("at")
    assert "need" in out.because
    assert "2 → 4" in out.because
    for _ in range(40):
        if len(world.done) == 300:
            break
        world.run(15)
    assert len(world.done) == len(set(world.done)) == 300
    assert max(world.sizes) == 4
    for _ in range(40):
        if world.desired == 2 and not Operation.objects.active().exists():
            break
        world.run(15)
    assert world.desired == 2
    drains = Operation.objects.filter(kind="drain")
    assert {drain.state for drain in drains} == {"succeeded"}
    assert sum(len(drain.parameters["workers"]) for drain in drains) == 2
    assert all("no task lost" in drain.outcome for drain in drains)
    assert world.killed == []
    changes = [b - a for a, b in zip(world.sizes, world.sizes[1:], strict=False) if a != b]
    assert changes in ([2, -2], [2, -1, -1])  # it went up once and down once: no flapping


def test_blind_in_the_middle_it_holds(world: World) -> None:
    world.flood(300)
    world.run(60)
    world.hidden = (TASKS,)
    before, asked = world.desired, Operation.objects.exclude(kind="protect").count()
    world.run(120)
    assert world.desired == before
    assert Operation.objects.exclude(kind="protect").count() == asked
    last = ScalingDecision.objects.filter(queue="io").latest("at")
    assert (last.action, last.desired) == ("blind", before)
    world.hidden = ()
    world.run(60)
    assert ScalingDecision.objects.filter(queue="io").latest("at").action != "blind"
