"""The operations `dms-resume` and `table-reload`: what they take, their preflight, their fresh looks. Rules: beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from console.freshness import repair_rules
from console.freshness.models import TableSnapshot, TaskSnapshot
from console.freshness.records import CutoffRow, Proof
from console.freshness.repair_rules import RESUMABLE, Reload, Resume, TableSeen, TaskSeen
from console.lib.words import count, duration, listed
from console.operations.kinds import Check, Invalid, Kind, Plan
from console.operations.rules import JSON
from console.platform.models import Source
from console.platform.ports import Ports
from console.platform.sources import REPLICATION

SHOWN = 8


def _sight(now: datetime) -> Check:
    sight = Source.objects.sights(now, [REPLICATION])[REPLICATION.name]
    text = "DMS can be seen." if sight.seen else f"DMS can't be seen: {sight.reason}."
    return Check(text, sight.seen)


def _nearest(field: str, what: str, name: str, known: list[str]) -> Invalid:
    near = get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"Did you mean {near[0]}?" if near else f"There is {listed(sorted(known), limit=6)}." if known else ""
    return Invalid({field: f"No {what} is called {name[:100]!r}. {hint}".strip()})


# --- Resume --------------------------------------------------------------------------------------------------------


def clean_resume(sent: Mapping[str, JSON]) -> dict[str, JSON]:
    name = str(sent.get("task") or "").strip()
    task = TaskSnapshot.objects.filter(name=name).first()
    if task is None:
        raise _nearest("task", "DMS task", name, list(TaskSnapshot.objects.values_list("name", flat=True)))
    return {"task": task.name, "identifier": task.identifier}


def plan_resume(parameters: Mapping[str, JSON], now: datetime) -> Plan:
    task = TaskSnapshot.objects.filter(name=parameters["task"]).first()
    status = task.status if task else None
    why = (task.failure or task.stop_reason) if task else ""
    tables = list(TableSnapshot.objects.filter(task=parameters["task"]).values_list("name", flat=True)[: SHOWN + 1])
    text = f"{parameters['task']} is {status or 'not there'}{f' ({why})' if why else ''}."
    number = TableSnapshot.objects.filter(task=parameters["task"]).count()
    return Plan(
        kind="dms-resume",
        target=targets_resume(parameters)[0],
        parameters=parameters,
        checks=(_sight(now), Check(text, status in RESUMABLE)),
        touches=(
            f"DMS goes on where it stopped: {count(number, 'table')} catch up ({listed(tables, limit=SHOWN)}).",
            "Nothing is loaded anew. What stopped it may stop it again: read the reason above first.",
        ),
    )


def targets_resume(parameters: Mapping[str, JSON]) -> tuple[str, ...]:
    return (f"dms:{parameters['task']}",)


def observe_resume(ports: Ports, parameters: Mapping[str, JSON], state: Resume, now: datetime) -> TaskSeen:
    found = ports.replication().tasks([parameters["identifier"]], now=now)
    if not found:
        return TaskSeen(None)
    return TaskSeen(found[0].status.lower(), found[0].arn, found[0].failure or found[0].stop_reason or "")


def resume_task(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.replication().resume(args["arn"])


# --- Reload --------------------------------------------------------------------------------------------------------


def clean_reload(sent: Mapping[str, JSON]) -> dict[str, JSON]:
    """`table`, and `task` where several write to it (else its first)."""
    name = str(sent.get("table") or "").strip()
    table = TableSnapshot.objects.filter(name=name).first()
    if table is None:
        raise _nearest("table", "table", name, list(TableSnapshot.objects.values_list("name", flat=True)))
    task = str(sent.get("task") or "").strip() or table.task
    if task not in table.tasks:
        raise Invalid({"task": f"{name} is replicated by {', '.join(table.tasks)}, not by {task[:100]!r}."})
    snapshot = TaskSnapshot.objects.filter(name=task).first()
    _, schema, short = name.split(".", 2)
    return {
        "table": name,
        "task": task,
        "identifier": snapshot.identifier if snapshot else task,
        "schema": schema,
        "name": short,
    }


def plan_reload(parameters: Mapping[str, JSON], now: datetime) -> Plan:
    name = parameters["table"]
    table = TableSnapshot.objects.get(name=name)
    task = TaskSnapshot.objects.filter(name=parameters["task"]).first()
    status = task.status if task else None
    runs = f"{parameters['task']} runs." if status == "running" else f"{parameters['task']} is {status or 'not there'}."
    proofs = Proof.objects.filter(table=name, era=table.era, revoked_at=None).count()
    waiting = CutoffRow.objects.filter(table=name, met_at=None, deadline__gt=now, at__lte=now).count()
    rows = f"{count(table.full_load_rows, 'row')} at its last load" if table.full_load_rows else "size unknown"
    if table.full_load_started_at and table.full_load_ended_at:
        took_s = (table.full_load_ended_at - table.full_load_started_at).total_seconds()
        rows += f", which took {duration(took_s)}"
    at_risk = [f"Whoever reads {table.warehouse} meanwhile sees it in part."]
    if waiting:
        at_risk.append(f"{count(waiting, 'cutoff')} that is waited for now may be missed.")
    return Plan(
        kind="table-reload",
        target=targets_reload(parameters)[0],
        parameters=parameters,
        checks=(
            _sight(now),
            Check(runs, status == "running"),
            Check(f"DMS' state of it is “{table.state or 'unknown'}”.", table.state is not None),
        ),
        touches=(
            f"DMS empties {table.warehouse} in the warehouse and loads it anew from the source ({rows}).",
            f"What was proven of it is revoked ({count(proofs, 'proof')}); who asks waits until it is proven anew.",
        ),
        at_risk=tuple(at_risk),
        confirm=str(name),
    )


def targets_reload(parameters: Mapping[str, JSON]) -> tuple[str, ...]:
    return (f"table:{parameters['table']}",)


def observe_reload(ports: Ports, parameters: Mapping[str, JSON], state: Reload, now: datetime) -> TableSeen:
    port = ports.replication()
    found = port.tasks([parameters["identifier"]], now=now)
    if not found:
        return TableSeen(None)
    mine = (parameters["schema"], parameters["name"])
    for row in port.table_statistics(found[0].arn):
        if (row.schema, row.table) == mine:
            status = found[0].status.lower()
            return TableSeen(status, found[0].arn, row.state, row.full_load_ended_at, row.full_load_rows)
    return TableSeen(found[0].status.lower(), found[0].arn)


def reload_table(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.replication().reload_table(args["arn"], args["schema"], args["name"])


def load_resume(memory: Mapping[str, Any], version: int) -> Resume:
    return Resume(_at(memory.get("began_at")))


def load_reload(memory: Mapping[str, Any], version: int) -> Reload:
    return Reload(
        looked=bool(memory.get("looked")),
        before=_at(memory.get("before")),
        began_at=_at(memory.get("began_at")),
        loading=bool(memory.get("loading")),
    )


def dump(state: Resume | Reload) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(state).items()}


def _at(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


RESUME: Kind[Resume, TaskSeen] = Kind(
    name="dms-resume",
    title=lambda parameters: f"Resume the DMS task {parameters['task']}",
    clean=clean_resume,
    targets=targets_resume,
    plan=plan_resume,
    start=lambda parameters: Resume(),
    dump=dump,
    load=load_resume,
    version=repair_rules.VERSION,
    observe=observe_resume,
    decide=repair_rules.resume,
    actions={"resume_task": resume_task},
)
RELOAD: Kind[Reload, TableSeen] = Kind(
    name="table-reload",
    title=lambda parameters: f"Load {parameters['table']} anew",
    clean=clean_reload,
    targets=targets_reload,
    plan=plan_reload,
    start=lambda parameters: Reload(),
    dump=dump,
    load=load_reload,
    version=repair_rules.VERSION,
    observe=observe_reload,
    decide=repair_rules.reload,
    actions={"reload_table": reload_table},
)
KINDS = (RESUME, RELOAD)
