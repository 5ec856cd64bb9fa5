"""What is asked of the console, what it answers, and what follows for a sensor. Pure.

Invariant: a sensor is done only where one answer says `complete` for every table it waits for; an answer that is
missing or can't be read is never taken for a good one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

BASES = ("row", "commit")
PROOFS = ("heartbeat", "estimated")
ON_BLOCKED = ("wait", "fail")


class Verdict(StrEnum):
    COMPLETE = "complete"
    PENDING = "pending"
    BLOCKED = "blocked"  # a person is needed
    UNKNOWN = "unknown"


class CheckError(Exception):
    """The console gave no verdict. The message is a sentence for the task's log; it never holds the token."""


class Unavailable(CheckError):
    """Out of reach, busy or broken: ask again later. `retry_after_s` where the console said when."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotAllowed(CheckError):
    """The token is missing, wrong or too weak."""


class Refused(CheckError):
    """The question itself is wrong (an untracked table, a cutoff without offset): asking again won't help.

    `items` are the places in the list of questions that the console named; empty where it named none.
    """

    def __init__(self, message: str, items: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.items = tuple(items)


@dataclass(frozen=True, order=True)
class Question:
    """Is everything before `cutoff` (UTC) there, in that table?"""

    table: str
    cutoff: datetime


@dataclass(frozen=True)
class Manner:
    """How a question is meant: on which basis, by which kind of proof."""

    basis: str = "row"
    proof: str = "heartbeat"


@dataclass(frozen=True)
class Answer:
    """The console's answer to one question. What it did not say is None."""

    question: Question
    verdict: Verdict
    status: str
    watermark: str | None
    lag_s: float | None
    eta: str | None
    limiting: str
    epoch: int | None
    proof_id: str | int | None
    reasons: tuple[str, ...]
    retry_after_s: float | None
    generation: int | None

    @property
    def proof(self) -> dict[str, Any]:
        """What a task keeps of it (JSON)."""
        return {
            "table": self.question.table,
            "cutoff": told(self.question.cutoff),
            "watermark": self.watermark,
            "epoch": self.epoch,
            "proof_id": self.proof_id,
            "generation": self.generation,
        }

    @property
    def sentence(self) -> str:
        """`app.public.orders pending (CATCHING_UP): complete up to …, 640 s behind, expected …, held up by task t1`."""
        parts = [f"complete up to {self.watermark}" if self.watermark else "no proven watermark"]
        if self.lag_s is not None:
            parts.append(f"{self.lag_s:.0f} s behind")
        if self.eta:
            parts.append(f"expected {self.eta}")
        if self.limiting:
            parts.append(f"held up by {self.limiting}")
        parts += self.reasons
        status = f" ({self.status})" if self.status else ""
        return f"{self.question.table} {self.verdict}{status}: {', '.join(parts)}"


@dataclass(frozen=True)
class Outcome:
    """What a sensor does next: `state` is done, wait or blocked."""

    state: str
    text: str
    proof: tuple[dict[str, Any], ...] = ()
    retry_after_s: float | None = None


def tables_of(value: object) -> tuple[str, ...]:
    """The tables of a task's argument: one name, several with commas between, or a list. Raises ValueError."""
    names = re.split(r"[,\s]+", value) if isinstance(value, str) else value
    if not isinstance(names, Iterable):
        raise ValueError(f"tables is {value!r}: give a table's name or a list of them.")
    found = []
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"tables holds {name!r}: each must be a table's name, such as shop.public.orders.")
        if name.strip():
            found.append(name.strip())
    if not found:
        raise ValueError("tables is empty: name at least one table, such as shop.public.orders.")
    return tuple(dict.fromkeys(found))


def cutoff_of(value: object) -> datetime:
    """A cutoff in UTC from a time or ISO 8601 text. Raises ValueError; one without an offset could mean any zone."""
    if isinstance(value, datetime):
        moment = value
    else:
        text = str(value).strip()
        if text in {"", "None"}:
            raise ValueError("cutoff is empty: this run has no data interval. Give the sensor a cutoff of its own.")
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"cutoff is {text[:100]!r}: give a time as ISO 8601, such as 2026-11-22T00:00:00Z."
            ) from None
    if moment.utcoffset() is None:
        raise ValueError(f"cutoff is {str(value)[:100]!r}, without an offset: say which zone, such as …T00:00:00Z.")
    return datetime.fromtimestamp(moment.timestamp(), UTC)


def one_of(name: str, value: object, allowed: Sequence[str]) -> str:
    """The value, where it is allowed. Raises ValueError naming the argument."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}: give one of {', '.join(allowed)}.")
    return str(value)


def told(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def body_of(questions: Sequence[Question], manner: Manner) -> dict[str, Any]:
    """The body of `POST freshness/check`; each item's key is its place."""
    items = [
        {"key": str(place), "table": question.table, "cutoff": told(question.cutoff)}
        for place, question in enumerate(questions)
    ]
    return {"items": items, "basis": manner.basis, "proof": manner.proof, "wait": 0}


