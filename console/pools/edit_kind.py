"""The operation `pool`: what it takes, its preflight from the newest reading, its fresh look. Rules: `edit_rules`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from console.operations.kinds import Action, Check, Invalid, Kind, Plan
from console.operations.rules import JSON
from console.platform.models import Source
from console.platform.ports import Ports
from console.platform.sources import POOLS
from console.pools import edit_rules
from console.pools.edit_rules import Edit, Settings, consequence
from console.pools.models import PoolSnapshot
from console.pools.rules import UNLIMITED

DEFAULT_POOL = "default_pool"
LONGEST_OVERRIDE = timedelta(days=14)
MOST_SLOTS = 2**31 - 1


class Stale(Exception):
    """The edit was begun on other settings than the pool has now: both revisions, and the settings of now."""

    def __init__(self, name: str, yours: str, current: PoolSnapshot | None) -> None:
        now = f"revision {current.revision}, {current.slots} slots" if current else "not there"
        super().__init__(f"{name} was changed since you looked: yours is revision {yours or 'none'}, it is {now}.")
        self.yours = yours
        self.current = current


def clean(sent: Mapping[str, JSON]) -> dict[str, JSON]:
    """`name action(put|delete) slots description include_deferred revision until override` → parameters.

    Raises Invalid, and Stale when `revision` is not the pool's. What is left out of a put stays as it is.
    """
    name = str(sent.get("name") or "").strip()
    errors: dict[str, str] = {}
    if not name or len(name) > 256:
        errors["name"] = "A pool's name has 1 to 256 characters."
    row = PoolSnapshot.objects.filter(name=name).first()
    settings = None
    if sent.get("action", "put") == "put":
        settings = _settings(sent, row, errors)
    elif row is None:
        errors["name"] = f"There is no pool {name!r}."
    until = _until(sent.get("until"), errors)
    if errors:
        raise Invalid(errors)
    yours = str(sent.get("revision") or "")
    if yours != (row.revision if row else ""):
        raise Stale(name, yours, row)
    return {
        "name": name,
        "settings": None if settings is None else asdict(settings),
        "revision": yours,
        "until": until.isoformat() if until else "",
        "override": bool(sent.get("override", False)),
    }


def _settings(sent: Mapping[str, JSON], row: PoolSnapshot | None, errors: dict[str, str]) -> Settings | None:
    slots = sent.get("slots", row.slots if row else None)
    if not isinstance(slots, int) or isinstance(slots, bool) or not UNLIMITED <= slots <= MOST_SLOTS:
        errors["slots"] = "A whole number: 0 or more, or -1 for no limit."
        return None
    description = sent.get("description")
    if description is None:
        description = row.description if row else ""
    included = sent.get("include_deferred")
    if included is None:
        included = row.include_deferred if row else False
    return Settings(slots, str(description)[:4000], bool(included))


def _until(value: JSON, errors: dict[str, str]) -> datetime | None:
    if not value:
        return None
    try:
        until = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        errors["until"] = "An ISO 8601 time with its offset, such as 2026-11-22T06:00:00Z."
        return None
    if until.tzinfo is None:
        errors["until"] = "Add the offset: 2026-11-22T06:00:00Z is UTC."
        return None
    return until.astimezone(UTC)


def targets(parameters: Mapping[str, JSON]) -> tuple[str, ...]:
    return (f"pool:{parameters['name']}",)


def plan(parameters: Mapping[str, JSON], now: datetime) -> Plan:
    name = parameters["name"]
    sight = Source.objects.sights(now, (POOLS,))[POOLS.name]
    row = PoolSnapshot.objects.filter(name=name).first()
    facts = row.facts() if row else None
    goal = edit_rules.wanted(parameters)
    checks = [
        Check(
            "Airflow's pools can be seen." if sight.seen else f"Airflow's pools can't be seen: {sight.reason}.",
            sight.seen,
        )
    ]
    if goal is None:
        checks.append(
            Check(
                "default_pool can't be removed." if name == DEFAULT_POOL else f"{name} is no default.",
                name != DEFAULT_POOL,
            )
        )
        busy = facts is not None and bool(facts.occupied or facts.scheduled)
        text = f"{name} is in use." if busy else f"{name} is not in use."
        checks.append(Check(text, not busy, blocking=not parameters["override"]))
    if parameters["until"]:
        until = datetime.fromisoformat(parameters["until"])
        fits = now < until <= now + LONGEST_OVERRIDE
        checks.append(
            Check(f"It ends at {until:%Y-%m-%d %H:%M} UTC." if fits else "It must end within the next 14 days.", fits)
        )
        if row is None:
            checks.append(Check("Only a pool that exists can be changed for a while.", False))
    touches = consequence(facts, None if goal is None else goal.slots)
    return Plan("pool", targets(parameters)[0], parameters, tuple(checks), touches)


def observe(ports: Ports, parameters: Mapping[str, JSON], edit: Edit, now: datetime) -> Settings | None:
    for pool in ports.airflow().pools():
        if pool.name == parameters["name"]:
            return Settings(pool.slots, pool.description, pool.include_deferred)
    return None


def put_pool(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.airflow().put_pool(args["name"], args["slots"], args["description"], args["include_deferred"])


def delete_pool(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.airflow().delete_pool(args["name"])


ACTIONS: Mapping[str, Action] = {action.__name__: action for action in (put_pool, delete_pool)}


def title(parameters: Mapping[str, JSON]) -> str:
    if parameters["settings"] is None:
        return f"Remove pool {parameters['name']}"
    slots = parameters["settings"]["slots"]
    size = "no limit" if slots == UNLIMITED else f"{slots} slots"
    end = f" until {datetime.fromisoformat(parameters['until']):%d %b %H:%M}" if parameters["until"] else ""
    return f"Set pool {parameters['name']} to {size}{end}"


def dump(edit: Edit) -> dict[str, Any]:
    return asdict(edit)


def load(memory: Mapping[str, Any], version: int) -> Edit:
    before = memory.get("before")
    return Edit(
        looked=bool(memory.get("looked")),
        before=Settings(**before) if before else None,
        applied=bool(memory.get("applied")),
        reverting=bool(memory.get("reverting")),
    )


KIND: Kind[Edit, Settings | None] = Kind(
    name="pool",
    title=title,
    clean=clean,
    targets=targets,
    plan=plan,
    start=edit_rules.start,
    dump=dump,
    load=load,
    version=edit_rules.VERSION,
    observe=observe,
    decide=edit_rules.decide,
    actions=ACTIONS,
    topics=("pools",),
)
