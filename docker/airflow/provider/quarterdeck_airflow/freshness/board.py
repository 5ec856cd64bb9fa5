"""One board per event loop and connection: what every waiting trigger asks, sent as one request per interval.

Invariants:
- Two requests begin at least `interval_s` apart, however many wait: more questions than one request may hold take
  turns, those who have waited longest first. (Only a refused batch is asked in parts at once, to find the question that
  spoils it; that question then leaves the board for good.)
- A console that is away loses nobody: those who wait go on waiting, the board asks ever less often, each board at its
  own moments.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from quarterdeck_airflow.freshness.question import Answer, CheckError, NotAllowed, Question, Refused, Unavailable

log = logging.getLogger(__name__)

Ask = Callable[[list[Question]], Awaitable[dict[Question, Answer]]]

SHORTEST_S = 1.0
GATHER_S = 0.5
"""A triggerer that starts loads its triggers over a moment: the first request waits for them."""
LONGEST_BACK_OFF_S = 120.0
LONGEST_PAUSE_S = 300.0
"""A question is asked again after this at the latest, whatever the console said about when to come back."""
MOST_QUESTIONS = 1000
"""What the console takes in one request."""
REFUSALS_TO_FAIL = 3
"""Refused tokens in a row. One can be a token that was just replaced."""


@dataclass(eq=False)
class _Waiter:
    questions: tuple[Question, ...]
    interval_s: float
    not_before: float
    answered: asyncio.Future[dict[Question, Answer]] = field(repr=False)


class Board:
    """Answers to questions, in rounds. Belongs to one event loop; not safe for threads."""

    def __init__(self, ask: Ask, *, gather_s: float = GATHER_S, chance: random.Random | None = None) -> None:
        self._ask = ask
        self._gather_s = gather_s
        self._chance = chance or random.Random()
        self._waiters: set[_Waiter] = set()
        self._pump: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._last: float | None = None  # when the last request began
        self._hold_s = 0.0  # what an outage adds
        self._failures = 0
        self._refusals = 0

    async def answers(
        self, questions: Iterable[Question], *, interval_s: float, after_s: float = 0.0
    ) -> dict[Question, Answer]:
        """The answers to all of these from one reply, of a request begun at least `after_s` from now.

        Waits as long as the console is away. Raises Refused where one of these questions is wrong, NotAllowed where the
        token stays refused.
        """
        loop = asyncio.get_running_loop()
        waiter = _Waiter(
            tuple(questions), max(interval_s, SHORTEST_S), loop.time() + min(after_s, LONGEST_PAUSE_S),
            loop.create_future(),
        )  # fmt: skip
        self._waiters.add(waiter)
        self._changed.set()
        if self._pump is None or self._pump.done():
            # A context of its own: the pump outlives the trigger that happened to start it, and logs for all.
            self._pump = loop.create_task(self._rounds(), context=contextvars.Context())
        try:
            return await waiter.answered
        finally:
            self._waiters.discard(waiter)

    async def _rounds(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiters:
                self._changed.clear()
                pause = self._next() - loop.time()
                if pause > 0:
                    try:
                        async with asyncio.timeout(pause):
                            await self._changed.wait()  # somebody new may be due earlier
                        continue
                    except TimeoutError:
                        pass
                due = [waiter for waiter in self._waiters if waiter.not_before <= loop.time()]
                if due:
                    await self._round(_turn(due))
        except Exception as error:
            for waiter in self._waiters:
                _fail(waiter, error)
            raise

    def _next(self) -> float:
        """When the next request may begin."""
        first = min(waiter.not_before for waiter in self._waiters) + self._gather_s
        if self._last is None:
            return first
        interval = min(waiter.interval_s for waiter in self._waiters)
        spread = 1 + 0.1 * self._chance.random()  # two triggerers don't go on asking at the same moment
        return max(first, self._last + max(interval * spread, self._hold_s))

    async def _round(self, due: Sequence[_Waiter]) -> None:
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        questions = sorted({question for waiter in due for question in waiter.questions})
        try:
            answers, refused = await self._asked(questions)
        except Unavailable as error:
            self._away(error)
            return
        except NotAllowed as error:
            self._refusals += 1
            if self._refusals >= REFUSALS_TO_FAIL:
                for waiter in due:
                    _fail(waiter, error)
            self._away(error)
            return
        if self._failures:
            log.info("Quarterdeck answers again after %d failed requests.", self._failures)
        self._failures = self._refusals = 0
        self._hold_s = 0.0
        for waiter in due:
            bad = next((refused[question] for question in waiter.questions if question in refused), None)
            if bad is not None:
                _fail(waiter, bad)
            elif not waiter.answered.done():
                waiter.answered.set_result({question: answers[question] for question in waiter.questions})

    def _away(self, error: CheckError) -> None:
        self._failures += 1
        ceiling = min(LONGEST_BACK_OFF_S, 2.0 ** min(self._failures, 10))
        self._hold_s = self._chance.uniform(ceiling / 2, ceiling)
        if isinstance(error, Unavailable) and error.retry_after_s is not None:
            self._hold_s = max(self._hold_s, min(error.retry_after_s, LONGEST_BACK_OFF_S))
        log.warning("%s %d sensors wait; asked again in %.0f s or later.", error, len(self._waiters), self._hold_s)

    async def _asked(self, questions: list[Question]) -> tuple[dict[Question, Answer], dict[Question, CheckError]]:
        """The answers, and those that are refused: one bad question must not take the answer from the others."""
        try:
            return await self._ask(questions), {}
        except Refused as error:
            if len(questions) == 1:
                return {}, {questions[0]: error}
            bad = [questions[place] for place in error.items]
            middle = len(questions) // 2
            parts = [questions[:middle], questions[middle:]]
            if bad and len(bad) < len(questions):
                parts = [bad, [question for question in questions if question not in set(bad)]]
        answers: dict[Question, Answer] = {}
        refused: dict[Question, CheckError] = {}
        for part in parts:
            found, not_these = await self._asked(part)
            answers |= found
            refused |= not_these
        return answers, refused


def _turn(due: Sequence[_Waiter]) -> list[_Waiter]:
    """Whose turn it is: as many as fit into one request, each with all of its questions, but one at least."""
    turn: list[_Waiter] = []
    questions: set[Question] = set()
    for waiter in sorted(due, key=lambda waiter: waiter.not_before):
        new = [question for question in waiter.questions if question not in questions]
        if not turn or len(questions) + len(new) <= MOST_QUESTIONS:
            turn.append(waiter)
            questions.update(new)
    return turn


def _fail(waiter: _Waiter, error: Exception) -> None:
    if not waiter.answered.done():
        waiter.answered.set_exception(error)
