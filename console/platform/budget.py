"""How long one poll may take in all, whatever the number of its requests."""

from __future__ import annotations

import time
from collections.abc import Callable

from console.platform.ports import PlatformError


class Budget:
    """Seconds that a poll of `system` may take, from now; on the monotonic clock."""

    def __init__(self, system: str, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.system = system
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def left_s(self) -> float:
        return self._end - self._clock()

    def spend(self, most_s: float) -> float:
        """The time that the next step may take: `most_s`, or what is left. Raises when nothing is."""
        left_s = self.left_s()
        if left_s <= 0:
            raise self.exceeded()
        return min(most_s, left_s)

    def exceeded(self) -> PlatformError:
        return PlatformError(
            self.system,
            "timeout",
            f"{self.system} took longer than {self.seconds:.0f} s to answer",
            remedy="It is overloaded or hangs: look at its processes and their logs.",
        )
