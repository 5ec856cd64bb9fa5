"""Words for durations, counts and ages, as a tired person reads them."""

from __future__ import annotations

NBSP = "\N{NO-BREAK SPACE}"


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min 10 s`, `14 min`, `2 h 31 min`, `3 d 4 h`; `unknown` for None."""
    if seconds is None:
        return "unknown"
    sign, value = ("-", -seconds) if seconds < 0 else ("", seconds)
    if value < 9.95:
        text = f"{value:.1f}".removesuffix(".0")
        return f"{sign}{text}{NBSP}s"
    whole = round(value)
    if whole < 60:
        return f"{sign}{whole}{NBSP}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        tail = f"{NBSP}{rest}{NBSP}s" if rest and minutes < 10 else ""
        return f"{sign}{minutes}{NBSP}min{tail}"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        tail = f"{NBSP}{minutes}{NBSP}min" if minutes else ""
        return f"{sign}{hours}{NBSP}h{tail}"
    days, hours = divmod(hours, 24)
    tail = f"{NBSP}{hours}{NBSP}h" if hours else ""
    return f"{sign}{days}{NBSP}d{tail}"


def thousands(number: float) -> str:
    """`812`, `12 480`: whole, thousands set apart by a narrow space that does not break."""
    return f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 worker`, `3 workers`, `10 000 workers` (by a narrow space that does not break)."""
    return f"{thousands(number)}{NBSP}{one if number == 1 else many or one + 's'}"


def listed(words: list[str], limit: int = 3) -> str:
    """`a`, `a and b`, `a, b and c`, `a, b, c and 4 more`."""
    if len(words) > limit:
        return f"{', '.join(words[:limit])} and {len(words) - limit} more"
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def storable(text: str) -> str:
    """`text` as PostgreSQL can keep it: without NUL, half a surrogate pair as `?`; and stripped."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode().strip()


def size(bytes_: float | None) -> str:
    """`0 B`, `812 B`, `4.2 kB`, `96 MB`, `1.3 TB`, in powers of ten; `unknown` for None."""
    if bytes_ is None:
        return "unknown"
    value, units = float(bytes_), ["B", "kB", "MB", "GB", "TB", "PB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    text = f"{value:.1f}".removesuffix(".0") if value < 9.95 and units[0] != "B" else f"{round(value)}"
    return f"{text}{NBSP}{units[0]}"
