"""A fleet's autoscaling as its page shows it: the card of the last decision, the list of those before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from console.fleets import rows as ask
from console.fleets.facts import Sights
from console.fleets.models import ScalingDecision
from console.fleets.scaling.policy import INTERVAL_S
from console.fleets.scaling.told import NOTHING, Told, told
from console.fleets.sources import SCALED
from console.lib import listing
from console.lib.listing import Listing, Pager, Tab
from console.lib.status import Status
from console.lib.words import count
from console.operations.models import Operation
from console.operations.pages import url_of

PAGE = 50
TONES = {"out": "work", "in": "drain", "blind": "unk", "hold": "mute"}


@dataclass(frozen=True)
class DecisionRow:
    """One decision: what it came to (`+3`, `−1`, `hold`), the sentence, and what became of it."""

    at: datetime
    tone: str
    word: str
    because: str
    came: str
    operation: str  # OP-7, or ""
    url: str


@dataclass(frozen=True)
class ScalingCard:
    """What the autoscaler last thought. `stale` is why its last decision is not one of now; "" when it is."""

    told: Told
    status: Status
    word: str
    sentence: str
    lines: tuple[tuple[str, str], ...]
    inputs: tuple[tuple[str, object, str], ...]
    remarks: tuple[str, ...]
    decisions: tuple[DecisionRow, ...]
    as_of: datetime | None
    limit_s: float = SCALED.limit_s
    every_s: float = INTERVAL_S

    @property
    def on(self) -> bool:
        return self.told.on


def scaling_card(queue: str, now: datetime, sights: Sights) -> ScalingCard:
    """Three to four queries."""
    it = told([queue], now).get(queue, NOTHING)
    rows = ask.news(queue)
    last = it.last
    current = last is not None and it.on and (now - last.at).total_seconds() <= SCALED.limit_s
    return ScalingCard(
        told=it,
        status=_status(it, last, current),
        word=_word(it, last, current),
        sentence=_sentence(it, last, current),
        lines=tuple((word, text) for word, text in last.inputs.get("lines", ())) if last and current else (),
        inputs=_inputs(last.inputs) if last and current else (),
        remarks=tuple(last.inputs.get("remarks", ())) if last and current else (),
        decisions=decision_rows(rows),
        as_of=last.at if last and it.on else None,
    )


def _status(it: Told, last: ScalingDecision | None, current: bool) -> Status:
    if not it.on:
        return Status.HEALTHY if it.declared == "off" else Status.DEGRADED
    if last is None or not current or last.action == "blind":
        return Status.UNKNOWN
    return Status.DEGRADED if last.outcome and it.mode == "console" else Status.HEALTHY


def _word(it: Told, last: ScalingDecision | None, current: bool) -> str:
    if not it.on:
        return "off" if it.declared == "off" else "switched off"
    if last is None or not current:
        return "no decision"
    return {"blind": "held: blind"}.get(last.action, it.word)


def _sentence(it: Told, last: ScalingDecision | None, current: bool) -> str:
    if not it.on:
        if it.declared == "off":
            return "Nobody asked for it in platform.yaml: only people change the number of workers."
        return "People switched it off: nothing is added or drained by itself."
    if last is None:
        return "It is on, and nothing was decided yet: the console's worker or beat may be behind."
    return last.because if current else f"Nothing was decided lately. The last one: {last.because}"


def _inputs(it: Mapping[str, Any]) -> tuple[tuple[str, object, str], ...]:
    """Word, value (None: it could not be seen), remark."""
    launching, leaving = it.get("launching") or 0, it.get("leaving") or 0
    way = ", ".join(
        part
        for part in (f"{launching} launching" if launching else "", f"{leaving} leaving" if leaving else "")
        if part
    )
    known, tasks = it.get("known") or 0, (it.get("queued") or 0) + (it.get("running") or 0)
    return (
        ("Queued", it.get("queued"), f"broker: {it['depth']}" if it.get("depth") is not None else ""),
        ("Running", it.get("running"), f"{known} of {count(tasks, 'task')} with a history" if tasks else ""),
        ("Workers", it.get("in_service"), way),
        ("Group wants", it.get("group_desired"), ""),
        ("Slots each", it.get("slots"), ""),
        ("Boot", f"{it['boot_s']:.0f} s" if it.get("boot_s") else None, str(it.get("boot", ""))),
    )


def decision_rows(rows: Sequence[ScalingDecision]) -> tuple[DecisionRow, ...]:
    """As a list shows them; one query for the operations they asked for."""
    operations = Operation.objects.in_bulk([row.operation for row in rows if row.operation])
    return tuple(_row(row, operations.get(row.operation or 0)) for row in rows)


def _row(row: ScalingDecision, operation: Operation | None) -> DecisionRow:
    delta = row.delta
    word = f"+{delta}" if delta > 0 else f"−{-delta}" if delta < 0 else "hold"
    came = row.outcome
    if operation is not None:
        came = operation.outcome or operation.state
    return DecisionRow(
        at=row.at,
        tone=TONES.get(row.action, "mute") if not (row.outcome and delta) else "warn",
        word=word,
        because=row.because,
        came=came,
        operation=f"OP-{operation.pk}" if operation else "",
        url=url_of(operation) if operation else "",
    )


@dataclass(frozen=True)
class DecisionsPage:
    """`/fleets/QUEUE/decisions/`: what was decided, newest first; state `all` with every repetition of two days."""

    queue: str
    rows: tuple[DecisionRow, ...]
    pager: Pager
    listing: Listing
    tabs: tuple[Tab, ...]


def decisions_page(queue: str, query: Mapping[str, str]) -> DecisionsPage:
    """Four queries, however many decisions there are."""
    wanted = listing.read(query, states=["all"], columns=["at"], default_sort="-at")
    everything = ScalingDecision.objects.filter(queue=queue)
    news = everything.filter(news=True)
    numbers = {"": news.count(), "all": everything.count()}
    pager = listing.pager(wanted, numbers[wanted.state], PAGE)
    chosen = everything if wanted.state == "all" else news
    rows = chosen.order_by("-at", "-pk")[pager.start : pager.start + PAGE]
    tabs = listing.tabs(wanted, (("", "News", numbers[""]), ("all", "Every one", numbers["all"])))
    return DecisionsPage(queue, decision_rows(list(rows)), pager, wanted, tabs)
