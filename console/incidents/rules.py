"""From findings to incidents and pages: what opens, what changes, what is over, who is told. Pure.

Invariants: at most one open incident per key; a finding that can't be seen resolves nothing; the same findings at the
same moment change nothing; an incident is told when it opens, when it gets worse, when its snooze ends, and again while
nobody has acknowledged it, and never after it was resolved; what is silenced is told as soon as the silence ends; the
console's own blindness is never silenced by a window.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from console.incidents.findings import Finding, Report, Severity, worst

CLEAR_S = 15.0
"""So long must a finding be seen to be gone before its incident is over."""
FLAP_WINDOW_S = 600.0
FLAPS = 3
"""Gone and back within the window is flapping: from then on it must be gone for a whole window. So any window of ten
minutes holds at most two openings of one key, however often its signal changes."""
LINGER_S = 600.0
"""An incident whose cause is over stays open so long for what followed from it to recover."""
DISMISSED_S = 4 * 3600.0
"""A finding that a person resolved while it could still be seen is left alone for so long, unless it gets worse."""
REPAGE_S: Mapping[Severity, float] = {Severity.CRITICAL: 600.0, Severity.ERROR: 1800.0}
"""Told again after so long while nobody acknowledges it. Warnings are told once."""


class State(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


UNRESOLVED = (State.OPEN, State.ACKNOWLEDGED, State.SNOOZED)


class Action(StrEnum):
    """What a page tells the other end."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


class Why(StrEnum):
    """Why a trigger is due: kept with the page."""

    OPENED = "opened"
    RAISED = "raised"
    WOKE = "woke"
    QUIET_ENDED = "quiet_ended"
    REPEATED = "repeated"


@dataclass(frozen=True)
class Signal:
    """The memory of one key. `present`: as last seen; `since`: when that changed; `clear_from`: seen to be gone
    without interruption from then on; `changes`: when it came or went, within the window; `dismissed`: the severity at
    which a person resolved it while it was there.
    """

    key: str
    present: bool
    since: datetime
    clear_from: datetime | None = None
    changes: tuple[datetime, ...] = ()
    dismissed: Severity | None = None
    dismissed_at: datetime | None = None


@dataclass(frozen=True)
class Held:
    """An incident that is not over. `paged_at`: when it was last told (None: never). `owed`: a window keeps quiet what
    should have been told."""

    key: str
    state: State
    severity: Severity
    target: str
    opened_at: datetime
    own: bool = False
    snoozed_until: datetime | None = None
    paged_at: datetime | None = None
    owed: bool = False
    repage_s: float | None = None  # a route's own interval, in place of REPAGE_S


@dataclass(frozen=True)
class Window:
    """Announced work on some targets: `fleets/cpu`, `fleets` (all of them), `*`."""

    id: int
    targets: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime

    def covers(self, target: str, now: datetime) -> bool:
        return self.starts_at <= now < self.ends_at and any(matches(one, target) for one in self.targets)


def matches(pattern: str, target: str) -> bool:
    """`fleets` matches `fleets/cpu`, `*` everything; `fleets/c` does not match `fleets/cpu`."""
    return pattern in ("*", target) or target.startswith(f"{pattern.rstrip('/')}/")


@dataclass(frozen=True)
class Opening:
    finding: Finding
    severity: Severity
    children: tuple[Finding, ...]
    page: Why | None
    quiet: int | None  # the window that keeps it quiet


@dataclass(frozen=True)
class Keeping:
    """What an open incident is now. `finding` None: nothing new is seen of it. `page`: tell it, and why."""

    key: str
    finding: Finding | None
    state: State
    severity: Severity
    children: tuple[Finding, ...] | None
    page: Why | None
    owed: bool


@dataclass(frozen=True)
class Ending:
    """It is over: `why` is a sentence. `into` is the key of the incident it is a part of from now on."""

    key: str
    why: str
    into: str = ""


@dataclass(frozen=True)
class Changes:
    opened: tuple[Opening, ...] = ()
    kept: tuple[Keeping, ...] = ()
    ended: tuple[Ending, ...] = ()
    signals: Mapping[str, Signal | None] = field(default_factory=dict)  # those that changed; None: forget it


