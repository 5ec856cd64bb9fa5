"""Does a fleet's capacity follow its demand? One verdict per queue, with its reason. Pure.

`None` in a figure means that it can't be seen. What is seen to be wrong is said even while something else is hidden;
"healthy" needs both the work (Airflow) and the workers (heartbeats or answers) in sight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from console.lib.status import Status
from console.lib.words import count, duration

PATIENCE_S = 60.0
"""A backlog younger than this is ordinary: tasks wait a moment for their worker."""
STARVING_S = 180.0
"""A backlog this old, with every slot taken and no worker on the way, starves."""
GHOST_S = 60.0
"""So long must Airflow's count and the broker's disagree before it is said."""
TREND_S = 90.0
"""The least stretch over which a pace is worked out."""


@dataclass(frozen=True)
class Demand:
    """Work of one queue. `queued` and `running` by Airflow, `depth` by the broker."""

    queued: int | None = None
    running: int | None = None
    exact: bool = True  # False: at least this many
    depth: int | None = None
    reserved: int | None = None  # messages that workers hold and have not started
    backlog_since: datetime | None = None  # queued > 0 without interruption
    mismatch_since: datetime | None = None  # queued and depth disagree without interruption
    pace_per_s: float | None = None  # change of `queued`; None: too little seen yet


@dataclass(frozen=True)
class Supply:
    """Workers of one queue, by state, and their slots. None: they can't be seen."""

    in_service: int | None = None
    launching: int = 0
    overdue: int = 0
    quiesced: int = 0
    draining: int = 0
    stopped: int = 0
    lost: int = 0
    stuck: int = 0
    unknown: int = 0
    slots: int | None = None
    active: int | None = None  # tasks on the workers in service, by their own word


@dataclass(frozen=True)
class Bounds:
    """How many workers there should be. `desired` and the rest by the Auto Scaling Group; None: can't be seen."""

    baseline: int | None = None
    desired: int | None = None
    maximum: int | None = None
    group: str = ""  # declared; "" for a queue nobody declared
    missing: bool = False  # the group was looked for and does not exist


@dataclass(frozen=True)
class Blind:
    """Why a kind of figure can't be seen; "" when it can."""

    work: str = ""
    workers: str = ""
    both: str = ""  # the two of them in one sentence
    bounds: str = ""


@dataclass(frozen=True)
class Facts:
    queue: str
    declared: bool
    now: datetime
    demand: Demand = field(default_factory=Demand)
    supply: Supply = field(default_factory=Supply)
    bounds: Bounds = field(default_factory=Bounds)
    blind: Blind = field(default_factory=Blind)

    @property
    def queued(self) -> int:
        return self.demand.queued or 0

    @property
    def waited_s(self) -> float:
        """How long there has been a backlog, without interruption; 0 where there is none."""
        since = self.demand.backlog_since
        return max(0.0, (self.now - since).total_seconds()) if since and self.queued else 0.0

    @property
    def free(self) -> int | None:
        if self.supply.slots is None or self.demand.running is None:
            return None
        return max(0, self.supply.slots - self.demand.running)

    @property
    def backlog(self) -> str:
        at_least = "" if self.demand.exact else "at least "
        one = f"{at_least}{count(self.queued, 'task')}"
        return f"{one} {'waits' if self.queued == 1 else 'wait'}"


@dataclass(frozen=True)
class Verdict:
    """`word` is short, for a pill; `reason` is a sentence without its full stop; `rank` orders fleets, worst first."""

    status: Status
    word: str
    reason: str
    rank: int = 0


def _no_workers(f: Facts) -> Verdict | None:
    if f.supply.in_service != 0 or not f.queued or f.waited_s < PATIENCE_S / 2:
        return None
    if f.supply.launching > f.supply.overdue:
        launching = count(f.supply.launching, "worker")
        text = f"{f.backlog} and no worker is in service; {launching} {_is(f.supply.launching)} launching"
        return Verdict(Status.DEGRADED, "launching", text, 60)
    if f.supply.unknown:
        text = f"{f.backlog}, and none of {count(f.supply.unknown, 'worker')} is known to be in service"
        return Verdict(Status.DEGRADED, "not served?", text, 70)
    return Verdict(Status.FAILING, "not served", f"{f.backlog} and no worker is in service", 100)


def _all_lost(f: Facts) -> Verdict | None:
    if f.supply.in_service != 0 or not f.supply.lost or f.supply.launching > f.supply.overdue:
        return None
    return Verdict(Status.FAILING, "all lost", f"every worker is lost ({f.supply.lost}) and none is in service", 95)


