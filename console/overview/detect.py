"""All sections' findings, and the console's own blindness, joined and settled: what the incidents are made of."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from django.utils import timezone

from console.datastores.findings import findings as of_datastores
from console.fleets.findings import findings as of_fleets
from console.fleets.models import Watch
from console.fleets.sources import JUDGED
from console.freshness.findings import findings as of_freshness
from console.incidents.findings import Fact, Finding, Recommended, Report, Severity, joined
from console.incidents.operations_findings import findings as of_operations
from console.incidents.rules import Changes
from console.incidents.sources import DETECTED
from console.incidents.store import settle
from console.lib.words import count, duration, listed
from console.overview.rules import SYSTEMS, Blind, blindness
from console.platform.models import Source, remember_success
from console.platform.rules import Sight
from console.platform.sources import SOURCES
from console.pools.findings import findings as of_pools
from console.scheduler.findings import findings as of_scheduler
from console.storage.findings import findings as of_storage

log = logging.getLogger(__name__)

Look = Callable[[datetime], Report]
LOOKS: Mapping[str, Look] = {
    "scheduler": of_scheduler,
    "fleets": of_fleets,
    "freshness": of_freshness,
    "pools": of_pools,
    "datastores": of_datastores,
    "storage": of_storage,
    "operations": of_operations,
}
SITES = "/#sources"
BEHIND = 5
"""A poll that nobody has begun for so many of its intervals is behind."""
BEHIND_LEAST_S = 30.0
WATCH_S = 30.0
"""So long without a note from the watcher, nobody listens to the workers' heartbeats."""
NEVER_S = 60.0
"""What has never been read is given so long: the console has only just begun."""
PART_S = 45.0
"""The readings of a system that goes away turn unknown one after the other: told once, as a whole."""
DAMAGE = {"airflow": Severity.CRITICAL, "broker": Severity.CRITICAL}


def detect(now: datetime) -> Changes | None:
    """Look at everything, and make the incidents of it. None: another process is at it."""
    changes = settle(report(now), now)
    if changes is not None:
        remember_success(DETECTED.name, now, (timezone.now() - now).total_seconds())
    return changes


def report(now: datetime, looks: Mapping[str, Look] = LOOKS) -> Report:
    """What is found at `now`. A section whose look fails is unseen, and that is a finding of its own."""
    return joined([_guarded(section, look, now) for section, look in looks.items()] + [_guarded("console", own, now)])


def _guarded(section: str, look: Look, now: datetime) -> Report:
    try:
        return look(now)
    except Exception as error:  # one section must not hide the others
        log.exception("the findings of %s failed", section)
        failed = Finding(
            key=f"console.look:{section}",
            detector="console-behind",
            severity=Severity.ERROR,
            title=f"The console can't judge {section}",
            sentence=f"It failed while it looked ({type(error).__name__}); its log has the cause.",
            target=f"console/{section}",
            url=SITES,
            recommended=Recommended("Look for the traceback in the log of the console's worker.", SITES, "Look"),
            after_s=30.0,
            own=True,
        )
        return Report((failed,), frozenset({f"{section}."} - {"console."}) | _hidden(section))


def _hidden(section: str) -> frozenset[str]:
    return frozenset({"console.blind:", "console.behind", "console.watch"}) if section == "console" else frozenset()


def own(now: datetime) -> Report:
    """The console's own sight and health. Two queries."""
    rows = {row.name: row for row in Source.objects.all()}
    sights = Source.objects.sights(now, [*SOURCES.values(), JUDGED])
    found = [_blind(one, sights) for one in blindness(sights, SOURCES.values())]
    attempts = {name: row.attempted_at for name, row in rows.items()}
    found += _behind(attempts, sights[JUDGED.name], now)
    found += _watch(Watch.objects.first(), now)
    return Report(tuple(found))


def _blind(one: Blind, sights: Mapping[str, Sight]) -> Finding:
    """One system, in part or as a whole: the key is the system's, so that what grows stays one incident."""
    everything = one.what == "the whole platform"
    whole = next((name for name, words in SYSTEMS.items() if words == one.what), "")
    part = next((spec.system for spec in SOURCES.values() if spec.title in one.what), "")
    word = "all" if everything else whole or part or "part"
    hidden = [sight for name, sight in sights.items() if not sight.seen and (everything or _system(name) == word)]
    since = f" since {one.since:%H:%M} UTC" if one.since else ""
    return Finding(
        key=f"console.blind:{word}",
        detector="console-blind",
        severity=Severity.CRITICAL if everything else DAMAGE.get(whole, Severity.ERROR),
        title=f"The console is blind to {one.what}",
        sentence=f"It can't be seen{since}: {one.because}. What depends on it is unknown.",
        target=f"console/{word}",
        url=SITES,
        facts=tuple(Fact(sight.title, sight.reason, "unknown") for sight in hidden[:12]),
        recommended=Recommended(one.remedy or "Look at what is watched.", SITES, "Look at what is watched"),
        causes=("console.behind", "console.blind:all"),
        after_s=NEVER_S if one.since is None else 10.0 if everything or whole else PART_S,
        own=True,
    )


def _system(source: str) -> str:
    return SOURCES[source].system if source in SOURCES else ""


def _behind(attempts: Mapping[str, datetime | None], judged: Sight, now: datetime) -> Iterable[Finding]:
    """Polls that nobody begins: the worker, or beat, is dead or overloaded."""
    late = []
    for spec in SOURCES.values():
        at = attempts.get(spec.name)
        limit_s = max(BEHIND * spec.interval_s, BEHIND_LEAST_S)
        if spec.task and at is not None and (now - at).total_seconds() > limit_s:
            late.append(Fact(spec.title, f"asked for {duration((now - at).total_seconds())} ago", "failing"))
    if not judged.seen and judged.as_of is not None:
        late.append(Fact(judged.title, judged.reason, "failing"))
    if late:
        names = listed([fact.label for fact in late])
        yield Finding(
            key="console.behind",
            detector="console-behind",
            severity=Severity.CRITICAL,
            title=f"The console is behind: {count(len(late), 'poll')} not begun",
            sentence=f"Nobody has asked for {names} in time: the console's worker or beat is dead or overloaded.",
            target="console/worker",
            url=SITES,
            facts=tuple(late[:12]),
            recommended=Recommended(
                "Look whether the console's worker and beat run, and at their logs.", SITES, "Look"
            ),
            after_s=15.0,
            own=True,
        )


def _watch(watch: Watch | None, now: datetime) -> Iterable[Finding]:
    """The watcher writes down every second or two that it listens."""
    if watch is None or watch.noted_at is None:
        return
    age_s = (now - watch.noted_at).total_seconds()
    if age_s > WATCH_S:
        yield Finding(
            key="console.watch",
            detector="console-behind",
            severity=Severity.ERROR,
            title="Nobody listens to the workers' heartbeats",
            sentence=f"The watcher has written nothing for {duration(age_s)}: it is dead, or the broker is away.",
            target="console/watch",
            url=SITES,
            facts=(Fact("Last note", f"{duration(age_s)} ago by {watch.holder or 'nobody'}", "failing"),),
            recommended=Recommended("Look whether `manage.py watch` runs, and at its log.", SITES, "Look"),
            causes=("console.blind:broker", "console.blind:all"),
            after_s=15.0,
            own=True,
        )