def sensed(before: Signal | None, key: str, present: bool | None, now: datetime) -> Signal | None:
    """The memory of a key after a look. `present` None: it can't be seen. None: there is nothing to remember."""
    if before is None:
        return Signal(key, True, now, None, (now,)) if present else None
    recent = tuple(at for at in before.changes if (now - at).total_seconds() < FLAP_WINDOW_S)
    if present is None:
        return replace(before, clear_from=None) if before.present is False and before.clear_from else before
    if present:
        if before.present:
            return before
        return replace(before, present=True, since=now, clear_from=None, changes=(*recent, now))
    if before.present:
        return replace(before, present=False, since=now, clear_from=now, changes=(*recent, now))
    if before.clear_from is None:
        return replace(before, clear_from=now)
    if not recent and (now - before.clear_from).total_seconds() >= FLAP_WINDOW_S:
        return None
    dismissed = None if (now - before.clear_from).total_seconds() >= CLEAR_S else before.dismissed
    return before if dismissed == before.dismissed else replace(before, dismissed=None, dismissed_at=None)


def flapping(signal: Signal, now: datetime) -> bool:
    """It came, went and came again within the window."""
    return sum((now - at).total_seconds() < FLAP_WINDOW_S for at in signal.changes) >= FLAPS


def clear_after_s(signal: Signal, now: datetime) -> float:
    """How long it must be seen to be gone before it is over."""
    # The changes leave the window one by one: what flapped when it went stays flapping until it was gone for all of it.
    went = signal.clear_from or now
    return FLAP_WINDOW_S if flapping(signal, min(now, went)) else CLEAR_S


def closes_at(signal: Signal, now: datetime) -> datetime | None:
    """When what is seen to be gone is over, if it stays so; None while it is there, or can't be seen."""
    if signal.present or signal.clear_from is None:
        return None
    return signal.clear_from + timedelta(seconds=clear_after_s(signal, now))


@dataclass(frozen=True)
class Folded:
    """`roots` stand for themselves; `children` are part of an incident, by its key; `into` is the way back."""

    roots: Mapping[str, Finding]
    children: Mapping[str, tuple[Finding, ...]]
    into: Mapping[str, str]


def fold(findings: Mapping[str, Finding], active: Collection[str]) -> Folded:
    """What is part of what. `active` are keys of incidents that are open: what they caused is still theirs."""
    into = {key: root for key in sorted(findings) if (root := _root(key, findings, active)) != key}
    children: dict[str, list[Finding]] = {}
    for key, root in into.items():
        children.setdefault(root, []).append(findings[key])
    roots = {key: finding for key, finding in findings.items() if key not in into}
    return Folded(roots, {root: tuple(found) for root, found in children.items()}, into)


def _root(key: str, findings: Mapping[str, Finding], active: Collection[str]) -> str:
    """Follow causes to the last one; a circle has no cause and is left as it is."""
    at, seen = key, {key}
    while (finding := findings.get(at)) is not None:
        # Blindness is only a part of other blindness, so that no window over something else can hide it.
        known = [one for one in finding.causes if one in findings or one in active]
        if finding.own:
            known = [one for one in known if one.startswith("console.")]
        if not known:
            break
        if known[0] in seen:
            return key
        at = known[0]
        seen.add(at)
    return at


def reconcile(
    report: Report,
    memory: Mapping[str, Signal],
    held: Mapping[str, Held],
    windows: Iterable[Window],
    now: datetime,
) -> Changes:
    """What to change so that the incidents are what was found at `now`."""
    windows = tuple(windows)
    found = _unique(report.findings)
    signals: dict[str, Signal] = {}
    changed: dict[str, Signal | None] = {}
    for key in sorted({*found, *memory, *held}):
        before = memory.get(key)
        if before is None and key in held:  # the memory of an open incident was lost
            before = Signal(key, True, held[key].opened_at)
        present = True if key in found else None if report.hides(key) else False
        after = sensed(before, key, present, now)
        if after is None and key in held:  # not forgotten before the incident is over
            after = before
        if after is not None:
            after = _undismissed(after, found.get(key), now)
            signals[key] = after
        if after != memory.get(key):
            changed[key] = after
    dismissed = {key for key, one in signals.items() if one.dismissed and key not in held}
    folded, over = _settled(
        {key: finding for key, finding in found.items() if key not in dismissed}, held, report, signals, now
    )
    opened, kept, ended = [], [], []
    for key, incident in held.items():
        finding, parts = folded.roots.get(key), folded.children.get(key, ())
        if key in folded.into:
            ended.append(Ending(key, "It is part of another incident.", into=folded.into[key]))
        elif key in over:
            ended.append(Ending(key, "It is seen to be over."))
        else:
            unseen = finding is None and report.hides(key)
            kept.append(_kept(incident, finding, None if unseen and not parts else parts, windows, now))
    for key, finding in folded.roots.items():
        parts = folded.children.get(key, ())
        # A cause opens when its patience ends, or that of what follows from it, or when it takes over what is open.
        if key in held or not any(one.key in held or _due(one, signals, now) for one in (finding, *parts)):
            continue
        masked = any(one in found or (one in held and one not in over) for one in finding.masked_by)
        if masked and not any(part.key in held for part in parts):
            continue
        quiet = _quiet(finding.target, finding.own, windows, now)
        severity = worst([finding.severity, *(part.severity for part in parts)])
        opened.append(Opening(finding, severity, parts, None if quiet else Why.OPENED, quiet.id if quiet else None))
    return Changes(tuple(opened), tuple(one for one in kept if one is not None), tuple(ended), changed)


