"""The sandbox's command line."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import Any

from console.sandbox import control, faults
from console.sandbox.home import Home


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="sandbox", description="The whole platform on this machine.")
    commands = whole.add_subparsers(dest="command", required=True, metavar="run|status|break|mend")
    run = commands.add_parser("run", help="start it, in the foreground (make run)")
    run.add_argument("--without-console", action="store_true", help="the platform only; the console is run by hand")
    commands.add_parser("status", help="what runs, and what is broken on purpose")
    for name, text in (("break", "break something on purpose"), ("mend", "put it right again")):
        command = commands.add_parser(name, help=text)
        command.add_argument("fault", choices=faults.FAULTS, metavar="FAULT", help=", ".join(faults.FAULTS))
        command.add_argument("target", nargs="*", metavar="TARGET", help="a host, an instance, a queue and a count")
    return whole


def table(status: dict[str, Any]) -> str:
    """The status as text: a line per process, then the faults."""
    lines = [f"{status['url']}  {'ready' if status['ready'] else 'starting'}", ""]
    for name, process in sorted(status["processes"].items()):
        pid = process["pid"] or "-"
        restarts = f"  restarted {process['restarts']} times" if process["restarts"] else ""
        lines.append(f"{name:22} {process['state']:9} {pid!s:>8}{restarts}")
    lines.append("")
    broken = [f"{fault} {target}" for fault, targets in status["faults"].items() for target in targets]
    lines.append("Broken on purpose: " + (", ".join(broken) if broken else "nothing"))
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run one command. Returns the exit code."""
    options = parser().parse_args(arguments)
    if options.command == "run":
        from console.sandbox import run  # the other commands must answer at once

        return run.main(with_console=not options.without_console)
    home = Home.of_environment(os.environ)
    request: dict[str, Any] = {"do": options.command}
    if options.command != "status":
        request |= {"fault": options.fault, "target": options.target}
    try:
        answer = asyncio.run(control.ask(home, request, within_s=150))
    except control.Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    print(table(answer) if options.command == "status" else answer["text"])
    return 0
