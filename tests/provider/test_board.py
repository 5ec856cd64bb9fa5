"""Thousands wait, one request per interval: against a real HTTP server."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime

import httpx
import pytest
from quarterdeck_airflow.freshness import board as boards
from quarterdeck_airflow.freshness.board import Board
from quarterdeck_airflow.freshness.client import Endpoint, acheck
from quarterdeck_airflow.freshness.question import Answer, Manner, NotAllowed, Question, Refused, Verdict

from tests.provider.made import MOST_ITEMS, TOKEN, FakeConsole

CUTOFF = datetime(2026, 11, 22, tzinfo=UTC)
SENSORS = 2000


def q(table: str) -> Question:
    return Question(table, CUTOFF)


class Asking:
    """A board that asks the fake console by HTTP."""

    def __init__(self, console: FakeConsole, token: str = TOKEN) -> None:
        self.endpoint = Endpoint(console.url, token, timeout_s=5)
        self.client = httpx.AsyncClient(**self.endpoint.options)
        self.board = Board(self.ask, gather_s=0.1, chance=random.Random(1))

    async def ask(self, questions: list[Question]) -> dict[Question, Answer]:
        return await acheck(self.client, self.endpoint, questions, Manner())

    async def until_complete(self, table: str, interval_s: float = 1.0) -> int:
        """Wait as a trigger does; how many answers it took."""
        rounds = 0
        while True:
            rounds += 1
            found = await self.board.answers([q(table)], interval_s=interval_s)
            if found[q(table)].verdict is Verdict.COMPLETE:
                return rounds


def pace(console: FakeConsole) -> float:
    """Seconds between arrivals, two by two: on a busy machine one arrives late, and the next seems early for it."""
    at = [moment for moment, _ in console.requests]
    return min(later - earlier for earlier, later in zip(at, at[2:], strict=False)) / 2


def test_two_thousand_sensors_make_one_request_per_interval(console: FakeConsole) -> None:
    """Each waits for a table of its own; they begin over a moment, as a triggerer loads them. The console takes a
    thousand questions in one request: so they take turns.
    """

    async def scene() -> None:
        asking = Asking(console)

        async def sensor(number: int) -> int:
            await asyncio.sleep(random.random() * 1.5)
            return await asking.until_complete(f"t{number}")

        waiting = [asyncio.create_task(sensor(number)) for number in range(SENSORS)]
        await asyncio.sleep(5.5)
        assert not any(task.done() for task in waiting)
        console.verdicts = {f"t{number}": "complete" for number in range(SENSORS)}
        await asyncio.gather(*waiting)
        await asking.client.aclose()

    began = time.monotonic()
    asyncio.run(scene())
    took = time.monotonic() - began
    assert len(console.requests) <= took + 1, "more than one request per interval of a second"
    assert len(console.requests) >= 4, "it stopped asking"
    assert pace(console) > 0.8
    assert max(items for _, items in console.requests) == MOST_ITEMS
    asked = [{item["table"] for item in body["items"]} for body in console.bodies]
    # Two ask for everybody; the verdicts may have changed while one was on its way, which then told only some.
    assert len(asked[-1] | asked[-2] | asked[-3]) == SENSORS, "the last requests ask for everybody"


def test_the_same_question_is_asked_once(console: FakeConsole) -> None:
    console.verdicts = {"orders": "complete"}

    async def scene() -> None:
        asking = Asking(console)
        await asyncio.gather(*(asking.until_complete("orders") for _ in range(500)))

    asyncio.run(scene())
    assert [items for _, items in console.requests] == [1]


def test_an_outage_is_waited_out(console: FakeConsole) -> None:
    console.fail, console.verdicts = 503, {"orders": "complete"}

    async def scene() -> None:
        asking = Asking(console)
        task = asyncio.create_task(asking.until_complete("orders"))
        await asyncio.sleep(2.5)
        assert not task.done()
        console.fail = None
        assert await asyncio.wait_for(task, 8) == 1

    asyncio.run(scene())
    assert len(console.requests) >= 3
    assert pace(console) > 0.8


def test_a_console_that_is_gone_is_waited_for(console: FakeConsole) -> None:
    async def scene() -> None:
        asking = Asking(console)
        console.stop()
        task = asyncio.create_task(asking.until_complete("orders"))
        await asyncio.sleep(0.6)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())


def test_it_asks_ever_less_often_while_nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(None, chance=random.Random(3))  # type: ignore[arg-type]
    holds = []
    for _ in range(12):
        board._away(NotAllowed("no"))
        holds.append(board._hold_s)
    assert holds[0] <= 2
    assert max(holds) <= boards.LONGEST_BACK_OFF_S
    assert min(holds[7:]) >= boards.LONGEST_BACK_OFF_S / 2
    assert len(set(holds)) == 12, "no jitter: every triggerer would ask at the same moment"


@pytest.mark.parametrize("names_tables", [True, False])
def test_one_untracked_table_takes_the_answer_from_nobody_else(console: FakeConsole, names_tables: bool) -> None:
    console.names_tables, console.untracked = names_tables, {"t3"}
    console.verdicts = {f"t{number}": "complete" for number in range(9)}

    async def scene() -> list[object]:
        asking = Asking(console)
        waiting = (asking.until_complete(f"t{number}") for number in range(9))
        return list(await asyncio.gather(*waiting, return_exceptions=True))

    found = asyncio.run(scene())
    assert isinstance(found.pop(3), Refused)
    assert found == [1] * 8


def test_a_wrong_token_fails_after_some_tries_and_is_told_nowhere(
    console: FakeConsole, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        await Asking(console, token="qd_wrong").until_complete("orders")

    with pytest.raises(NotAllowed) as caught:
        asyncio.run(scene())
    assert len(console.requests) == boards.REFUSALS_TO_FAIL
    assert "qd_wrong" not in caplog.text + str(caught.value)


def test_who_was_told_to_come_back_later_is_not_asked_for_meanwhile(console: FakeConsole) -> None:
    async def scene() -> None:
        asking = Asking(console)
        later = asyncio.create_task(asking.board.answers([q("late")], interval_s=1, after_s=2.2))
        await asking.board.answers([q("now")], interval_s=1)
        assert not later.done()
        await later

    asyncio.run(scene())
    assert [[item["table"] for item in body["items"]] for body in console.bodies] == [["now"], ["late"]]


def test_a_fault_of_ours_reaches_everyone_who_waits() -> None:
    async def broken(questions: list[Question]) -> dict[Question, Answer]:
        raise ZeroDivisionError

    async def scene() -> list[object]:
        board = Board(broken, gather_s=0.01)
        waiting = (board.answers([q(f"t{number}")], interval_s=1) for number in range(3))
        return list(await asyncio.gather(*waiting, return_exceptions=True))

    assert [type(error) for error in asyncio.run(scene())] == [ZeroDivisionError] * 3