def _settled(
    found: Mapping[str, Finding],
    held: Mapping[str, Held],
    report: Report,
    signals: Mapping[str, Signal],
    now: datetime,
) -> tuple[Folded, frozenset[str]]:
    """What is part of what, and which incidents are over. What followed from one that is over stands for itself."""
    over: frozenset[str] = frozenset()
    while True:
        folded = fold(found, held.keys() - over)
        ends = over | {
            key
            for key in held.keys() - over
            if key not in found and _over(signals.get(key), report.hides(key), key in folded.children, now)
        }
        if ends == over or not any(key in folded.children for key in ends):
            return folded, ends
        over = ends


def _due(finding: Finding, signals: Mapping[str, Signal], now: datetime) -> bool:
    """Whether it has lasted as long as it must before anybody is told."""
    return (now - signals[finding.key].since).total_seconds() >= finding.after_s


def _unique(findings: Iterable[Finding]) -> dict[str, Finding]:
    found: dict[str, Finding] = {}
    for one in findings:
        if one.key not in found or found[one.key].severity.weight < one.severity.weight:
            found[one.key] = one
    return found


def _undismissed(signal: Signal, finding: Finding | None, now: datetime) -> Signal:
    """A person's word holds until the finding goes, gets worse, or for some hours."""
    if signal.dismissed is None:
        return signal
    worse = finding is not None and finding.severity.weight > signal.dismissed.weight
    old = signal.dismissed_at is None or (now - signal.dismissed_at).total_seconds() >= DISMISSED_S
    return replace(signal, dismissed=None, dismissed_at=None) if worse or old else signal


def _over(signal: Signal | None, hidden: bool, has_parts: bool, now: datetime) -> bool:
    if hidden or signal is None or signal.clear_from is None:
        return False
    clear_s = (now - signal.clear_from).total_seconds()
    if has_parts and clear_s < LINGER_S:
        return False
    return clear_s >= clear_after_s(signal, now)


def _quiet(target: str, own: bool, windows: Iterable[Window], now: datetime) -> Window | None:
    return None if own else next((one for one in windows if one.covers(target, now)), None)


def tended(it: Held, windows: Iterable[Window], now: datetime, finding: Finding | None = None) -> Keeping | None:
    """What time, and what its sender says, do to an incident that another system opened; None: nothing."""
    return _kept(it, finding, None, tuple(windows), now)


def _kept(
    it: Held,
    finding: Finding | None,
    children: tuple[Finding, ...] | None,
    windows: Iterable[Window],
    now: datetime,
) -> Keeping | None:
    """What becomes of an open incident; None where there is nothing to say of it."""
    severities = [part.severity for part in children or ()] + ([finding.severity] if finding else [])
    severity = worst([it.severity, *severities])  # an incident never gets milder while it is open
    raised = severity.weight > it.severity.weight
    woke = it.state is State.SNOOZED and (it.snoozed_until is None or it.snoozed_until <= now)
    state = State.OPEN if raised or woke else it.state
    owed = it.owed or raised or woke
    why: Why | None = None
    if state is State.OPEN and _quiet(it.target, it.own, windows, now) is None:
        if owed:
            why = Why.RAISED if raised else Why.WOKE if woke else Why.QUIET_ENDED
        elif it.paged_at is None or _again(it.repage_s or REPAGE_S.get(severity), it.paged_at, now):
            why = Why.REPEATED
    if finding is None and children is None and why is None and state is it.state:
        return None
    return Keeping(it.key, finding, state, severity, children, why, owed and why is None)


def _again(every_s: float | None, paged_at: datetime, now: datetime) -> bool:
    return every_s is not None and (now - paged_at).total_seconds() >= every_s