def read(status: int, headers: Mapping[str, str], body: Any, questions: Sequence[Question]) -> dict[Question, Answer]:
    """The answers of one reply, one per question. Raises Unavailable, NotAllowed or Refused.

    `body` is the JSON, None where it was none. Header names are lower case.
    """
    if status == 200:
        return _answers(body, questions)
    detail = _detail(body) or f"status {status}"
    if status in {401, 403}:
        raise NotAllowed(f"Quarterdeck refuses the connection's token ({detail}).")
    if status in {408, 425, 429} or status >= 500:
        raise Unavailable(f"Quarterdeck can't answer now ({detail}).", _seconds(headers.get("retry-after")))
    if 300 <= status < 400:
        where = headers.get("location", "elsewhere")[:200]
        raise Refused(f"Quarterdeck's address leads on to {where}: put the final address into the connection.")
    raise Refused(f"Quarterdeck refuses the question: {detail}", _named(body, questions))


def _answers(body: Any, questions: Sequence[Question]) -> dict[Question, Answer]:
    try:
        generation = body.get("generation")
        items = {str(item["key"]): item for item in body["items"]}
        return {question: _answer(items[str(n)], question, generation) for n, question in enumerate(questions)}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Unavailable(f"Quarterdeck's answer can't be read ({type(error).__name__}: {error}).") from error


def _answer(item: Mapping[str, Any], question: Question, generation: int | None) -> Answer:
    limiting = item.get("limiting")
    if isinstance(limiting, Mapping):
        more = ", ".join(f"{key} {limiting[key]}" for key in ("user", "since") if limiting.get(key))
        limiting = " ".join(str(limiting[key]) for key in ("kind", "id") if limiting.get(key))
        limiting += f" ({more})" if more else ""
    lag, retry = item.get("lag_s"), item.get("retry_after_s")
    return Answer(
        question=question,
        verdict=Verdict(item["verdict"]),
        status=str(item.get("status") or ""),
        watermark=item.get("watermark"),
        lag_s=None if lag is None else float(lag),
        eta=item.get("eta"),
        limiting=str(limiting or ""),
        epoch=item.get("epoch"),
        proof_id=item.get("proof_id"),
        reasons=tuple(map(str, item.get("reasons") or ())),
        retry_after_s=None if retry is None else float(retry),
        generation=generation,
    )


def _detail(body: Any) -> str:
    """The problem in the console's words, with its fields."""
    if not isinstance(body, Mapping):
        return ""
    fields = body.get("errors")
    if isinstance(fields, Mapping):
        named = "; ".join(
            f"{name}: {' '.join(map(str, said)) if isinstance(said, list) else said}"
            for name, said in list(fields.items())[:5]
        )
    else:
        named = ""
    return " ".join(filter(None, (str(body.get("detail") or body.get("title") or ""), named)))[:1000]


def _named(body: Any, questions: Sequence[Question]) -> tuple[int, ...]:
    """Which items the problem names: 3 of a field `items.3.cutoff`, and those of its untracked `tables`."""
    if not isinstance(body, Mapping):
        return ()
    fields, tables = body.get("errors"), body.get("tables")
    hits = (re.search(r"items\.(\d{1,6})(\.|$)", str(name)) for name in (fields if isinstance(fields, Mapping) else ()))
    found = {place for hit in hits if hit and (place := int(hit[1])) < len(questions)}
    if isinstance(tables, Mapping):
        found |= {place for place, question in enumerate(questions) if question.table in tables}
    return tuple(sorted(found))


def _seconds(text: str | None) -> float | None:
    try:
        return max(float(text), 0.0) if text else None
    except ValueError:
        return None  # the other form, a date, isn't worth reading: the back-off serves


def conclude(answers: Iterable[Answer], on_blocked: str) -> Outcome:
    """What follows from one look at all tables of a sensor. `answers` must hold one per table."""
    found = list(answers)
    open_ones = [answer for answer in found if answer.verdict is not Verdict.COMPLETE]
    if found and not open_ones:
        return Outcome("done", f"{len(found)} complete", tuple(answer.proof for answer in found))
    blocked = [answer for answer in open_ones if answer.verdict is Verdict.BLOCKED]
    shown = blocked or open_ones
    text = "; ".join(answer.sentence for answer in shown[:5])
    if len(shown) > 5:
        text += f"; and {len(shown) - 5} more"
    if blocked and on_blocked == "fail":
        return Outcome("blocked", text)
    waits = [answer.retry_after_s for answer in open_ones if answer.retry_after_s is not None]
    # Every open table is needed: before the one that takes longest there is nothing to learn.
    return Outcome("wait", text, retry_after_s=max(waits) if waits else None)
