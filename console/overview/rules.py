"""One sentence that names the worst thing and its remedy. Pure.

Invariants: blindness comes first, because nothing that is said beside it can be complete; a finding that can't be seen
any more is never repeated as if it were; when all is well the sentence says of what that is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby

from console.lib.status import Status, worst
from console.lib.words import listed
from console.platform.rules import Sight
from console.platform.sources import SourceSpec

SYSTEMS = {
    "airflow": "Airflow",
    "broker": "the workers' broker",
    "aws": "AWS",
    "warehouse": "the warehouse",
    "source": "the source databases",
    "console": "its own judgement of the workers",
}
ALSO = 5
STALE_S = 15.0
"""A judgement older than this says nothing of now."""


@dataclass(frozen=True)
class Blind:
    """What the console can't see: `what` as a sentence names it, `since` when that turned unknown (None: ever)."""

    what: str
    since: datetime | None
    because: str  # a clause, without a full stop
    remedy: str = ""


@dataclass(frozen=True)
class Part:
    """One thing that can be said of the platform. `title` is a finding without its full stop, `text` its reason.

    `rank` orders what is wrong, the worst highest; see `RANKS`.
    """

    section: str  # scheduler, fleets, freshness, pools, datastores, storage
    status: Status
    title: str
    text: str = ""
    remedy: str = ""
    url: str = "/"
    url_text: str = ""
    rank: int = 0


@dataclass(frozen=True)
class Headline:
    """The verdict. `sentence` is the whole of it in one; `status` the worst of all that is known."""

    status: Status
    tone: Status  # of this finding: blindness is unknown, whatever else is known
    title: str
    text: str
    remedy: str
    url: str
    url_text: str
    also: tuple[Part, ...] = ()

    @property
    def sentence(self) -> str:
        remedy = _uncapped(self.remedy.split(". ")[0].rstrip("."))
        said = f"{self.title}; {remedy}" if remedy else self.title
        return said if said.endswith("?") else f"{said}."


RANKS: Mapping[tuple[str, Status], int] = {
    ("scheduler", Status.FAILING): 100,
    ("fleets", Status.FAILING): 90,
    ("datastores", Status.FAILING): 80,
    ("freshness", Status.FAILING): 70,
    ("scheduler", Status.DEGRADED): 60,
    ("fleets", Status.DEGRADED): 50,
    ("pools", Status.DEGRADED): 40,
    ("freshness", Status.DEGRADED): 35,
    ("datastores", Status.DEGRADED): 30,
    ("storage", Status.DEGRADED): 25,
}
"""What is worse than what: without a scheduler nothing starts; then queues, what all rest on, data, and the rest."""
UNKNOWN_RANK = 10


def rank(section: str, status: Status) -> int:
    """0 when there is nothing to say."""
    if status is Status.HEALTHY:
        return 0
    return RANKS.get((section, status), UNKNOWN_RANK if status is Status.UNKNOWN else 20)


def blindness(sights: Mapping[str, Sight], specs: Iterable[SourceSpec]) -> tuple[Blind, ...]:
    """What can't be seen, a line per system, worst known first; one line for all when nothing can be seen at all."""
    known = [(spec, sights[spec.name]) for spec in specs]
    unseen = [(spec, sight) for spec, sight in known if not sight.seen]
    if len(unseen) == len(known) > 1:
        return (_blind("the whole platform", [sight for _, sight in unseen]),)
    found = []
    for system, group in groupby(sorted(unseen, key=lambda pair: pair[0].system), key=lambda pair: pair[0].system):
        sights_of = [sight for _, sight in group]
        whole = len(sights_of) == sum(spec.system == system for spec, _ in known)
        what = SYSTEMS[system] if whole else listed([sight.title for sight in sights_of])
        found.append(_blind(what, sights_of))
    order = list(SYSTEMS.values())
    return tuple(sorted(found, key=lambda one: order.index(one.what) if one.what in order else len(order)))


def _blind(what: str, sights: Sequence[Sight]) -> Blind:
    """The reason is that of an attempt that failed, where there was one: it says more than that nobody tried."""
    told = next((sight for sight in sights if sight.failing), sights[0])
    starts = [sight.since for sight in sights]
    since = None if None in starts else min(start for start in starts if start)
    remedy = told.remedy or "Look whether the console's worker, beat and watcher run."
    return Blind(what, since or told.since, told.reason.rstrip("."), remedy)


