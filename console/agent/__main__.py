"""`python -m console.agent worker [options] -- airflow celery worker …`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from console.agent.worker import WorkerAgent


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m console.agent", description=__doc__)
    kinds = top.add_subparsers(dest="kind", required=True)
    worker = kinds.add_parser("worker", help="supervise one Celery worker")
    worker.add_argument("--name", default="", help="the EC2 instance's id; default: the host's name")
    worker.add_argument("--version", default="", help="what this worker runs, as the launch template says")
    worker.add_argument("--store-url", default=os.environ.get("LEASE_URL", ""), help="default: $LEASE_URL")
    worker.add_argument("--spool", default=str(Path.home() / ".quarterdeck"), help="a folder for receipts")
    worker.add_argument("--on-drained", default="", help="a shell command to run after a clean exit only")
    worker.add_argument("--receipt-timeout", type=float, default=600.0, help="seconds to try to deliver the receipt")
    worker.add_argument("command", nargs="+", help="behind --: the worker's command")
    return top


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if not options.store_url:
        print("agent: --store-url (or LEASE_URL) is not set: receipts would go nowhere", file=sys.stderr)
        return 2
    return WorkerAgent(options).run()


if __name__ == "__main__":
    sys.exit(main())
