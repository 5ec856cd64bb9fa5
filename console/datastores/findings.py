"""What is wrong with the datastores, for the incidents."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from console.datastores.pages import Row, datastores_summary
from console.incidents.findings import Fact, Finding, Recommended, Report, Severity
from console.lib.status import Status


def findings(now: datetime) -> Report:
    """Two queries."""
    summary = datastores_summary(now)
    if not summary.sight.seen:
        return Report((), frozenset({"datastores."}))
    found = [one for row in summary.rows for one in _of(row, summary.url)]
    unknown = frozenset(
        f"datastores.{kind}:{row.id}"
        for row in summary.rows
        if row.verdict.status is Status.UNKNOWN
        for kind in ("down", "alone")
    )
    return Report(tuple(found), unknown)


def _of(row: Row, url: str) -> Iterable[Finding]:
    if row.verdict.status is Status.FAILING:
        yield _finding(row, url, "down", "datastore-down", Severity.CRITICAL, 10.0)
    if row.redundant is False:
        yield _finding(row, url, "alone", "datastore-not-redundant", Severity.WARNING, 60.0)


def _finding(row: Row, url: str, kind: str, detector: str, severity: Severity, after_s: float) -> Finding:
    says = row.verdict.says if kind == "down" or row.verdict.status is Status.DEGRADED else "has no standby"
    return Finding(
        key=f"datastores.{kind}:{row.id}",
        detector=detector,
        severity=severity,
        title=f"{row.id} {says}",
        sentence=row.verdict.reason,
        target=f"datastores/{row.id}",
        url=url,
        facts=(
            Fact("AWS says", row.state or "nothing", "failing" if kind == "down" else ""),
            Fact("Multi-AZ", {True: "on", False: "off", None: "unknown"}[row.multi_az]),
            Fact("Primary", " ".join(filter(None, (row.primary, row.primary_zone))) or "unknown"),
            Fact("Standby", row.standby_zone or (str(row.replicas) if row.replicas else "none")),
        ),
        recommended=Recommended(row.verdict.remedy or "Look at its events in the AWS console.", url, "Look at it"),
        causes=(f"datastores.down:{row.id}",) if kind == "alone" else (),
        after_s=after_s,
    )
