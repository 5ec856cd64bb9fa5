"""Calendars of cutoffs, as a sentence: `every day 00:00 America/New_York, due by 02:30`. Pure.

Days are those of the zone's own wall clock. A time of day that comes twice (clocks go back) is the first of the two;
one that does not come (clocks go forward) is as long after midnight as it would have been: 02:30 is then called 03:30.
A deadline that is not later than its cutoff's time of day is the next day's. `every 15 minutes, due within 5 minutes`
counts from midnight UTC. Either may end with an asset of Airflow's, by name or URI, that is told when it is met:
`every day 00:00 UTC, due by 02:30, asset warehouse://shop/day`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAILY = re.compile(
    r"every (?P<days>[a-z, ]+?) (?P<at>\d{1,2}:\d{2}) (?P<zone>[A-Za-z0-9_+/-]+), due by (?P<due>\d{1,2}:\d{2})"
)
_STEADY = re.compile(r"every (?P<every>\d+) minutes?, due within (?P<due>\d+) minutes?")
_ASSET = re.compile(r"(?P<calendar>.+), asset (?P<asset>\S{1,500})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Due:
    """A moment up to which a table has to be complete, and by when; in UTC."""

    at: datetime
    deadline: datetime


@dataclass(frozen=True)
class Calendar:
    """Either days of the week with times of a zone, or (`every_s`) a steady step."""

    text: str
    days: frozenset[int] = frozenset(range(7))
    at: time = time(0)
    due: time = time(0)
    zone: str = "UTC"
    every_s: int = 0
    due_s: int = 0
    asset: str = ""  # Airflow's, by name or URI

    def between(self, start: datetime, end: datetime) -> Iterator[Due]:
        """The cutoffs from `start` up to but without `end`, oldest first."""
        if self.every_s:
            number = -(-int((start - _EPOCH).total_seconds() * 1_000_000) // (self.every_s * 1_000_000))
            while (at := _EPOCH + timedelta(seconds=number * self.every_s)) < end:
                yield Due(at, at + timedelta(seconds=self.due_s))
                number += 1
            return
        zone = ZoneInfo(self.zone)
        day = start.astimezone(zone).date() - timedelta(days=1)
        last = end.astimezone(zone).date() + timedelta(days=1)
        while day <= last:
            if day.weekday() in self.days:
                at = _instant(day, self.at, zone)
                if start <= at < end:
                    deadline = _instant(day, self.due, zone)
                    if self.due <= self.at or deadline <= at:
                        deadline = _instant(day + timedelta(days=1), self.due, zone)
                    yield Due(at, deadline)
            day += timedelta(days=1)


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC)


def parse(text: str) -> Calendar:
    """The calendar of a sentence. Raises ValueError: what is wrong, as a sentence's second half."""
    named = _ASSET.fullmatch(text.strip())
    if named:
        return replace(parse(named["calendar"]), text=text.strip(), asset=named["asset"])
    steady = _STEADY.fullmatch(text.strip())
    if steady:
        every, due = int(steady["every"]), int(steady["due"])
        if not every or not due:
            raise ValueError("has a step or a deadline of no minutes")
        if 1440 % every:
            raise ValueError(f"has a step of {every} minutes, which does not divide a day")
        return Calendar(text.strip(), every_s=every * 60, due_s=due * 60)
    daily = _DAILY.fullmatch(text.strip())
    if daily is None:
        raise ValueError("is no calendar of cutoffs")
    try:
        ZoneInfo(daily["zone"])
    except (KeyError, ValueError, OSError):
        raise ValueError(f"names no time zone: {daily['zone']!r}") from None
    return Calendar(text.strip(), _days(daily["days"]), _time(daily["at"]), _time(daily["due"]), daily["zone"])


def _time(text: str) -> time:
    hour, minute = map(int, text.split(":"))
    try:
        return time(hour, minute)
    except ValueError:
        raise ValueError(f"has no time of day: {text}") from None


def _days(text: str) -> frozenset[int]:
    groups = {"day": range(7), "weekday": range(5)}
    found: set[int] = set()
    for word in re.split(r"[, ]+(?:and )?", text.strip()):
        if word in groups:
            found.update(groups[word])
        elif word in DAYS:
            found.add(DAYS.index(word))
        else:
            raise ValueError(f"names no day: {word!r} (day, weekday, or {', '.join(DAYS)})")
    return frozenset(found)
