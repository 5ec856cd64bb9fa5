"""`python -m tests.bench [names]`: run the named measurements; all but failover, which takes a sandbox, by default."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import time

NAMES = ("watcher", "pages", "sections", "flower", "deploys", "autoscaling", "freshness", "burn")
SANDBOXED = ("failover",)
"""These start real Airflow schedulers and take a quarter of an hour: only where they are named."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join((*NAMES, *SANDBOXED))}")
    parser.add_argument("--workers", default="100,1000,5000", help="sizes of the fleet")
    parser.add_argument("--seconds", type=float, default=20, help="how long each measurement of the watcher takes")
    parser.add_argument("--runs", type=int, default=10, help="how often each kind of failover is measured")
    parser.add_argument("--ways", default="planned,kill,hang", help="the kinds of failover that are measured")
    options = parser.parse_args()
    unknown = set(options.names) - {*NAMES, *SANDBOXED}
    if unknown:
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    os.environ["DEBUG"] = ""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    from tests.bench.harness import machine, start_services

    names = options.names or NAMES
    if set(names) & (set(NAMES) - {"autoscaling"}):  # that one is pure
        start_services()
    print(f"machine: {machine()}", flush=True)
    given = {
        "sizes": [int(word) for word in options.workers.split(",")],
        "seconds": options.seconds,
        "runs": options.runs,
        "ways": options.ways.split(","),
    }
    for name in names:
        began_s = time.monotonic()
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"tests.bench.{name}").run(**given)
        print(f"   ({time.monotonic() - began_s:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
