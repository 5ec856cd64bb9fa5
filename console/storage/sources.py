"""What this section adds to the platform's sources: one per declared storage, each with its own age. Pure.

They are not among what must be seen for the console to call itself sighted: that a storage is away is a fault of the
platform, told as such.
"""

from __future__ import annotations

from console.platform.sources import SourceSpec

PREFIX = "storage."
INTERVAL_S = 30.0
LIMIT_S = 100.0


def source_of(storage: str) -> SourceSpec:
    """The source behind one storage's figures."""
    return SourceSpec(
        f"{PREFIX}{storage}", f"the storage {storage}", "storage", "console.storage.tasks.poll", INTERVAL_S, LIMIT_S
    )
