"""`python -m tests.bench [names] [--workers 100,1000,5000] [--seconds 20]`: run the named measurements, or all."""

from __future__ import annotations

import argparse
import importlib
import os
import time

NAMES = ("watcher", "pages", "flower")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; all by default")
    parser.add_argument("--workers", default="100,1000,5000", help="sizes of the fleet")
    parser.add_argument("--seconds", type=float, default=20, help="how long each measurement of the watcher takes")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    os.environ["DEBUG"] = ""
    from tests.bench.harness import machine, start_services

    start_services()
    print(f"machine: {machine()}", flush=True)
    sizes = [int(word) for word in options.workers.split(",")]
    for name in options.names or NAMES:
        began_s = time.monotonic()
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"tests.bench.{name}").run(sizes=sizes, seconds=options.seconds)
        print(f"   ({time.monotonic() - began_s:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
