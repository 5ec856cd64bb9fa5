"""How a heartbeat is asked for, and a session of the shop's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from console.platform.declared import TaskDeclared
from console.platform.heartbeats_mysql import MysqlPulse
from console.platform.mysql import Mysql
from console.platform.readings import BeatOrder, BeatReading, PulseReading
from tests.mysql.server import MysqlServer

TASKS = (TaskDeclared("shop-cdc", "shop", "shop-cdc"), TaskDeclared("shop-archive", "shop", "shop-archive"))
ORDERS = tuple(BeatOrder(task.name, task.beats) for task in TASKS)
SECOND = timedelta(seconds=1)


def pulse_at(db: MysqlServer, query: str = "", port: int = 0) -> MysqlPulse:
    address = f"127.0.0.1:{port or db.port}"
    return MysqlPulse(Mysql("the source shop", f"mysql://console:p%40ss@{address}/{query}", "SHOP_URL"))


def beat(pulse: MysqlPulse, last: BeatReading | None = None) -> PulseReading:
    order = BeatOrder("shop-cdc", TASKS[0].beats, last.epoch if last else 0, last.seq if last else 0)
    return pulse.beat("shop", (order,))


class Session:
    """A session of the shop's own."""

    def __init__(self, db: MysqlServer) -> None:
        self.connection = db.connect(database="shop")
        self.id = self.connection.thread_id()

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def close(self) -> None:
        self.connection.close()
