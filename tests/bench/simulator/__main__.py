"""`python -m tests.bench.simulator`; see the package's docstring."""

from __future__ import annotations

import argparse
import random
import signal
import sys

import redis

from tests.bench.simulator.fleet import Fleet


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    p = argparse.ArgumentParser(
        description="Simulate a fleet of Celery workers on a Redis broker.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.add_argument("--broker", default="redis://127.0.0.1:7480/0", help="Redis URL of a broker of your own")
    p.add_argument("--workers", type=int, default=10)
    p.add_argument("--queues", type=int, default=5, help="number of queues the workers are spread over")
    p.add_argument("--task-rate", type=float, default=0, help="task events per second, all kinds together")
    p.add_argument("--seconds", type=float, default=60, help="0: until SIGINT/SIGTERM")
    p.add_argument("--heartbeat", type=float, default=2.0, help="seconds between a worker's heartbeats")
    p.add_argument("--concurrency", type=int, default=16, help="pool size each worker reports")
    p.add_argument("--runtime", type=float, default=2.0, help="mean task runtime, seconds (exponential)")
    p.add_argument("--long-tasks", type=int, default=1, help="tasks every worker has active for ever")
    p.add_argument("--fail-ratio", type=float, default=0.02)
    p.add_argument("--args", choices=["airflow", "plain"], default="airflow", help="shape of the task arguments")
    p.add_argument(
        "--no-sent-events",
        dest="sent_events",
        action="store_false",
        help="no task-sent events (as with Airflow's default settings)",
    )
    p.add_argument(
        "--task-events",
        choices=["on", "remote"],
        default="on",
        help="on: always sent (worker -E); remote: only after `control enable_events`",
    )
    p.add_argument("--silent-ratio", type=float, default=0.0, help="share of workers that never answer remote control")
    p.add_argument(
        "--reply-delay",
        type=float,
        nargs=2,
        metavar=("MIN", "MAX"),
        default=(0.0, 0.02),
        help="seconds before a worker answers remote control (uniform)",
    )
    p.add_argument("--churn", type=float, default=0.0, help="worker restarts per second, in the whole fleet")
    p.add_argument("--crash-ratio", type=float, default=0.5, help="share of restarts without worker-offline")
    p.add_argument("--downtime", type=float, default=15.0, help="seconds a restarted worker stays away")
    p.add_argument("--name-format", default="celery@worker-{:05d}")
    p.add_argument("--queue-format", default="queue-{:02d}")
    p.add_argument("--no-goodbye", action="store_true", help="end without worker-offline events (a mass crash)")
    p.add_argument("--stats-file", help="write counters here once a second, as JSON lines")
    p.add_argument("--max-late", type=float, default=1.0, help="tolerated lateness, seconds, before exit status 3")
    p.add_argument("--seed", type=int, default=1)
    opt = p.parse_args(argv)
    if opt.workers < 1 or opt.queues < 1:
        p.error("--workers and --queues must be at least 1")
    if opt.heartbeat <= 0 or opt.runtime <= 0:
        p.error("--heartbeat and --runtime must be positive")
    return opt


def main(argv: list[str] | None = None) -> int:
    opt = parse(argv)
    random.seed(opt.seed)
    try:
        fleet = Fleet(opt)
    except redis.RedisError as exc:
        print(f"simulator: cannot use the broker: {exc}", file=sys.stderr)
        return 2

    def stop(*_):
        fleet.stopping = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    try:
        return fleet.run()
    except (redis.RedisError, OSError) as exc:
        print(f"simulator: lost the broker: {exc!r}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
