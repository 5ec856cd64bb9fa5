"""What beat starts, and how often. Tasks are named by string: the schedule imports no app."""

from __future__ import annotations

from typing import Any

from console.platform.sources import SOURCES

OTHER: dict[str, tuple[str, float]] = {
    # name: (task, interval in seconds)
    "agents": ("console.scheduler.tasks.poll_agents", 2),
    "freshness.beats": ("console.freshness.tasks.write_beats", 10),
    "freshness.cutoffs": ("console.freshness.tasks.plan_cutoffs", 60),
    "storage": ("console.storage.tasks.poll", 30),
    "freshness.budgets": ("console.freshness.tasks.reckon_budgets", 20),
    "freshness.assets": ("console.freshness.tasks.tell_assets", 5),
    "operations.sweep": ("console.operations.tasks.sweep", 1),
    "history.keep": ("console.history.tasks.keep", 60),
    "fleets.judge": ("console.fleets.tasks.judge", 2),
    "fleets.record": ("console.fleets.tasks.record_history", 15),
    "fleets.forget": ("console.fleets.tasks.forget", 3600),
    "fleets.scale": ("console.fleets.scaling.tasks.decide", 15),
    "fleets.schedules": ("console.fleets.scaling.tasks.poll_schedules", 60),
    "fleets.notices": ("console.fleets.scaling.tasks.poll_notices", 5),
    "fleets.publish": ("console.fleets.scaling.tasks.publish", 15),
    "fleets.price": ("console.fleets.scaling.tasks.price", 300),
    "fleets.scaling.forget": ("console.fleets.scaling.tasks.forget", 3600),
    "deploys.predict": ("console.deploys.tasks.predict", 10),
    "incidents.pages": ("console.incidents.tasks.sweep_pages", 1),
    "incidents.dead_man": ("console.incidents.tasks.dead_man", 5),
    "incidents.changes": ("console.incidents.tasks.announce_changes", 10),
    "incidents.forget_hooks": ("console.incidents.tasks.forget_hooks", 3600),
    "overview.judge": ("console.overview.tasks.judge", 2),
    "overview.detect": ("console.overview.tasks.detect", 5),
    "accounts.sweep": ("console.accounts.tasks.sweep", 3600),
}


def beat_schedule() -> dict[str, dict[str, Any]]:
    """Each poll by its own entry, so that one that hangs delays no other.

    A message expires when its successor is due: a backlog of old polls helps nobody.
    """
    entries = {spec.name: (spec.task, spec.interval_s) for spec in SOURCES.values() if spec.task} | OTHER
    return {
        name: {"task": task, "schedule": interval_s, "options": {"expires": max(interval_s, 2.0)}}
        for name, (task, interval_s) in entries.items()
    }
