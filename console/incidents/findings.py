"""What a section says to the incidents: its findings, and what it can't see. Pure; sections import this and no more.

A key is stable: it names the kind of fault and the thing, `fleets.starving:cpu`, never a figure. It begins with the
section's name and a dot, so that a section, or one of its kinds, can be called unseen by a prefix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad, in PagerDuty's words. Critical wakes somebody up; info is only written down."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def weight(self) -> int:
        return _WEIGHTS[self]


_WEIGHTS = {Severity.CRITICAL: 4, Severity.ERROR: 3, Severity.WARNING: 2, Severity.INFO: 1}


def worst(severities: Iterable[Severity]) -> Severity:
    return max(severities, key=lambda one: one.weight, default=Severity.INFO)


@dataclass(frozen=True)
class Fact:
    """One line of evidence. `status` is a word of the vocabulary: it gives the icon; "" for a plain figure."""

    label: str
    value: str
    status: str = ""


@dataclass(frozen=True)
class Recommended:
    """What to do: one sentence, and where its button leads (a preflight with its parameters filled in, or a page).

    `operation` is the kind of operation behind the button, "" where the console can't do it by itself.
    """

    text: str
    url: str = ""
    button: str = ""
    operation: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """Something that is wrong now.

    `detector` names the kind of fault and its runbook (`docs/runbooks/DETECTOR.md`). `target` is what it is about, with
    the section before it: `fleets/cpu`; maintenance windows and routes match on it. `impact` names what suffers from
    it. `causes` are keys: while one of them is found or open, this finding is part of that incident. `masked_by` are
    keys too: while one of those is found or open, this one does not open, and it does not keep that one open either.
    `after_s` is how long it must last before anybody is told. `own` is the console's own blindness, which no window
    silences.
    `series` are names of time series that show it.
    """

    key: str
    detector: str
    severity: Severity
    title: str  # without a full stop
    sentence: str
    target: str
    url: str = "/"
    facts: tuple[Fact, ...] = ()
    impact: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    recommended: Recommended | None = None
    causes: tuple[str, ...] = ()
    masked_by: tuple[str, ...] = ()
    after_s: float = 0.0
    own: bool = False

    @property
    def section(self) -> str:
        return self.target.partition("/")[0]


@dataclass(frozen=True)
class Report:
    """All that one look found. `unseen` are prefixes of keys of which nothing can be said now."""

    findings: tuple[Finding, ...] = ()
    unseen: frozenset[str] = frozenset()

    def hides(self, key: str) -> bool:
        return any(key.startswith(prefix) for prefix in self.unseen)


def joined(reports: Sequence[Report]) -> Report:
    """Several looks as one."""
    return Report(
        tuple(finding for report in reports for finding in report.findings),
        frozenset[str]().union(*(report.unseen for report in reports)),
    )
