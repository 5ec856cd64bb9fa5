"""May the outside be told that this console is well? Pure.

Well is: everything that is polled was tried lately (so beat and the workers work), the watcher writes, no page waits.
Whether the platform is well does not matter: that is what the console pages about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from console.lib.words import duration

POLL_S = 60.0
"""Each source is polled every 2 to 10 seconds: one that nobody has tried for so long is polled by nobody."""
FORGOTTEN_S = 3600.0
"""What was last tried so long ago is not declared any more."""
WATCHER_S = 30.0
PAGE_S = 300.0
"""A page that nobody has taken for so long: the console can't tell anybody, and somebody else must."""


@dataclass(frozen=True)
class Life:
    """What the console can see of itself, as ages in seconds: of the last attempt to poll each source (whatever came of
    it), of the watcher's last sign, and of the oldest page that was not taken yet. None: there never was one.
    """

    polled_s: Mapping[str, float]
    watched_s: float | None
    waiting_page_s: float | None


def fault(life: Life) -> str:
    """Why the outside must not be told that the console is well; "" when it is."""
    current = {name: age for name, age in life.polled_s.items() if age < FORGOTTEN_S}
    if not current:
        return "Nothing is polled: do beat and the workers run?"
    name, age_s = max(current.items(), key=lambda one: one[1])
    if age_s > POLL_S:
        return f"{name} was not polled for {duration(age_s)}: beat or the workers are behind."
    if life.watched_s is None:
        return "The watcher never ran."
    if life.watched_s > WATCHER_S:
        return f"The watcher has written nothing for {duration(life.watched_s)}."
    if life.waiting_page_s is not None and life.waiting_page_s > PAGE_S:
        return f"A page was taken by nobody for {duration(life.waiting_page_s)}."
    return ""