def _stuck(f: Facts) -> Verdict | None:
    if not f.supply.stuck:
        return None
    stuck = count(f.supply.stuck, "worker")
    if f.supply.in_service == 0:
        return Verdict(Status.FAILING, "stuck", f"{stuck} answer but take nothing while tasks wait: restart them", 90)
    text = f"{stuck} {_verb(f.supply.stuck, 'takes', 'take')} nothing while tasks wait: restart {_it(f.supply.stuck)}"
    return Verdict(Status.DEGRADED, f"{f.supply.stuck} stuck", text, 55)


def _lost(f: Facts) -> Verdict | None:
    if not f.supply.lost or _replaced(f):
        return None
    text = f"{count(f.supply.lost, 'worker')} {_is(f.supply.lost)} lost"
    if f.supply.launching:
        text += f"; {f.supply.launching} {_is(f.supply.launching)} launching"
    return Verdict(Status.DEGRADED, f"{f.supply.lost} lost", text, 50)


def _replaced(f: Facts) -> bool:
    """There are as many workers in service as there should be: what was lost has healed."""
    needed = max(f.bounds.baseline or 0, f.bounds.desired or 0)
    return needed > 0 and (f.supply.in_service or 0) >= needed


def _starving(f: Facts) -> Verdict | None:
    if f.waited_s < STARVING_S or f.free is None or f.free > 0 or f.supply.launching > f.supply.overdue:
        return None
    if _at_maximum(f):
        return None
    desired, in_service = f.bounds.desired, f.supply.in_service or 0
    if desired is not None and desired > in_service:
        return None
    text = f"{f.backlog}, all {count(f.supply.slots or 0, 'slot')} are taken and no worker is on the way"
    return Verdict(Status.DEGRADED, "starving", text, 48)


def _at_maximum(f: Facts) -> bool:
    most = f.bounds.maximum
    return most is not None and max(f.bounds.desired or 0, f.supply.in_service or 0) >= most


def _at_max_growing(f: Facts) -> Verdict | None:
    pace = f.demand.pace_per_s
    if not _at_maximum(f) or pace is None or f.waited_s < PATIENCE_S or pace * 60 < 0.5:
        return None
    if f.free is None or f.free > 0:
        return None
    text = (
        f"at its maximum of {count(f.bounds.maximum or 0, 'worker')}, and its backlog grows by {pace * 60:.0f} a minute"
    )
    return Verdict(Status.DEGRADED, "at its maximum", text, 46)


def _not_started(f: Facts) -> Verdict | None:
    """Slots are free and yet tasks wait: neither capacity nor pools explain it (a queued task has passed its pool)."""
    if f.waited_s < PATIENCE_S * 2 or not f.free or not f.supply.in_service or f.supply.launching > f.supply.overdue:
        return None
    if f.supply.stuck or f.demand.pace_per_s is None or f.demand.pace_per_s < 0:
        return None
    if f.demand.depth == 0 and _missing_messages(f):
        return None  # said better by the ghosts
    text = f"{f.backlog} though {count(f.free, 'slot')} {_is(f.free)} free: look at the scheduler and the broker"
    return Verdict(Status.DEGRADED, "not started", text, 45)


def _missing_messages(f: Facts) -> int:
    """Tasks that Airflow calls queued and for which no message is left in the broker."""
    d = f.demand
    if d.queued is None or d.depth is None or d.reserved is None or not d.exact:
        return 0
    return max(0, d.queued - d.depth - d.reserved)


def _ghosts(f: Facts) -> Verdict | None:
    since = f.demand.mismatch_since
    if since is None or (f.now - since).total_seconds() < GHOST_S:
        return None
    missing = _missing_messages(f)
    if missing:
        text = (
            f"Airflow counts {count(f.queued, 'queued task')}, the broker holds only {f.queued - missing}: "
            f"{count(missing, 'message')} {_verb(missing, 'was', 'were')} lost; Airflow queues "
            f"{_it(missing)} again after its own timeout"
        )
        if missing == 1:
            return Verdict(Status.DEGRADED, "1 ghost", text, 40)
        return Verdict(Status.DEGRADED, f"{missing} ghosts", text, 40)
    d = f.demand
    if d.queued is not None and d.depth is not None and d.exact and d.depth > d.queued:
        extra = d.depth - d.queued
        text = (
            f"the broker holds {count(d.depth, 'message')}, Airflow counts {count(d.queued, 'queued task')}: "
            f"{extra} {_verb(extra, 'belongs', 'belong')} to tasks that Airflow no longer waits for"
        )
        return Verdict(Status.DEGRADED, f"{extra} stale", text, 20)
    return None


