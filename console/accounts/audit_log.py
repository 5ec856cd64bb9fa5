"""Reading the audit: filters, pages by sequence number, CSV that no spreadsheet executes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from urllib.parse import urlencode

from django.db import connection
from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime

from console.accounts.models import AuditEntry

PAGE = 50
EXPORT_LIMIT = 50_000
ACTORS = 100
COLUMNS = ("seq", "at", "actor", "via", "action", "target", "reason", "details", "ip", "request_id", "hash")


@dataclass(frozen=True)
class Filters:
    """Which rows: parts of the actor's and target's name, the beginning of the action, from (incl.) to (excl.)."""

    who: str = ""
    action: str = ""
    target: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None  # only rows with a smaller sequence number: the next page

    def rows(self) -> QuerySet[AuditEntry]:
        """Newest first."""
        rows = AuditEntry.objects.order_by("-seq")
        if self.who:
            known = actors(self.who)
            rows = rows.filter(actor__in=known) if len(known) < ACTORS else rows.filter(actor__icontains=self.who)
        if self.action:
            rows = rows.filter(action__startswith=self.action)
        if self.target:
            rows = rows.filter(target__icontains=self.target)
        if self.since:
            rows = rows.filter(at__gte=self.since)
        if self.until:
            rows = rows.filter(at__lt=self.until)
        if self.before is not None:
            rows = rows.filter(seq__lt=self.before)
        return rows

    def address(self) -> str:
        """The query part that asks for these rows."""
        pairs = {field.name: getattr(self, field.name) for field in fields(self)}
        return urlencode({name: _told(value) for name, value in pairs.items() if value not in ("", None)})


def actors(part: str) -> list[str]:
    """Whose names in the audit hold `part`, at most `ACTORS`. Few people do many things: from name to name by the
    index, for what nobody of the name did would else be looked for in every row. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_ACTORS, [part, ACTORS])
        return [name for (name,) in cursor.fetchall()]


_ACTORS = """
WITH RECURSIVE known (name) AS (
    SELECT min(actor) FROM accounts_auditentry
    UNION ALL
    SELECT (SELECT min(actor) FROM accounts_auditentry WHERE actor > known.name) FROM known WHERE name IS NOT NULL)
SELECT name FROM known WHERE strpos(upper(name), upper(%s)) > 0 LIMIT %s
"""


def _told(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    return str(value)


def read(query: Mapping[str, str]) -> tuple[Filters, dict[str, str]]:
    """The filters of an address, and what is wrong with it by field. Times without a zone are UTC."""
    errors: dict[str, str] = {}

    def word(name: str) -> str:
        return query.get(name, "").replace("\x00", "").strip()[:200]

    def moment(name: str) -> datetime | None:
        text = word(name)
        if not text:
            return None
        try:
            found = parse_datetime(text)
        except ValueError:
            found = None
        if found is None:
            errors[name] = "Write a time as 2026-11-23T06:00 (UTC)."
            return None
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    before = word("before")
    if before and not (before.isascii() and before.isdigit() and len(before) < 19):
        errors["before"] = "Write a sequence number."
        before = ""
    return Filters(
        who=word("who"),
        action=word("action"),
        target=word("target"),
        since=moment("since"),
        until=moment("until"),
        before=int(before) if before else None,
    ), errors


@dataclass(frozen=True)
class AuditPage:
    """One page of the audit, newest first."""

    filters: Filters
    errors: dict[str, str]
    entries: tuple[AuditEntry, ...]
    older: str  # the address' query part of the next page; "" on the last
    export: str
    narrowed: bool


def audit_page(query: Mapping[str, str]) -> AuditPage:
    """One query, two where somebody is looked for."""
    filters, errors = read(query)
    found = list(filters.rows()[: PAGE + 1])
    older = replace(filters, before=found[PAGE - 1].seq).address() if len(found) > PAGE else ""
    everything = replace(filters, before=None)
    return AuditPage(
        filters=filters,
        errors=errors,
        entries=tuple(found[:PAGE]),
        older=older,
        export=everything.address(),
        narrowed=everything != Filters(),
    )


def to_csv(entries: Iterable[AuditEntry]) -> str:
    """CSV with a heading. Cells that a spreadsheet would take for a formula begin with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        values = [entry.at.astimezone(UTC).isoformat() if name == "at" else getattr(entry, name) for name in COLUMNS]
        writer.writerow([_harmless(value) for value in values])
    return text.getvalue()


def _harmless(value: object) -> object:
    """OWASP's "CSV injection": = + - @, their full-width forms, tab and carriage return begin a formula."""
    if isinstance(value, str) and value[:1] in tuple("=+-@\t\r\n＝＋－＠"):
        return "'" + value
    return value
