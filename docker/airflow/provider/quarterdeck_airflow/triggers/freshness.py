"""Waits in the triggerer until the console proves that every table is complete. All of them share one request."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
from airflow.triggers.base import BaseTrigger, TriggerEvent

from quarterdeck_airflow.freshness.board import Board
from quarterdeck_airflow.freshness.client import Endpoint, acheck
from quarterdeck_airflow.freshness.question import (
    Answer,
    CheckError,
    Manner,
    NotAllowed,
    Question,
    Unavailable,
    conclude,
    cutoff_of,
    told,
)
from quarterdeck_airflow.hooks.quarterdeck import QuarterdeckHook

CONNECTION_KEPT_S = 300.0
"""A connection that was edited is used after this at the latest, at once where the old token is refused."""

_boards: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, Manner], Board]]
_boards = weakref.WeakKeyDictionary()


class Asker:
    """Asks by one Airflow connection: reads it once for all triggers, keeps the HTTP connection open."""

    def __init__(self, conn_id: str, manner: Manner) -> None:
        self._conn_id, self._manner = conn_id, manner
        self._endpoint: Endpoint | None = None
        self._client: httpx.AsyncClient | None = None
        self._read_at = 0.0

    async def __call__(self, questions: list[Question]) -> dict[Question, Answer]:
        endpoint = await self._connection()
        if self._client is None:
            self._client = httpx.AsyncClient(**endpoint.options)
        try:
            return await acheck(self._client, endpoint, questions, self._manner)
        except NotAllowed:
            self._read_at = 0.0
            raise

    async def _connection(self) -> Endpoint:
        if self._endpoint is not None and time.monotonic() - self._read_at < CONNECTION_KEPT_S and self._read_at:
            return self._endpoint
        try:
            fresh = await QuarterdeckHook(self._conn_id).aget_endpoint()
        except Exception as error:
            if self._endpoint is None:
                raise Unavailable(f"The connection {self._conn_id} can't be read ({error}).") from error
            return self._endpoint  # Airflow's API or database may be away for a moment
        if fresh != self._endpoint and self._client is not None:
            await self._client.aclose()
            self._client = None
        self._endpoint, self._read_at = fresh, time.monotonic()
        return fresh


def board(conn_id: str, manner: Manner) -> Board:
    """The running loop's board for that connection."""
    boards = _boards.setdefault(asyncio.get_running_loop(), {})
    key = (conn_id, manner)
    if key not in boards:
        boards[key] = Board(Asker(conn_id, manner))
    return boards[key]


class FreshnessTrigger(BaseTrigger):
    """Fires `{"state": "done", "proof": […]}`, or `blocked`, `timeout`, `refused`, `error` with a `text`.

    `deadline` is a moment, not a duration: a triggerer that restarts does not begin to wait anew.
    """

    def __init__(
        self,
        tables: Sequence[str],
        cutoff: str,
        conn_id: str,
        deadline: str,
        basis: str = "row",
        proof: str = "heartbeat",
        on_blocked: str = "wait",
        interval_s: float = 30.0,
    ) -> None:
        super().__init__()
        self.tables = list(tables)
        self.cutoff = cutoff
        self.conn_id = conn_id
        self.deadline = deadline
        self.basis = basis
        self.proof = proof
        self.on_blocked = on_blocked
        self.interval_s = interval_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "tables": self.tables,
            "cutoff": self.cutoff,
            "conn_id": self.conn_id,
            "deadline": self.deadline,
            "basis": self.basis,
            "proof": self.proof,
            "on_blocked": self.on_blocked,
            "interval_s": self.interval_s,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        yield TriggerEvent(await self._wait())

    async def _wait(self) -> dict[str, Any]:
        questions = [Question(table, cutoff_of(self.cutoff)) for table in self.tables]
        shared = board(self.conn_id, Manner(self.basis, self.proof))
        left_s = cutoff_of(self.deadline).timestamp() - datetime.now(UTC).timestamp()
        last, after_s = "Quarterdeck has not answered yet", 0.0
        try:
            async with asyncio.timeout(max(left_s, 0.0)):
                while True:
                    answers = await shared.answers(questions, interval_s=self.interval_s, after_s=after_s)
                    outcome = conclude(answers.values(), self.on_blocked)
                    if outcome.state == "done":
                        return {"state": "done", "proof": list(outcome.proof)}
                    if outcome.state == "blocked":
                        return {"state": "blocked", "text": outcome.text}
                    if outcome.text != last:
                        self.log.info("Waiting for %s: %s", told(questions[0].cutoff), outcome.text)
                    last, after_s = outcome.text, outcome.retry_after_s or 0.0
        except TimeoutError:
            return {"state": "timeout", "text": last}
        except NotAllowed as error:
            return {"state": "error", "text": str(error)}
        except CheckError as error:
            return {"state": "refused", "text": str(error)}
