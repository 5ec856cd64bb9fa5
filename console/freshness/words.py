"""Findings on many tables in a few words."""

from __future__ import annotations

from console.freshness.rows import TableRow, Tally
from console.freshness.rules import Word
from console.lib.words import count, duration, thousands


def tables(number: int) -> str:
    return count(number, "table")


def statement(found: Tally, worst: TableRow | None, blind: str) -> str:
    """The finding as a heading, without a full stop. `worst`: the first of the late ones, or of the unknown ones."""
    if not found.total:
        return "No tables are declared"
    if blind:
        return f"Freshness of {tables(found.total)} is unknown"
    if found.late and worst is not None:
        others = found.late - 1
        more = f", {count(others, 'other')} late" if others else ""
        return f"{worst.name} {_state(worst)}{more}"
    if found.unknown and worst is not None:
        if found.unknown == 1:
            return f"Freshness of {worst.name} is unknown"
        return f"Freshness of {thousands(found.unknown)} of {tables(found.total)} is unknown"
    return "The only table is within its SLO" if found.total == 1 else f"All {tables(found.total)} are within their SLO"


def _state(row: TableRow) -> str:
    match row.word:
        case Word.BROKEN:
            return "is not replicated"
        case Word.LOADING:
            return "is being loaded"
        case Word.INTERRUPTED:
            return "waits for its DMS task"
        case _:
            return f"is {duration(row.lag_s)} behind"


def pill(found: Tally, blind: str) -> str:
    """The word beside the heading."""
    if blind or not found.total:
        return "unknown" if blind else "none"
    if found.late:
        return f"{found.late} late"
    return f"{found.unknown} unknown" if found.unknown else "fresh"


def sentence(text: str) -> str:
    """With a capital, and one full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


PROVEN = (
    "Complete to: every row stamped at the source before then is proven to be in the warehouse, transactions that are "
    "still open included. Lag is now less that."
)
UNPROVEN = (
    "Lag is what DMS and the newest stamps tell. It is evidence, not proof: whether a table is complete up to a moment "
    "is not known."
)