def headline(blind: Sequence[Blind], parts: Sequence[Part], now: datetime) -> Headline:
    """The verdict on the platform at `now`."""
    bad = sorted((part for part in parts if part.rank), key=lambda part: -part.rank)
    status = worst([*(part.status for part in parts), *([Status.UNKNOWN] if blind else [])])
    if blind:
        # What merely follows from blindness is not news; what is seen to be wrong is.
        rest = [_as_part(one, now) for one in blind[1:]] + [part for part in bad if part.status is not Status.UNKNOWN]
        return Headline(
            status=status,
            tone=Status.UNKNOWN,
            title=_blind_title(blind[0], now),
            text=f"What depends on it is unknown until it answers. {blind[0].remedy}".strip(),
            remedy=blind[0].remedy,
            url="/#sources",
            url_text="What is watched",
            also=_listed(rest),
        )
    if not bad:
        return Headline(status, Status.HEALTHY, *_calm(parts), "", "", "")
    first = bad[0]
    return Headline(
        status=status,
        tone=first.status,
        title=first.title,
        text=" ".join(filter(None, (first.text, first.remedy))),
        remedy=first.remedy,
        url=first.url,
        url_text=first.url_text,
        also=_listed(bad[1:]),
    )


def _listed(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The next worst, each with a reason, or with what to do where its title says the reason already."""
    return tuple(replace(part, text=part.text or part.remedy) for part in parts[:ALSO])


def _blind_title(one: Blind, now: datetime) -> str:
    since = f" since {clock(one.since, now)}" if one.since else ""
    return f"The console is blind to {one.what}{since} because {_uncapped(one.because)}"


def _as_part(one: Blind, now: datetime) -> Part:
    since = f" since {clock(one.since, now)}" if one.since else ""
    title = f"Blind to {one.what}{since}"
    return Part("sources", Status.UNKNOWN, title, f"{_capped(one.because)}.", one.remedy, "/#sources")


def _calm(parts: Sequence[Part]) -> tuple[str, str]:
    """What is known to be well. A section of which nothing is declared has no part, and no say."""
    said = [part.title for part in parts]
    if not said:
        return "Nothing is declared yet", "Declare fleets, tables and datastores in platform.yaml."
    if len(said) == 1:
        return f"All is well: {_uncapped(said[0])}", ""
    first, *rest = said
    return f"All is well: {_uncapped(first)}", f"{_capped('; '.join(_uncapped(one) for one in rest))}."


def clock(at: datetime, now: datetime) -> str:
    """`03:07`, with the day as soon as it is not today; UTC."""
    at, now = at.astimezone(UTC), now.astimezone(UTC)
    return f"{at:%H:%M}" if at.date() == now.date() else f"{at:%a} {at.day} {at:%b %H:%M}"


def _uncapped(text: str) -> str:
    """In the middle of a sentence: a capital goes, but not that of a name or of letters that stand for words."""
    first, *_ = text.split(" ", 1)
    proper = first.rstrip(",.:;'s") in {
        "Airflow",
        "Redis",
        "Redshift",
        "DMS",
        "AWS",
        "RDS",
        "ElastiCache",
        "PostgreSQL",
    }
    return text if proper or not first[1:].islower() else f"{text[:1].lower()}{text[1:]}"


def _capped(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


FLEET_REMEDIES: tuple[tuple[str, str], ...] = (
    # the end of a fleet's word, and what to do about it
    ("not served?", "Look at its workers: none is known to be in service."),
    ("not served", "Start workers: raise the desired count of its Auto Scaling Group."),
    ("all lost", "Look at its instances, and replace them."),
    ("stuck", "Restart them."),
    ("overdue", "Look at the launch of its instances."),
    ("lost", "Wait for the group to replace it; look at its tasks."),
    ("starving", "Raise the desired count of its Auto Scaling Group."),
    ("at its maximum", "Raise its maximum, or stop what need not run now."),
    ("not started", "Look at the scheduler and the broker: slots are free."),
    ("below baseline", "Look at the activities of its Auto Scaling Group."),
    ("launching", "Wait for the workers that are launching."),
    ("ghost", "Nothing to do: Airflow queues it again by itself."),
    ("ghosts", "Nothing to do: Airflow queues them again by itself."),
    ("stale", "Nothing to do: workers drop them when they take them."),
    ("no group", "Create the group, or correct its name in platform.yaml."),
)


def fleet_remedy(word: str) -> str:
    """What to do about a fleet of which the verdict is `word`; "" for one that is well."""
    return next((remedy for ending, remedy in FLEET_REMEDIES if word.endswith(ending)), "")
