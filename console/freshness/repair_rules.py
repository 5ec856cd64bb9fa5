"""The operations `dms-resume` and `table-reload`: let a DMS task go on, load a table anew. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from console.freshness.watermark import BROKEN_STATES, LOADING_STATES
from console.lib.words import duration
from console.operations.rules import Call, Decision, Ledger, Line, Orders, Outcome, Progress, State, StepState

VERSION = 1
START_LIMIT_S = 900.0
BEGIN_LIMIT_S = 300.0
"""DMS takes minutes to start a task; a reload that has not even begun after five is not coming."""
RESUMABLE = {"stopped", "failed"}
GOING = {"starting", "running"}


# --- Resume --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Resume:
    """How far it is."""

    began_at: datetime | None = None


@dataclass(frozen=True)
class TaskSeen:
    """The task as DMS tells it now; None: it has none of that name."""

    status: str | None
    arn: str = ""
    why: str = ""  # why it stopped


def resume(
    parameters: Mapping[str, Any], state: Resume, task: TaskSeen, ledger: Ledger, orders: Orders, now: datetime
) -> Decision[Resume]:
    """Start it where it stopped; over when it runs. A task that runs already is left alone."""
    name = parameters["task"]
    if task.status is None:
        return Decision(state, outcome=Outcome(State.FAILED, f"AWS DMS has no task called {name}."))
    asked = ledger.stage("resume")
    if asked is None:
        if task.status in GOING:
            return Decision(state, outcome=Outcome(State.SUCCEEDED, f"{name} is {task.status} already."))
        if orders.aborting:
            return Decision(state, outcome=Outcome(State.ABORTED, f"{name} was not touched."))
        if task.status not in RESUMABLE:
            return Decision(state, outcome=Outcome(State.FAILED, f"{name} is {task.status}: it can't be resumed now."))
        call = Call("resume", "resume_task", f"Resume {name} where it stopped", {"arn": task.arn})
        return Decision(replace(state, began_at=now), calls=(call,), progress=Progress(0, 1), next_tick_s=2.0)
    if asked is StepState.FAILED:
        return Decision(state, outcome=Outcome(State.FAILED, f"DMS refused to resume {name}: see its log."))
    if task.status == "running":
        text = f"{name} runs again: its tables catch up."
        return Decision(state, verified=("resume",), outcome=Outcome(State.SUCCEEDED, text), progress=Progress(1, 1))
    waited_s = 0.0 if state.began_at is None else (now - state.began_at).total_seconds()
    # DMS says `stopped` for a while yet after it took the order.
    if task.status not in GOING and waited_s > 60:
        why = f" ({task.why})" if task.why else ""
        return Decision(state, outcome=Outcome(State.FAILED, f"{name} is {task.status} again{why}."))
    if waited_s > START_LIMIT_S:
        text = f"{name} is still {task.status} after {duration(waited_s)}."
        return Decision(state, outcome=Outcome(State.FAILED, text))
    return Decision(state, progress=Progress(0, 1, f"{name} is {task.status}"), next_tick_s=3.0)


# --- Reload --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reload:
    """How far it is. `before`: the end of the load that is to be replaced."""

    looked: bool = False
    before: datetime | None = None
    began_at: datetime | None = None
    loading: bool = False


@dataclass(frozen=True)
class TableSeen:
    """The table as DMS tells it now."""

    task: str | None  # the task's status; None: DMS has no such task
    arn: str = ""
    state: str | None = None  # None: the task does not have the table
    ended_at: datetime | None = None
    rows: int = 0


def reload(
    parameters: Mapping[str, Any], state: Reload, table: TableSeen, ledger: Ledger, orders: Orders, now: datetime
) -> Decision[Reload]:
    """Order it once; over when DMS has loaded the table to its end. It can't be called back once it was ordered."""
    name = parameters["table"]
    asked = ledger.stage("reload")
    if table.task is None or table.state is None:
        return Decision(state, outcome=Outcome(State.FAILED, f"{parameters['task']} does not replicate {name} now."))
    if asked is None:
        if orders.aborting:
            return Decision(state, outcome=Outcome(State.ABORTED, f"{name} was not touched."))
        if table.task != "running":
            text = f"{parameters['task']} is {table.task}: DMS reloads tables only while it runs."
            return Decision(state, outcome=Outcome(State.FAILED, text))
        args = {"arn": table.arn, "schema": parameters["schema"], "name": parameters["name"]}
        call = Call("reload", "reload_table", f"Load {name} anew", args, once=True)
        begun = Reload(looked=True, before=table.ended_at, began_at=now)
        return Decision(begun, calls=(call,), progress=Progress(0, 1), next_tick_s=2.0)
    if asked is StepState.FAILED:
        return Decision(state, outcome=Outcome(State.FAILED, f"DMS refused to reload {name}: see its log."))
    word = table.state.lower()
    if word in LOADING_STATES:
        notes = () if state.loading else (Line("DMS loads it: what is in the warehouse is in part or old."),)
        progress = Progress(0, 1, table.state)
        return Decision(
            replace(state, loading=True), verified=("reload",), notes=notes, progress=progress, next_tick_s=5
        )
    if word in BROKEN_STATES:
        return Decision(
            state, outcome=Outcome(State.FAILED, f"{name}: DMS' state is “{table.state}” after the reload.")
        )
    if state.loading or (table.ended_at is not None and table.ended_at != state.before):
        text = f"{name} was loaded anew; it is proven complete again once heartbeats have followed."
        outcome = Outcome(State.SUCCEEDED, text)
        return Decision(state, verified=("reload",), outcome=outcome, progress=Progress(1, 1))
    if state.began_at is not None and now - state.began_at > timedelta(seconds=BEGIN_LIMIT_S):
        text = f"DMS has not begun to load {name} {duration(BEGIN_LIMIT_S)} after it was told to."
        return Decision(state, outcome=Outcome(State.FAILED, text))
    return Decision(state, progress=Progress(0, 1, "DMS was told"), next_tick_s=3.0)
