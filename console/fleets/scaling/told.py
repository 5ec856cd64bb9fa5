"""A fleet's autoscaling as pages and the API tell it: whether it is on, until when, and the last decision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from console.fleets.models import ScalingDecision
from console.fleets.scaling.switch import mode_of, switches
from console.platform.declared import declaration


@dataclass(frozen=True)
class Told:
    """`last` is None where nothing was ever decided; `until` when the switch that counts now ends."""

    mode: str
    declared: str
    until: datetime | None
    last: ScalingDecision | None
    news: ScalingDecision | None = None  # the last that said something new; only where it was asked for

    @property
    def on(self) -> bool:
        return self.mode != "off"

    @property
    def word(self) -> str:
        """`on`, `publishes`, `off`."""
        return {"console": "on", "publish": "publishes only"}.get(self.mode, "off")


NOTHING = Told("off", "off", None, None)


def told(queues: Iterable[str], now: datetime, *, news: bool = False) -> dict[str, Told]:
    """By queue; two queries (three with `news`), however many there are. Undeclared queues are left out."""
    fleets = {fleet.queue: fleet for queue in queues if (fleet := declaration().fleet(queue)) is not None}
    if not fleets:
        return {}
    found = switches()
    last = ScalingDecision.objects.newest(list(fleets))
    new = ScalingDecision.objects.newest(list(fleets), news=True) if news else {}
    return {
        queue: Told(
            mode=mode_of(fleet, switch := found.get(queue), now),
            declared=fleet.autoscaling.mode,
            until=switch.until if switch is not None and switch.holds(now) else None,
            last=last.get(queue),
            news=new.get(queue),
        )
        for queue, fleet in fleets.items()
    }
