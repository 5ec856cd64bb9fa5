"""The one source that incidents add: their own look at everything, which can fall behind like any other. Pure."""

from __future__ import annotations

from console.platform.sources import SourceSpec

DETECTED = SourceSpec("console.incidents", "the look for incidents", "console", "console.overview.tasks.detect", 5, 20)
