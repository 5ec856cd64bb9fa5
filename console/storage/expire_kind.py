"""The operation `expire`: what it takes, its preflight from the last look, its fresh looks. Rule: `expire_rules`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from console.lib.words import count, listed, size
from console.operations.kinds import Action, Check, Invalid, Kind, Plan
from console.operations.rules import JSON
from console.platform.declared import declaration
from console.platform.models import Source
from console.platform.ports import Ports
from console.storage import expire_rules
from console.storage.expire_rules import Expire
from console.storage.ledger import GRACE, ROOT, Past, Stage, expiry, past, removable
from console.storage.models import Store
from console.storage.sources import source_of

SHOWN = 8


def clean(sent: Mapping[str, JSON]) -> dict[str, JSON]:
    """`storage`: its id. Raises Invalid."""
    id = str(sent.get("storage") or "").strip()
    if declaration().storage_of(id) is None:
        known = [one.id for one in declaration().storage]
        near = get_close_matches(id, known, n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]}?" if near else f"Declared: {listed(known, 6) or 'none'}."
        raise Invalid({"storage": f"No storage is called {id[:100]!r}. {hint}"})
    return {"storage": id}


def targets(parameters: Mapping[str, JSON]) -> tuple[str, ...]:
    return (f"storage:{parameters['storage']}",)


def plan(parameters: Mapping[str, JSON], now: datetime) -> Plan:
    id = parameters["storage"]
    spec = source_of(id)
    declared = declaration().storage_of(id)
    sight = Source.objects.sights(now, (spec,))[spec.name]
    text = f"{id} can be seen." if sight.seen else f"{id} can't be seen: {sight.reason}."
    checks = [Check(text, sight.seen)]
    row = Store.objects.filter(pk=id).first()
    if row is None or declared is None or row.location != declared.place:
        checks.append(Check(f"{id} has not been read yet.", None))
        return Plan("expire", targets(parameters)[0], parameters, tuple(checks))
    if row.past:
        checks.append(Check(f"{count(row.past, 'hand-off')} past expiry, {size(row.past_bytes)} in all.", True))
    else:
        checks.append(Check("Nothing is past its expiry: there is nothing to remove.", False))
    if not row.complete:
        text = "More files lie there than one look reads: what is behind them stays."
        checks.append(Check(text, None, blocking=False))
    unread = [one for one in row.listed if one["stage"] == Stage.MISSED.value]
    if row.missed:
        text = f"{count(row.missed, 'hand-off')} among them nobody ever fetched."
        checks.append(Check(text, False, blocking=False))
    touches = (
        f"{count(row.past, 'file')} of {row.location} removed for good, {size(row.past_bytes)}: {_by_dag(row)}.",
        "Each is looked at again just before; what is not past its expiry, and what is no hand-off, stays.",
        "Where it expired less than a day ago the note stays: who comes too late is told that it expired.",
    )
    at_risk = tuple(f"{one['name']} of {one['dag_id']}, {one['task_id']}, {one['run_id']}" for one in unread[:SHOWN])
    if row.missed > len(at_risk):
        at_risk = (*at_risk, f"and {row.missed - len(at_risk)} more that nobody fetched")
    return Plan("expire", targets(parameters)[0], parameters, tuple(checks), touches if row.past else (), at_risk)


def _by_dag(row: Store) -> str:
    """Of which DAGs, as far as the last look lists them."""
    counts: dict[str, int] = {}
    for one in row.listed:
        if one["stage"] in (Stage.MISSED.value, Stage.EXPIRED.value):
            counts[one["dag_id"]] = counts.get(one["dag_id"], 0) + 1
    names = sorted(counts, key=lambda name: (-counts[name], name))
    return listed(names, SHOWN) or "its DAGs"


def observe(ports: Ports, parameters: Mapping[str, JSON], state: Expire, now: datetime) -> Sequence[Past]:
    reading = ports.files(parameters["storage"]).files(f"{ROOT}/")
    return past(reading, datetime.fromisoformat(state.before) if state.before else now)


def remove_expired(ports: Ports, args: Mapping[str, JSON]) -> None:
    """The file of each that its folder still shows as expired; past the grace then also what is left beside it."""
    files = ports.files(args["storage"])
    before = datetime.fromisoformat(args["before"])
    old: list[str] = []
    for folder in args["folders"]:
        keys = removable(files.files(f"{folder}/"), before)
        files.delete(keys)
        ends = [expiry(key) for key in keys]
        if ends and all(end is not None and end + GRACE <= before for end in ends):
            old.append(folder)
    for folder in old:  # a second look: what was handed over anew in between keeps its note
        files.delete(removable(files.files(f"{folder}/"), before, notes_before=before))


ACTIONS: Mapping[str, Action] = {"remove_expired": remove_expired}


def title(parameters: Mapping[str, JSON]) -> str:
    return f"Remove expired hand-offs of {parameters['storage']}"


def dump(state: Expire) -> dict[str, Any]:
    return asdict(state)


def load(memory: Mapping[str, Any], version: int) -> Expire:
    return Expire(**{**memory, "batch": tuple(memory.get("batch", ()))})


KIND: Kind[Expire, Sequence[Past]] = Kind(
    name="expire",
    title=title,
    clean=clean,
    targets=targets,
    plan=plan,
    start=expire_rules.start,
    dump=dump,
    load=load,
    version=expire_rules.VERSION,
    observe=observe,
    decide=expire_rules.decide,
    actions=ACTIONS,
    topics=("storage",),
)
