"""The delivery log of an incident: who was told what, when, and what they answered. For its page and the API."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from ninja import Schema

from console.incidents.models import Delivery, Page, PageAttempt
from console.incidents.rules import Action, Why
from console.lib.kept import kept

_TITLES = {
    Action.TRIGGER: "Told",
    Action.ACKNOWLEDGE: "Told that somebody looks after it",
    Action.RESOLVE: "Told that it is over",
}
_WHY = {Why.RAISED: "it is worse", Why.WOKE: "the snooze has ended", Why.QUIET_ENDED: "the maintenance has ended"}


@dataclass(frozen=True)
class AttemptLine:
    """One attempt. `took_s` None: it is under way, or its executor ended. `text`: the receiver's word, or the fault."""

    at: datetime
    pager: str
    ok: bool
    maybe_taken: bool
    text: str
    took_s: float | None


@dataclass(frozen=True)
class PageLine:
    """One message to one pager. `next_attempt_at` is None once it is finished; `pager` is "" until it is routed."""

    action: str
    why: str
    title: str
    pager: str
    state: str  # queued, delivered, failed, superseded
    created_at: datetime
    finished_at: datetime | None
    next_attempt_at: datetime | None
    attempts: tuple[AttemptLine, ...]

    @property
    def status(self) -> str:
        """A word of the vocabulary."""
        if self.state == Delivery.QUEUED:
            return "retrying" if self.attempts else "queued"
        return {"delivered": "succeeded", "failed": "failed"}.get(self.state, "cancelled")

    @property
    def word(self) -> str:
        if self.state == Delivery.SUPERSEDED:
            return "not needed" if self.pager else "nobody to tell"
        return {"succeeded": "delivered", "retrying": "trying again", "queued": "waiting"}.get(self.status, self.status)

    @property
    def last(self) -> str:
        """What the last attempt came to; "" where there was none."""
        return self.attempts[-1].text if self.attempts else ""


class AttemptOut(Schema):
    """`ok` false and `maybe_taken` true: the answer was lost, so the receiver may have it; it is sent again."""

    at: datetime
    pager: str
    ok: bool
    maybe_taken: bool
    text: str
    took_s: float | None


class PageOut(Schema):
    """One message of an incident to one pager: `state` is queued, delivered, failed or superseded."""

    action: str
    why: str
    pager: str
    state: str
    created_at: datetime
    finished_at: datetime | None
    next_attempt_at: datetime | None
    attempts: list[AttemptOut]


@kept
def _pages(incidents: list[int]) -> QuerySet[Page]:
    return Page.objects.filter(incident__in=incidents).order_by("incident", "sequence", "pk")


@kept
def _attempts(pages: list[int]) -> QuerySet[PageAttempt]:
    return PageAttempt.objects.filter(page__in=pages)


def page_logs(incidents: Iterable[int]) -> dict[int, tuple[PageLine, ...]]:
    """The delivery log of each incident, oldest first, in two queries."""
    rows = _pages(list(incidents))
    attempts: dict[int, list[AttemptLine]] = defaultdict(list)
    for one in _attempts([row.pk for row in rows]) if rows else ():
        attempts[one.page_id].append(AttemptLine(one.at, one.pager, one.ok, one.maybe_taken, one.text, one.took_s))
    logs: dict[int, list[PageLine]] = defaultdict(list)
    for row in rows:
        queued = row.state == Delivery.QUEUED
        logs[row.incident_id].append(
            PageLine(
                action=row.action,
                why=row.why,
                title=_title(row),
                pager=row.pager or "",
                state=row.state,
                created_at=row.created_at,
                finished_at=row.finished_at,
                next_attempt_at=row.next_attempt_at if queued else None,
                attempts=tuple(attempts[row.pk]),
            )
        )
    return {pk: tuple(lines) for pk, lines in logs.items()}


def _title(row: Page) -> str:
    if row.action == Action.TRIGGER and row.level:
        return "Told again: nobody has acknowledged it"
    reason = _WHY.get(Why(row.why)) if row.why else None
    return f"Told again: {reason}" if reason else _TITLES[Action(row.action)]
