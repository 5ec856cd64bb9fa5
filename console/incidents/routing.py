"""Who is told, in which order, and what follows from a failed attempt. Pure.

An incident takes every route that it fits. In each route one pager is told at first; the next one, when that one can't
be told: at once after a permanent error, else after `FALL_S`. Told again without an acknowledgement, a route begins
with the next of its pagers: that is the escalation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from console.incidents.rules import matches
from console.platform.declared.values import RouteDeclared

FALL_S = 30.0
"""A pager that has not taken a trigger for so long has failed: the next of its route is told too."""
GIVE_UP_S = 24 * 3600.0
FIRST_S, LONGEST_S = 2.0, 60.0
"""Pauses between attempts double from the first to the longest."""

Chain = tuple[str, ...]
"""Pagers in the order in which they are asked."""


def chains(routes: Iterable[RouteDeclared], severity: str, target: str, level: int) -> tuple[Chain, ...]:
    """One chain per route that fits; `level` is how often it was told before. No pager begins two of them.

    Routes that begin with the same pager become one: it is told once, and whoever follows in either route follows.
    """
    found: dict[str, list[str]] = {}
    for route in routes:
        if severity not in route.severities or not any(matches(one, target) for one in route.targets):
            continue
        first = min(level, len(route.pagers) - 1)
        first_name, *rest = route.pagers[first:] + route.pagers[:first]
        found.setdefault(first_name, []).extend(rest)
    return tuple((first, *dict.fromkeys(one for one in rest if one != first)) for first, rest in found.items())


def repage_s(routes: Iterable[RouteDeclared], severity: str, target: str) -> float | None:
    """The shortest declared interval of the routes that fit; None where none declares one."""
    declared = [
        route.repage_s
        for route in routes
        if route.repage_s and severity in route.severities and any(matches(one, target) for one in route.targets)
    ]
    return min(declared, default=None)


@dataclass(frozen=True)
class Next:
    """What follows from a failed attempt: another one in `wait_s` seconds, or (`given_up`) none."""

    wait_s: float
    given_up: bool


def after_failure(attempts: int, age_s: float, *, permanent: bool, retry_after_s: float | None, luck: float) -> Next:
    """`attempts` so far (1 or more), `age_s` of the page; `luck` from 0 to 1 spreads attempts of many pages."""
    if permanent or age_s >= GIVE_UP_S:
        return Next(0.0, True)
    wait_s = min(FIRST_S * 2.0 ** min(attempts - 1, 10), LONGEST_S) * (0.75 + 0.5 * luck)
    if retry_after_s is not None:  # at least what was asked for, and not all at that very moment
        wait_s = max(wait_s, retry_after_s + luck)
    return Next(wait_s, False)
