"""The list of incidents with its noise, and what other pages tell of incidents: frozen values, by bounded queries.

No query but the search for words grows with the incidents that are over: they are two years' worth, in time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db import connection
from django.db.models import Q, QuerySet

from console.incidents import sql
from console.incidents.findings import Severity
from console.incidents.models import Incident, IncidentEvent, IncidentQuerySet, IncidentTally, Maintenance
from console.incidents.rules import UNRESOLVED, State
from console.incidents.sources import DETECTED
from console.lib import matching
from console.lib.kept import kept
from console.lib.words import count
from console.platform.models import Source
from console.platform.rules import Sight

PAGE = 50
WORST = 5
WINDOWS = 20
NOISE = 10
NOISE_DAYS = 30
STATES = ("unresolved", "open", "acknowledged", "snoozed", "resolved", "all")
LOOKS = {
    Severity.CRITICAL: "failing", Severity.ERROR: "failing", Severity.WARNING: "degraded", Severity.INFO: "waiting",
}  # fmt: skip
ACTED = (IncidentEvent.Kind.ACKNOWLEDGED, IncidentEvent.Kind.SNOOZED, IncidentEvent.Kind.RESOLVED)


@dataclass(frozen=True)
class Row:
    """One incident in a list. `look` is a word of the status vocabulary."""

    id: int
    name: str
    title: str
    sentence: str
    severity: str
    state: str
    look: str
    target: str
    key: str
    opened_at: datetime
    resolved_at: datetime | None
    lasted_s: float
    taken_by: str
    snoozed_until: datetime | None
    triggers: int
    folded: int
    quiet: bool

    @property
    def url(self) -> str:
        return f"/incidents/{self.id}/"

    @property
    def short_url(self) -> str:
        return f"/i/{self.id}"


_OF_ROW = (
    "pk", "title", "sentence", "severity", "state", "target", "key", "opened_at", "resolved_at", "acknowledged_by",
    "snoozed_by", "snoozed_until", "triggers", "folded", "owed",
)  # fmt: skip


def row_of(incident: Incident, now: datetime) -> Row:
    return _row(now, *(getattr(incident, name) for name in _OF_ROW))


def rows_of(incidents: IncidentQuerySet, now: datetime) -> list[Row]:
    """The rows of some incidents in their order: without what only an incident's own page shows, evidence may be long.
    One query."""
    return [_row(now, *values) for values in incidents.values_list(*_OF_ROW)]


def _row(
    now: datetime,
    pk: int,
    title: str,
    sentence: str,
    severity: str,
    state: str,
    target: str,
    key: str,
    opened_at: datetime,
    resolved_at: datetime | None,
    acknowledged_by: str,
    snoozed_by: str,
    snoozed_until: datetime | None,
    triggers: int,
    folded: int,
    owed: bool,
) -> Row:
    resolved = state == State.RESOLVED
    return Row(
        id=pk,
        name=f"INC-{pk}",
        title=title,
        sentence=sentence,
        severity=severity,
        state=state,
        look="healthy" if resolved else LOOKS[Severity(severity)],
        target=target,
        key=key,
        opened_at=opened_at,
        resolved_at=resolved_at,
        lasted_s=max(0.0, ((resolved_at or now) - opened_at).total_seconds()),
        taken_by=acknowledged_by or (snoozed_by if state == State.SNOOZED else ""),
        snoozed_until=snoozed_until,
        triggers=triggers,
        folded=folded,
        quiet=owed and not resolved,
    )


@dataclass(frozen=True)
class Noise:
    """What one key cost in the last days: how often it told somebody, and how often somebody did something."""

    key: str
    title: str
    pages: int
    incidents: int
    acted: int
    last_at: datetime

    @property
    def said(self) -> str:
        if not self.acted:
            return "nobody did anything"
        return f"acted upon {self.acted} of {self.incidents} times"

    @property
    def url(self) -> str:
        return f"/incidents/?{urlencode({'state': 'all', 'q': self.key})}"


@dataclass(frozen=True)
class Choice:
    """One word of a filter and where it leads."""

    word: str
    value: str
    count: int | None
    url: str
    current: bool


@dataclass(frozen=True)
class Filters:
    """What the address asks for."""

    state: str = "unresolved"
    severity: str = ""
    section: str = ""
    q: str = ""
    before: int | None = None

    def address(self, **other: str) -> str:
        wanted = {"state": self.state, "severity": self.severity, "section": self.section, "q": self.q} | other
        wanted["state"] = wanted["state"] if wanted["state"] != "unresolved" else ""
        return "?" + urlencode({name: value for name, value in wanted.items() if value})

    @property
    def states(self) -> tuple[str, ...] | None:
        """None: any."""
        return {"all": None, "unresolved": UNRESOLVED}.get(self.state, (self.state,))

    def takes(self, severity: str, section: str) -> bool:
        """Whether an incident of this severity in this section is among them, as far as these say."""
        return self.severity in ("", severity) and self.section in ("", section)

    @property
    def narrowed(self) -> bool:
        return bool(self.severity or self.section or self.q)


@dataclass(frozen=True)
class ListPage:
    headline: str
    text: str
    rows: tuple[Row, ...]
    states: tuple[Choice, ...]
    sections: tuple[str, ...]
    severities: tuple[str, ...]
    filters: Filters
    earlier: str
    export: str
    noise: tuple[Noise, ...]
    noise_said: str
    windows: tuple[Maintenance, ...]
    sight: Sight
    every_s: float = DETECTED.interval_s
    noise_days: int = NOISE_DAYS


def read(query: Mapping[str, str]) -> Filters:
    """The filters of an address; words that nobody offers are ignored."""
    state, severity = query.get("state", ""), query.get("severity", "")
    before = query.get("before", "")
    return Filters(
        state=state if state in STATES else "unresolved",
        severity=severity if severity in set(Severity) else "",
        section=query.get("section", "")[:40].replace("\x00", ""),
        q=query.get("q", "").replace("\x00", "").strip()[:200],
        before=int(before) if before.isascii() and before.isdigit() and len(before) < 18 else None,
    )


def chosen(filters: Filters, *, state: bool = True) -> IncidentQuerySet:
    """The incidents that the filters ask for, the newest first."""
    found = Incident.objects.order_by("-pk")
    if filters.severity:
        found = found.filter(severity=filters.severity)
    if filters.section:
        found = found.filter(section=filters.section)
    if filters.q:
        words = Q(title__icontains=filters.q) | Q(key__icontains=filters.q) | Q(target__icontains=filters.q)
        found = found.filter(words | Q(sentence__icontains=filters.q))
    if state and filters.states is not None:
        found = found.filter(state__in=filters.states)
    return found


@kept
def _tally() -> QuerySet[IncidentTally, tuple[str, str, str, int]]:
    return IncidentTally.objects.filter(number__gt=0).values_list("state", "severity", "section", "number")


@kept
def _newest_unresolved() -> QuerySet[Incident, tuple[Any, ...]]:
    return Incident.objects.unresolved().order_by("-pk").values_list(*_OF_ROW)[: PAGE + 1]


def newest_unresolved(now: datetime) -> list[Row]:
    """A page of the incidents that are not over, the newest first, and one more. One query."""
    return [_row(now, *values) for values in _newest_unresolved()]


def unresolved_number() -> int:
    """How many incidents are not over. One query."""
    return _by_state((state, number) for state, _, _, number in _tally())["unresolved"]


@kept
def _windows(now: datetime) -> QuerySet[Maintenance]:
    return Maintenance.objects.filter(ends_at__gt=now, cancelled_at=None).order_by("starts_at")[:WINDOWS]


def list_page(now: datetime, query: Mapping[str, str]) -> ListPage:
    """The page `/incidents/` as its address asks for it. Five queries, a sixth where words are looked for."""
    filters = read(query)
    tally = _tally()
    everywhere = _by_state((state, number) for state, _, _, number in tally)
    counts = _by_state((state, number) for state, *kind, number in tally if filters.takes(*kind))
    if filters == Filters():  # what is looked at most
        rows = newest_unresolved(now)
    elif filters.q:
        by_state, page = matching.look(chosen(filters, state=False), filters.states, filters.before, PAGE + 1)
        counts = _by_state(by_state.items())
        rows = rows_of(Incident.objects.filter(pk__in=page).order_by("-pk"), now) if page else []
    elif counts[filters.state]:  # else every one would be looked at for nothing
        found = chosen(filters)
        rows = rows_of((found.filter(pk__lt=filters.before) if filters.before else found)[: PAGE + 1], now)
    else:
        rows = []
    noise = _noise(now)
    return ListPage(
        headline=_headline(everywhere["unresolved"], everywhere[State.OPEN]),
        text="Each stays open until it is seen to be over. Dependent findings are part of their cause.",
        rows=tuple(rows[:PAGE]),
        states=tuple(_choice(filters, state, counts) for state in STATES),
        sections=tuple(sorted({section for _, _, section, _ in tally})),
        severities=tuple(Severity),
        filters=filters,
        earlier=filters.address(before=str(rows[PAGE - 1].id)) if len(rows) > PAGE else "",
        export=f"/incidents/export.csv{filters.address()}",
        noise=noise,
        noise_said=_noise_said(noise),
        windows=tuple(_windows(now)),
        sight=Source.objects.sights(now, [DETECTED])[DETECTED.name],
    )


def _by_state(rows: Iterable[tuple[str, int]]) -> Counter[str]:
    """How many of each state, of those that are not over, and of all."""
    counts: Counter[str] = Counter()
    for state, number in rows:
        counts[state] += number
    return counts + Counter({"unresolved": sum(counts[state] for state in UNRESOLVED), "all": counts.total()})


def _choice(filters: Filters, state: str, counts: Mapping[str, int]) -> Choice:
    words = {"unresolved": "Not over", "all": "All"}
    url = filters.address(state=state) if state != "unresolved" else filters.address(state="")
    return Choice(words.get(state, state.capitalize()), state, counts[state], url, filters.state == state)


def _headline(unresolved: int, waiting: int) -> str:
    if not unresolved:
        return "No incident is open"
    text = f"{count(unresolved, 'incident')} {'is' if unresolved == 1 else 'are'} not over"
    if waiting:
        return f"{text}, {waiting} {'waits' if waiting == 1 else 'wait'} for somebody"
    return f"{text}, somebody has {'it' if unresolved == 1 else 'each'} in hand"


def _noise(now: datetime) -> tuple[Noise, ...]:
    """Which key told most, and whether anybody did anything about it. One query."""
    since = now - timedelta(days=NOISE_DAYS)
    with connection.cursor() as cursor:
        cursor.execute(sql.NOISE, {"since": since, "most": NOISE, "acted": [str(kind) for kind in ACTED]})
        return tuple(Noise(*row) for row in cursor.fetchall())


def _noise_said(noise: tuple[Noise, ...]) -> str:
    if not noise:
        return f"Nobody was told of anything in {NOISE_DAYS} days."
    first = noise[0]
    return f"{first.key} told most: {count(first.pages, 'page')}, {first.said}."


@dataclass(frozen=True)
class Flagged:
    """What the navigation says: how many are not over, and whether one of them is bad and in nobody's hands."""

    number: int
    bad: bool


@kept
def _unresolved() -> QuerySet[Incident, tuple[str, str]]:
    return Incident.objects.unresolved().values_list("state", "severity")


def flagged() -> Flagged:
    """One query."""
    rows = _unresolved()
    bad = any(state == State.OPEN and severity in (Severity.CRITICAL, Severity.ERROR) for state, severity in rows)
    return Flagged(len(rows), bad)


@kept
def _worst() -> QuerySet[Incident, tuple[Any, ...]]:
    return Incident.objects.unresolved().worst_first().values_list(*_OF_ROW)[:WORST]


def open_rows(now: datetime) -> tuple[Row, ...]:
    """The incidents that are not over, the worst and newest first, for the overview: a few of them. One query."""
    return tuple(_row(now, *values) for values in _worst())
