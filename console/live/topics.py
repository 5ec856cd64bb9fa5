"""What a page can be about, and which of it a watched source feeds. Pure."""

from __future__ import annotations

TOPICS = frozenset(
    {"scheduler", "fleets", "deploys", "freshness", "pools", "datastores", "storage", "incidents", "operations"}
)
_FED_BY = {
    "airflow.scheduler": ("scheduler",),
    "agents": ("scheduler",),
    "airflow.tasks": ("fleets",),
    "airflow.pools": ("pools",),
    "broker": ("fleets",),
    "aws.compute": ("fleets", "deploys"),
    "aws.dms": ("freshness",),
    "aws.datastores": ("datastores",),
    "storage": ("storage",),
    "warehouse": ("freshness",),
    "sources": ("freshness",),
    "beats": ("freshness",),
}


def fed_by(source: str) -> tuple[str, ...]:
    """The topics that change when `source` is read: by its name or by the system before its dot; none if unknown."""
    return _FED_BY.get(source) or _FED_BY.get(source.partition(".")[0], ())


def asked_for(query: str) -> frozenset[str]:
    """The topics of `fleets,scheduler`; all of them for an empty one. What is no topic is ignored: pages outlive us."""
    words = {word.strip() for word in query.split(",") if word.strip()}
    return frozenset(words & TOPICS) if words else TOPICS
