"""Things that go wrong on purpose, so that one can watch the console answer, and how each is put right again.

| fault | target | what happens |
|---|---|---|
| scheduler-kill | host | the scheduler's host dies: its agent and the scheduler are killed, and stay away |
| scheduler-hang | host | the scheduler is frozen (SIGSTOP); its agent notices after 30 s |
| replication-pause | task | the warehouse takes no changes of it (of shop-cdc); DMS still calls the task running |
| queue-flood | queue, tasks | a DAG run with so many sleeping tasks in that queue |
| worker-kill | instance | the worker dies at once with its tasks, and stays dead while its instance lives |
| broker-stop, airflow-api-stop, warehouse-stop | | the server is stopped and stays away |
| aws-stop | | AWS' endpoint can't be reached (nothing in the account changes) |
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from console.sandbox import airflow, reaper
from console.sandbox.home import SandboxError
from console.sandbox.replication.databases import LINKS, SHOP

if TYPE_CHECKING:
    from console.sandbox.process import Process
    from console.sandbox.supervisor import Supervisor

STOPS = {"broker-stop": "broker", "airflow-api-stop": "airflow-api", "warehouse-stop": "warehouse"}
FAULTS = (
    "scheduler-kill", "scheduler-hang", "replication-pause", "queue-flood", "worker-kill",
    "broker-stop", "airflow-api-stop", "warehouse-stop", "aws-stop",
)  # fmt: skip
FLOOD_TASKS, FLOOD_TASK_S = 60, 45


def _process(supervisor: Supervisor, name: str) -> Process:
    if name not in supervisor.processes:
        raise SandboxError(f"No process {name} runs here; manage.py sandbox status names them.")
    return supervisor.processes[name]


def _scheduler_host(supervisor: Supervisor, target: list[str]) -> str:
    """The host that was named, else the one whose scheduler runs."""
    if target:
        _process(supervisor, target[0])
        return target[0]
    running = sorted(name.removesuffix(".child") for name in supervisor.children())
    if not running:
        raise SandboxError("No scheduler runs now; name its host: scheduler-a or scheduler-b.")
    return running[0]


def _scheduler_pids(supervisor: Supervisor, host: str) -> set[int]:
    """The scheduler itself and what it started: the members of the host's session but for the host."""
    leader = _process(supervisor, host).pid
    return reaper.in_sessions([leader]) - {leader} if leader else set()


async def _scheduler_kill(supervisor: Supervisor, target: list[str]) -> str:
    host = _scheduler_host(supervisor, target)
    supervisor.note_fault("scheduler-kill", host)
    await _process(supervisor, host).hold(signal.SIGKILL)
    return f"The agent on {host} and its scheduler were killed, as if the host had died; mend it to bring it back."


async def _scheduler_kill_mend(supervisor: Supervisor, target: list[str]) -> str:
    hosts = supervisor.forget_fault("scheduler-kill", target[0] if target else None)
    for host in hosts:
        _process(supervisor, host).release()
    return f"The agent starts again on {', '.join(hosts)}." if hosts else "No scheduler was killed."


async def _scheduler_hang(supervisor: Supervisor, target: list[str]) -> str:
    host = _scheduler_host(supervisor, target)
    supervisor.note_fault("scheduler-hang", host)
    reaper.send(_scheduler_pids(supervisor, host), signal.SIGSTOP)
    return f"The scheduler on {host} hangs until it is mended."


async def _scheduler_hang_mend(supervisor: Supervisor, target: list[str]) -> str:
    hosts = supervisor.forget_fault("scheduler-hang", target[0] if target else None)
    for host in hosts:
        reaper.send(_scheduler_pids(supervisor, host), signal.SIGCONT)
    return f"The scheduler goes on on {', '.join(hosts)}." if hosts else "No scheduler hangs."


async def _replication_pause(supervisor: Supervisor, target: list[str]) -> str:
    task = target[0] if target else SHOP.task
    if task not in LINKS:
        raise SandboxError(f"There is no DMS task {task!r} here; there are {', '.join(LINKS)}.")
    supervisor.note_fault("replication-pause", task)
    return f"The warehouse takes no more changes of {task}; the lag of its tables grows from now on."


async def _replication_mend(supervisor: Supervisor, target: list[str]) -> str:
    supervisor.forget_fault("replication-pause", target[0] if target else None)
    return "The warehouse takes changes again and catches up."