def _overdue(f: Facts) -> Verdict | None:
    if not f.supply.overdue:
        return None
    n = f.supply.overdue
    text = f"{count(n, 'instance')} launched over 10 min ago and no worker has reported from {_it(n)}"
    return Verdict(Status.DEGRADED, f"{n} overdue", text, 44)


def _below_baseline(f: Facts) -> Verdict | None:
    baseline, in_service = f.bounds.baseline, f.supply.in_service
    if baseline is None or in_service is None or in_service >= baseline:
        return None
    text = f"{in_service} of {count(baseline, 'worker')} of its baseline {_is(in_service)} in service"
    if f.supply.launching:
        text += f"; {f.supply.launching} {_is(f.supply.launching)} launching"
    elif f.supply.unknown:
        text += f"; of {f.supply.unknown} it can't be said"
    return Verdict(Status.DEGRADED, "below baseline", text, 42)


def _no_group(f: Facts) -> Verdict | None:
    if not f.bounds.missing:
        return None
    return Verdict(Status.DEGRADED, "no group", f"its Auto Scaling Group {f.bounds.group} does not exist", 30)


def _unseen(f: Facts) -> Verdict | None:
    if not f.blind.both:
        return None
    word = "unknown" if f.blind.work and f.blind.workers else "partly unknown"
    return Verdict(Status.UNKNOWN, word, f.blind.both, 10)


def _undeclared(f: Facts) -> Verdict | None:
    if f.declared:
        return None
    text = "nobody declared this queue: it has no baseline, no maximum and no Auto Scaling Group here"
    return Verdict(Status.HEALTHY, "undeclared queue", text, 1)


RULES: tuple[Callable[[Facts], Verdict | None], ...] = (
    _stuck, _no_workers, _all_lost, _lost, _starving, _at_max_growing, _not_started, _overdue, _below_baseline,
    _ghosts, _no_group, _unseen, _undeclared,
)  # fmt: skip
"""By severity; the first that applies is the verdict."""


def judge_fleet(f: Facts) -> Verdict:
    """The verdict on one queue."""
    for rule in RULES:
        found = rule(f)
        if found is not None:
            return found
    return Verdict(Status.HEALTHY, _calm_word(f), _calm(f))


def _calm_word(f: Facts) -> str:
    if f.supply.launching:
        return "scaling up"
    return "draining" if f.supply.draining else "healthy"


def _calm(f: Facts) -> str:
    running, slots = f.demand.running, f.supply.slots
    said = f"{running} of {count(slots, 'slot')} in use" if running is not None and slots else "no task is running"
    if f.queued:
        said = f"{f.backlog}, {said}"
    elif running == 0:
        said = "idle"
    if f.supply.launching:
        said += f"; {count(f.supply.launching, 'worker')} {_is(f.supply.launching)} launching"
    if f.supply.lost:
        said += f"; {count(f.supply.lost, 'lost worker')} {_verb(f.supply.lost, 'has', 'have')} been replaced"
    if f.blind.bounds:
        said += f"; its group can't be seen: {f.blind.bounds}"
    return said


@dataclass(frozen=True)
class Clearing:
    """When the backlog is gone at the pace of the last minutes. `seconds` is None where that can't be said honestly."""

    seconds: float | None
    text: str
    note: str


def clears(f: Facts) -> Clearing:
    """An estimate only where the backlog has been falling: no arrival rate is made up."""
    if f.demand.queued is None:
        return Clearing(None, "unknown", f.blind.work)
    if not f.queued:
        return Clearing(0.0, "clear", "nothing waits")
    pace = f.demand.pace_per_s
    if pace is None:
        return Clearing(None, "too early", "seen for less than two minutes")
    if pace < -1 / 600:
        seconds = f.queued / -pace
        return Clearing(seconds, duration(seconds) if seconds >= 60 else "< 1 min", f"{-pace * 60:.1f} fewer a minute")
    if pace > 1 / 600:
        return Clearing(None, "growing", f"by {pace * 60:.1f} a minute")
    return Clearing(None, "not falling", "as many arrive as start")


def headline(verdicts: Iterable[tuple[str, Verdict]]) -> tuple[str, Verdict] | None:
    """The worst fleet and its verdict; None when nothing is worth saying."""
    found = [(queue, verdict) for queue, verdict in verdicts if verdict.rank > 1]
    return max(found, key=lambda pair: pair[1].rank, default=None)


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _it(number: int) -> str:
    return "it" if number == 1 else "them"


def _verb(number: int, one: str, many: str) -> str:
    return one if number == 1 else many
