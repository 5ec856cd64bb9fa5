"""Error budgets of 10,000 tables, all bad for three days: the poll that notes it, and the reckoning of all of them."""

from __future__ import annotations

import time
from datetime import timedelta

from tests.bench.freshness import TABLES
from tests.bench.harness import p50, table
from tests.bench.polls import in_transaction, names

POLLS, DAYS, SLO_S = 12, 3, 60.0
GOAL = "goals: all burns right within a few polls; a poll of 10,000 tables under 2 s"


def run(**_: object) -> None:
    from django.db import connection
    from django.utils import timezone

    from console.freshness import budget, minutes
    from console.freshness.records import Burning
    from tests.freshness import made
    from tests.freshness.story import Story

    tables = [made.table(name, SLO_S) for name in names(TABLES)]
    story = Story(timezone.now() - timedelta(minutes=20), tables)
    # Each was loaded at a moment of its own: no two rows are alike.
    for number, each in enumerate(tables):
        story.loaded_at[each.name] = story.now - timedelta(days=3, seconds=number)
    for _ in range(18):
        in_transaction(story.step)
    rows = []
    for kind in ("all are well", "all are late, since now", f"all are late, for {DAYS} days"):
        if kind != "all are well" and story.held_since is None:
            story.held_since = story.now
            for _ in range(6):  # so long until they are
                in_transaction(story.step)
        if str(DAYS) in kind:
            last = minutes.minute_of(story.now) - 1
            bits = minutes.masks(last - DAYS * 1440, last)
            with connection.cursor() as cursor:
                cursor.execute("UPDATE freshness_tablesnapshot SET known_since = now() - interval '4 days'")
                cursor.execute(
                    'INSERT INTO freshness_badhour (hour, "table", bits) SELECT h.hour, t.name, h.bits'
                    " FROM unnest(%s::bigint[], %s::bigint[]) AS h(hour, bits), freshness_tablesnapshot AS t"
                    ' ON CONFLICT (hour, "table") DO UPDATE SET bits = excluded.bits',
                    [list(bits), list(bits.values())],
                )
                cursor.execute(
                    "INSERT INTO freshness_watchedhour SELECT * FROM unnest(%s::bigint[], %s::bigint[])"
                    " ON CONFLICT (hour) DO UPDATE SET bits = excluded.bits",
                    [list(bits), list(bits.values())],
                )
                cursor.execute("ANALYZE freshness_badhour")
        polls, reckoned, right_after = [], [], 0
        for number in range(POLLS):
            began_s = time.perf_counter()
            in_transaction(story.step)
            polls.append(time.perf_counter() - began_s)
            began_s = time.perf_counter()
            budget.reckon(story.now)
            reckoned.append(time.perf_counter() - began_s)
            if not right_after and Burning.objects.count() == TABLES * (kind != "all are well"):
                right_after = number + 1
        figures = [f"{value:.2f} s" for value in (p50(polls), max(polls), p50(reckoned), max(reckoned))]
        rows.append((kind, *figures, right_after or "never"))
    heads = (f"{TABLES:,} tables", "poll p50", "worst", "reckoning p50", "worst", "right after so many polls")
    table(heads, rows)
    print(f"  {GOAL}")