async def _queue_flood(supervisor: Supervisor, target: list[str]) -> str:
    queue = target[0] if target else "default"
    try:
        tasks = int(target[1]) if len(target) > 1 else FLOOD_TASKS
    except ValueError:
        raise SandboxError(f"{target[1]!r} is not a number of tasks: queue-flood [QUEUE] [TASKS].") from None
    conf = {"tasks": tasks, "seconds": FLOOD_TASK_S, "queue": queue}
    run = await airflow.Api(supervisor.site).call(
        "POST", "/dags/sleepers/dagRuns", {"logical_date": None, "conf": conf}
    )
    supervisor.note_fault("queue-flood", run["dag_run_id"])
    return f"{tasks} tasks of {FLOOD_TASK_S} s each go to the queue {queue} (run {run['dag_run_id']} of sleepers)."


async def _queue_flood_mend(supervisor: Supervisor, target: list[str]) -> str:
    api = airflow.Api(supervisor.site)
    runs = list(supervisor.faults.get("queue-flood", []))
    for run in runs:
        path = run.replace(":", "%3A").replace("+", "%2B")
        await api.call("PATCH", f"/dags/sleepers/dagRuns/{path}", {"state": "failed"})
        supervisor.forget_fault("queue-flood", run)
    return f"{len(runs)} runs were ended, with the tasks that wait."


async def _worker_kill(supervisor: Supervisor, target: list[str]) -> str:
    living = sorted(name for name in supervisor.bodies if supervisor.processes[name].pid)
    if not (target or living):
        raise SandboxError("No worker runs.")
    name = target[0] if target else living[0]
    if name not in supervisor.bodies:
        raise SandboxError(f"{name} is no instance of the sandbox: {', '.join(sorted(supervisor.bodies))}.")
    supervisor.note_fault("worker-kill", name)
    await supervisor.processes[name].hold(signal.SIGKILL)
    return f"The worker on {name} died with its tasks. Its instance still runs."


async def _worker_kill_mend(supervisor: Supervisor, target: list[str]) -> str:
    names = supervisor.forget_fault("worker-kill", target[0] if target else None)
    for name in names:
        if name in supervisor.processes:
            supervisor.processes[name].release()
    return f"The worker starts again on {', '.join(names)}." if names else "No worker was killed."


def _stop(fault: str, name: str) -> Callable[[Supervisor, list[str]], Awaitable[str]]:
    async def stop(supervisor: Supervisor, target: list[str]) -> str:
        process = _process(supervisor, name)
        supervisor.note_fault(fault, name)
        await process.hold()
        return f"{name} is stopped and stays so until it is mended."

    return stop


def _start(fault: str, name: str) -> Callable[[Supervisor, list[str]], Awaitable[str]]:
    async def start(supervisor: Supervisor, target: list[str]) -> str:
        supervisor.forget_fault(fault)
        process = _process(supervisor, name)
        process.release()
        await process.wait_ready()
        return f"{name} serves again."

    return start


async def _aws_stop(supervisor: Supervisor, target: list[str]) -> str:
    supervisor.note_fault("aws-stop", "aws")
    _process(supervisor, "aws").signal(signal.SIGUSR1)
    return "AWS can't be reached until it is mended."


async def _aws_mend(supervisor: Supervisor, target: list[str]) -> str:
    supervisor.forget_fault("aws-stop")
    process = _process(supervisor, "aws")
    process.signal(signal.SIGUSR2)
    await process.wait_ready()
    return "AWS can be reached again."


Act = Callable[["Supervisor", list[str]], Awaitable[str]]
BREAK: dict[str, Act] = {
    "scheduler-kill": _scheduler_kill,
    "scheduler-hang": _scheduler_hang,
    "replication-pause": _replication_pause,
    "queue-flood": _queue_flood,
    "worker-kill": _worker_kill,
    "aws-stop": _aws_stop,
    **{fault: _stop(fault, name) for fault, name in STOPS.items()},
}
MEND: dict[str, Act] = {
    "scheduler-kill": _scheduler_kill_mend,
    "scheduler-hang": _scheduler_hang_mend,
    "replication-pause": _replication_mend,
    "queue-flood": _queue_flood_mend,
    "worker-kill": _worker_kill_mend,
    "aws-stop": _aws_mend,
    **{fault: _start(fault, name) for fault, name in STOPS.items()},
}


def _known(fault: str) -> str:
    if fault not in FAULTS:
        raise SandboxError(f"There is no fault {fault!r}; there are {', '.join(FAULTS)}.")
    return fault


async def break_it(supervisor: Supervisor, fault: str, target: list[str]) -> str:
    """Break something. Returns what happened, as a sentence. Raises SandboxError where it can't be."""
    return await BREAK[_known(fault)](supervisor, target)


async def mend_it(supervisor: Supervisor, fault: str, target: list[str]) -> str:
    """Put it right again. Mending what is not broken is no error."""
    return await MEND[_known(fault)](supervisor, target)
