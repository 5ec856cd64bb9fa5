"""Holds the sandbox's processes: `processes.json`, the control socket, bodies and faults, the end of everything."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from console.sandbox import airflow, control, faults, reaper
from console.sandbox.env import Site
from console.sandbox.home import SandboxError, read_json, write_private
from console.sandbox.process import Process, Spec

LAST = ("postgres", "warehouse", "redis", "broker")
"""Stopped after everything that uses them."""
CUT_LOGS_EVERY_S = 60.0
LONGEST_LOG = 10_000_000
STOP_WITHIN_S = 3.0
"""How long everything together may take to end by itself when the sandbox is stopped."""
CHILD_OF = ("scheduler-a", "scheduler-b")
"""Hosts whose child is listed as `NAME.child`."""


class Supervisor:
    """All processes of one sandbox."""

    def __init__(self, site: Site, say: Any) -> None:
        self.site = site
        self.say = say
        self.processes: dict[str, Process] = {}
        self.bodies: set[str] = set()
        self.faults: dict[str, list[str]] = {}
        self.ready = False
        self.stopping = False
        self._written = ""
        self._written_children: dict[str, int] = {}

    # Starting and stopping

    def add(self, spec: Spec) -> Process:
        """Start a process under supervision."""
        process = Process(spec, self.write_processes, self.say)
        self.processes[spec.name] = process
        process.start()
        return process

    async def run(self, spec: Spec) -> None:
        """Start a process and wait until it serves."""
        await self.add(spec).wait_ready()

    async def remove(self, name: str, number: int | None = None) -> None:
        process = self.processes.get(name)
        if process is not None:
            await process.stop(number)
            self.processes.pop(name, None)
            self.write_processes()

    async def stop_all(self) -> None:
        """Stop everything: first what works, then what it works with."""
        self.stopping = True
        first = [process for name, process in self.processes.items() if name not in LAST]
        await asyncio.gather(*(process.stop(within_s=STOP_WITHIN_S) for process in first))
        rest = [self.processes[name] for name in LAST if name in self.processes]
        await asyncio.gather(*(process.stop() for process in rest))

    # processes.json

    def children(self) -> dict[str, int]:
        """The living children of the schedulers' hosts, by the name they are listed under."""
        found = {}
        for host in CHILD_OF:
            pid = read_json(airflow.child_state(self.site.home, host)).get("pid")
            leader = self.processes[host].pid if host in self.processes else None
            if isinstance(pid, int) and leader:
                alive = reaper.look(pid)
                if alive is not None and alive.session == leader:
                    found[f"{host}.child"] = pid
        return found

    def write_processes(self) -> None:
        """Write what runs now: `{name: {pid, command, log}}`."""
        entries: dict[str, dict[str, Any]] = {}
        for name, process in self.processes.items():
            if process.pid and (alive := reaper.look(process.pid)):
                command = " ".join(process.spec.command)
                entries[name] = {
                    "pid": process.pid,
                    "command": command,
                    "log": str(process.spec.log),
                    "started_ticks": alive.started,
                }
        children = self.children()
        for name, pid in children.items():
            host = self.processes[name.removesuffix(".child")]
            command = "airflow scheduler"
            entries[name] = {"pid": pid, "command": command, "log": str(host.spec.log)}
        text = json.dumps(entries, indent=1)
        if text != self._written:
            self._written = text
            write_private(self.site.home.processes, text)

    async def watch(self) -> None:
        """The schedulers start and end below their hosts: look. Keep the logs small meanwhile."""
        loop = asyncio.get_running_loop()
        next_cut = loop.time() + CUT_LOGS_EVERY_S
        while not self.stopping:
            self.write_processes()
            if loop.time() > next_cut:
                next_cut = loop.time() + CUT_LOGS_EVERY_S
                for log in self.site.home.logs.glob("*.log"):
                    cut(log)
            await asyncio.sleep(0.5)

    # Bodies of the instances (asked for by cloud.py)

    async def set_bodies(self, wanted: list[dict[str, Any]]) -> None:
        """Start a worker for each instance that has none; kill the workers of instances that are gone."""
        by_name = {body["instance"]: body for body in wanted}
        for name in [name for name in self.bodies if name not in by_name]:
            self.bodies.discard(name)
            self.forget_fault("worker-kill", name)
            # A terminated instance gives its processes a moment and then is gone, whatever they were doing.
            task = asyncio.get_running_loop().create_task(self.remove(name))
            task.add_done_callback(lambda done: done.exception())
        for name, body in by_name.items():
            if name not in self.bodies and name not in self.processes:
                self.bodies.add(name)
                self.add(airflow.worker(self.site, name, body["queue"], int(body["concurrency"])))

    # Faults

    def note_fault(self, fault: str, target: str) -> None:
        targets = self.faults.setdefault(fault, [])
        if target not in targets:
            targets.append(target)
        self._write_faults()

    def forget_fault(self, fault: str, target: str | None = None) -> list[str]:
        """Forget one target of a fault, or all of them. Returns those that were forgotten."""
        targets = self.faults.get(fault, [])
        gone = [kept for kept in targets if target in (None, "", kept)]
        left = [kept for kept in targets if kept not in gone]
        if left:
            self.faults[fault] = left
        else:
            self.faults.pop(fault, None)
        self._write_faults()
        return gone

    def _write_faults(self) -> None:
        write_private(self.site.home.faults, json.dumps(self.faults))

    # The control socket

    async def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request of control.py."""
        if self.stopping:
            raise SandboxError("The sandbox is stopping.")
        match request.get("do"):
            case "status":
                return self.status()
            case "bodies":
                await self.set_bodies(request["bodies"])
                return {"ok": True}
            case "break":
                return {"text": await faults.break_it(self, request["fault"], list(request.get("target", [])))}
            case "mend":
                return {"text": await faults.mend_it(self, request["fault"], list(request.get("target", [])))}
        raise SandboxError(f"Unknown request {request.get('do')!r}.")

    def status(self) -> dict[str, Any]:
        children = self.children()
        return {
            "url": self.site.console_url,
            "ready": self.ready,
            "faults": self.faults,
            "processes": {
                name: {
                    "state": process.state, "pid": process.pid, "restarts": process.restarts,
                    "log": str(process.spec.log),
                }
                for name, process in self.processes.items()
            }
            | {
                name: {"state": "running", "pid": pid, "restarts": 0, "log": ""} for name, pid in children.items()
            },
        }  # fmt: skip

    async def serve(self) -> asyncio.Server:
        self._write_faults()
        return await control.serve(self.site.home, self.handle)


def cut(log: Path, longest: int = LONGEST_LOG) -> None:
    """Keep the older part of a log that has grown long as `NAME.log.1` and begin it anew.

    Its process goes on writing to the same file: every log is opened for appending, so what comes next is at the start.
    """
    with suppress(OSError):
        if log.stat().st_size > longest:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)


def stop_signals() -> tuple[int, ...]:
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
