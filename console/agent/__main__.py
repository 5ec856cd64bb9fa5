"""`python -m console.agent worker|scheduler [options] -- airflow …`."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

from console.agent import scheduler
from console.agent.lease import Timing
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
    _add_scheduler(kinds.add_parser("scheduler", help="run Airflow's scheduler while this host holds the lease"))
    return top


def _add_scheduler(one: argparse.ArgumentParser) -> None:
    timing = Timing()
    one.add_argument("--name", default=socket.gethostname(), help="unique among the hosts; default: the host's name")
    one.add_argument("--hostname", default="", help="as Airflow's Jobs call this host; default: --name")
    one.add_argument("--lease-url", default=os.environ.get("LEASE_URL", ""), help="default: $LEASE_URL")
    one.add_argument("--lease", default="scheduler", help="the lease's name")
    one.add_argument(
        "--metadata-url",
        default=os.environ.get("METADATA_URL", ""),
        help="Airflow's metadata database; default: $METADATA_URL, then --lease-url",
    )
    one.add_argument("--broker-url", default=os.environ.get("AIRFLOW__CELERY__BROKER_URL", ""))
    one.add_argument("--state", default="", help="a folder for the deadline that the scheduler itself watches")
    one.add_argument("--ttl", type=float, default=timing.ttl_s, help="seconds a lease lasts")
    one.add_argument("--loop", type=float, default=timing.loop_s, help="seconds between renewals")
    one.add_argument("--retry", type=float, default=timing.retry_s, help="seconds one try to renew may take")
    one.add_argument(
        "--stop", type=float, default=timing.stop_s, help="seconds from TERM to KILL before the lease ends"
    )
    one.add_argument("--grace", type=float, default=20.0, help="seconds from TERM to KILL in a planned switchover")
    one.add_argument("--hang", type=float, default=30.0, help="seconds without a heartbeat that count as a hang")
    one.add_argument("command", nargs="+", help="behind --: airflow scheduler …")


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    url = options.store_url if options.kind == "worker" else options.lease_url
    if not url:
        print("agent: LEASE_URL is not set; name the lease store by it or by an option", file=sys.stderr)
        return 2
    if options.kind == "worker":
        return WorkerAgent(options).run()
    options.hostname = options.hostname or options.name
    return scheduler.main(options)


if __name__ == "__main__":
    sys.exit(main())
