"""A simulated day under several ways of scaling, side by side: what it costs, and how long tasks wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from console.fleets.scaling.policy import Policy
from console.fleets.scaling.simulate import Ours, Outcome, Strategy, plain, simulate, smallest_static, static
from tests.fleets.scaling.day import BASELINE, BOOT_S, MAXIMUM, SLOTS, START, day

POLICY = Policy(baseline=BASELINE, maximum=MAXIMUM, slots=SLOTS)
EAGER = replace(POLICY, target_wait_s=10.0)


def run(**_: Any) -> None:
    """One table per day (three seeds): nothing is averaged away."""
    for seed in (1, 2, 3):
        load = day(seed)
        work = sum(job.takes_s for job in load.jobs) / 3600 / SLOTS
        print(f"   day {seed}: {len(load.jobs)} tasks, {work:.0f} worker-hours of work at full slots; ", end="")
        print(f"{SLOTS} slots a worker, boot {BOOT_S:.0f} s, bounds {BASELINE} to {MAXIMUM}")

        def one(strategy: Strategy, first: int = BASELINE, load: Any = load) -> Outcome:
            return simulate(load, strategy, slots=SLOTS, boot_s=BOOT_S, first=first, start=START)

        rows: list[tuple[str, Outcome]] = [(f"static peak, {MAXIMUM} workers", one(static(MAXIMUM), MAXIMUM))]
        usual, eager = one(Ours(POLICY)), one(Ours(EAGER))
        for outcome, of in ((usual, "Quarterdeck"), (eager, "Quarterdeck, 10 s")):
            wait_s = outcome.wait_s(95)
            least, its = smallest_static(load, wait_s, MAXIMUM, slots=SLOTS, boot_s=BOOT_S, start=START)
            rows.append((f"smallest static with the p95 of {of}: {least}", its))
        rows.append(("plain ⌈(queued + running) / slots⌉", one(plain(POLICY))))
        rows.append(("Quarterdeck, target wait 60 s (default)", usual))
        rows.append(("Quarterdeck, target wait 10 s", eager))
        rows.append(("  default without scheduled peaks", one(Ours(replace(POLICY, scheduled_peaks=False)))))
        rows.append(("  default without expected work", one(Ours(replace(POLICY, expected_work=False)))))
        _table(rows)


def _table(rows: list[tuple[str, Outcome]]) -> None:
    print(f"   {'':58s} worker-h  boot-h  idle-h  launches  p50 wait  p95 wait  p99 wait")
    for word, it in rows:
        waits = "  ".join(f"{it.wait_s(percent):6.1f} s" for percent in (50, 95, 99))
        paid = f"{it.worker_hours:8.1f}  {it.boot_hours:6.1f}  {it.idle_hours:6.1f}"
        print(f"   {word:58s} {paid}  {it.launches:8d}  {waits}")
