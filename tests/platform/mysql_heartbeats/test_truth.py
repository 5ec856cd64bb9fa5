"""Writers at a real server against what its heartbeats call safe. `TRUTH_S=60` lets them run for so long."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from datetime import datetime

from console.platform.heartbeats_mysql import MysqlPulse
from tests.mysql.server import MysqlServer
from tests.platform.mysql_heartbeats.pulse import Session, beat

TRUTH_S = float(os.environ.get("TRUTH_S", "6"))


def test_no_row_stamped_before_what_a_beat_calls_safe_comes_after_it_and_the_beats_own_moment_would_be_wrong(
    pulse: MysqlPulse, db: MysqlServer, session: Callable[[], Session]
) -> None:
    """Writers stamp rows by the server's clock and commit later, some by XA; locks make statements wait."""
    ends_s = time.monotonic() + TRUTH_S
    insert = "INSERT INTO orders (at) VALUES (UTC_TIMESTAMP(6))"

    def write(number: int) -> None:
        mine, pick = session(), random.Random(number)
        while time.monotonic() < ends_s:
            match pick.choice((0, 0, 0, 1, 1, 1, 1, 2, 3)):
                case 0:
                    mine.run(insert)
                case 1:
                    mine.run("BEGIN", insert, f"DO SLEEP({pick.random() / 2:.3f})", insert, "COMMIT")
                case 2:
                    name = f"'{number}'"
                    mine.run(f"XA START {name}", insert, f"XA END {name}", f"XA PREPARE {name}")
                    time.sleep(pick.random() / 4)
                    mine.run(f"XA COMMIT {name}")
                case 3:
                    mine.run("LOCK TABLES orders WRITE", f"DO SLEEP({pick.random() / 20:.3f})", "UNLOCK TABLES")

    def arrived(before: datetime) -> int:
        ((number,),) = look.run(f"SELECT COUNT(*) FROM orders WHERE at < '{before:%Y-%m-%d %H:%M:%S.%f}'")
        return int(number)

    look = session()
    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    claims, claims_naive = [], []
    while time.monotonic() < ends_s:
        only = beat(pulse).beats[0]
        if only.row_safe_before is not None and only.prepared_count == 0:
            claims.append((only.row_safe_before, arrived(only.row_safe_before)))
        claims_naive.append((only.beat_at, arrived(only.beat_at)))
    for writer in writers:
        writer.join()
    assert len(claims) > 3
    assert [(at, then) for at, then in claims if arrived(at) != then] == []
    assert [at for at, then in claims_naive if arrived(at) != then] != []
