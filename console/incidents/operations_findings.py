"""What is wrong with the console's own operations: one waits for a person, one can't go on, one failed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q

from console.incidents.findings import Fact, Finding, Recommended, Report, Severity
from console.lib.words import count, duration
from console.operations.models import Operation
from console.operations.pages import title_of, url_of
from console.operations.rules import ACTIVE, State

FAILED_SHOWN = timedelta(hours=12)
"""A failed operation is an open matter for so long, or until a later one on its target has succeeded."""
FAILURES = 5
"""So many ticks in a row that could neither see nor change the platform."""
OVERDUE = timedelta(seconds=60)
"""So long after it was due, nobody works on an operation: the console's worker or beat is behind."""
MOST = 50


def findings(now: datetime) -> Report:
    """Two queries."""
    active = Operation.objects.active().filter(
        Q(question__isnull=False) | Q(failures__gte=FAILURES) | Q(next_tick_at__lt=now - OVERDUE)
    )
    later = Operation.objects.filter(target=OuterRef("target"), pk__gt=OuterRef("pk")).filter(
        Q(state=State.SUCCEEDED) | Q(state__in=ACTIVE)
    )
    failed = Operation.objects.filter(
        state=State.FAILED, finished_at__gt=now - FAILED_SHOWN, finished_at__lte=now
    ).exclude(Exists(later))
    found = [one for operation in active.order_by("pk")[:MOST] for one in _active(operation, now)]
    found += [_failed(operation) for operation in failed.order_by("-pk")[:MOST]]
    return Report(tuple(found))


def _active(operation: Operation, now: datetime) -> Iterable[Finding]:
    if operation.question is not None:
        text = str(operation.question.get("text", ""))
        choices = [str(words) for _, words in operation.question.get("choices", [])]
        yield _finding(
            operation,
            kind="waits",
            detector="operation-waits",
            severity=Severity.ERROR,
            title=f"{title_of(operation)} waits for a person",
            sentence=text,
            facts=(Fact("Asks", text, "degraded"), Fact("Choices", "; ".join(choices) or "none")),
            todo="Answer its question.",
            button="Answer it…",
        )
    if operation.failures >= FAILURES:
        yield _finding(
            operation,
            kind="stuck",
            detector="operation-stuck",
            severity=Severity.ERROR,
            title=f"{title_of(operation)} can't go on",
            sentence=f"{count(operation.failures, 'look')} in a row failed: the platform can't be seen or changed.",
            facts=(Fact("Failed looks", str(operation.failures), "failing"),),
            todo="Look at its log for what fails; pause or abort it if that will last.",
            button="Look at it…",
            after_s=10.0,
        )
    late_s = (now - operation.next_tick_at).total_seconds()
    leased = operation.leased_until is not None and operation.leased_until > now
    if late_s > OVERDUE.total_seconds() and not leased:
        yield _finding(
            operation,
            kind="overdue",
            detector="operation-overdue",
            severity=Severity.CRITICAL,
            title=f"Nobody works on {title_of(operation)}",
            sentence=f"It was due {duration(late_s)} ago: the console's worker or beat is behind.",
            facts=(Fact("Due", f"{duration(late_s)} ago", "failing"),),
            todo="Look whether the console's worker and beat run.",
            button="Look at it…",
        )


def _failed(operation: Operation) -> Finding:
    return _finding(
        operation,
        kind="failed",
        detector="operation-failed",
        severity=Severity.ERROR,
        title=f"{title_of(operation)} failed",
        sentence=operation.outcome or "It says no more.",
        facts=(Fact("Outcome", operation.outcome or "failed", "failing"),),
        todo="Read its log, mend what it met, and do it again.",
        button="Look at it…",
    )


def _finding(
    operation: Operation,
    *,
    kind: str,
    detector: str,
    severity: Severity,
    title: str,
    sentence: str,
    facts: tuple[Fact, ...],
    todo: str,
    button: str,
    after_s: float = 0.0,
) -> Finding:
    asked = Fact("Asked for by", f"{operation.requested_by_name}: {operation.reason}"[:300])
    return Finding(
        key=f"operations.{kind}:{operation.pk}",
        detector=detector,
        severity=severity,
        title=title,
        sentence=sentence,
        target=f"operations/{operation.target}",
        url=url_of(operation),
        facts=(*facts, asked),
        recommended=Recommended(todo, url_of(operation), button),
        causes=(f"operations.overdue:{operation.pk}",) if kind != "overdue" else ("console.behind",),
        after_s=after_s,
    )
