"""A kind of operation: what it takes, what it would touch, how it observes, decides and acts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from console.operations.rules import JSON, Decision, Ledger, Orders
from console.platform.ports import Ports

S = TypeVar("S")
O = TypeVar("O")  # noqa: E741 - the observation


class Invalid(Exception):
    """Parameters that can't be accepted: the fields, each with what is wrong and the remedy."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in errors.items()))
        self.errors = dict(errors)


@dataclass(frozen=True)
class Check:
    """One line of a preflight. `ok` None: it can't be seen now. A `blocking` one that is not ok refuses the submit."""

    text: str
    ok: bool | None
    blocking: bool = True


@dataclass(frozen=True)
class Plan:
    """What an operation would do, shown before it is asked for; `id` stands for exactly this plan."""

    kind: str
    target: str
    parameters: Mapping[str, JSON]
    checks: tuple[Check, ...] = ()
    touches: tuple[str, ...] = ()  # sentences: what will change
    at_risk: tuple[str, ...] = ()  # work that may be lost, by name
    confirm: str | None = None  # what must be typed before this may be submitted

    @property
    def refusals(self) -> tuple[str, ...]:
        return tuple(check.text for check in self.checks if check.blocking and check.ok is not True)

    @property
    def id(self) -> str:
        """A hash of what matters: parameters, verdicts, what is touched and risked."""
        text = json.dumps(asdict(self), sort_keys=True, default=str, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


Action = Callable[[Ports, Mapping[str, JSON]], None]


@dataclass(frozen=True)
class Kind(Generic[S, O]):
    """Everything the engine needs of one kind. Rules are pure; `observe` and the actions are thin shells.

    `clean` turns what was sent into parameters or raises `Invalid`. `targets` names what is held alone, the main one
    first. `plan` reads snapshots only. `dump` and `load` carry the rule's state over upgrades of the console: `load`
    gets the version that it was dumped with, and understands every earlier one.
    """

    name: str
    title: Callable[[Mapping[str, JSON]], str]
    clean: Callable[[Mapping[str, JSON]], dict[str, JSON]]
    targets: Callable[[Mapping[str, JSON]], tuple[str, ...]]
    plan: Callable[[Mapping[str, JSON], datetime], Plan]
    start: Callable[[Mapping[str, JSON]], S]
    dump: Callable[[S], JSON]
    load: Callable[[JSON, int], S]
    version: int
    observe: Callable[[Ports, Mapping[str, JSON], S, datetime], O]
    decide: Callable[[Mapping[str, JSON], S, O, Ledger, Orders, datetime], Decision[S]]
    actions: Mapping[str, Action] = field(default_factory=dict)
    role: str = "operator"
    can_pause: bool = False
    can_abort: Callable[[S], bool] = lambda state: True
    orders: frozenset[str] = frozenset()  # words a person may order at any time ("undrain")
    topics: tuple[str, ...] = ()  # of `console.live`: further pages that show it while it runs
    mark: str = ""  # kind of the marks that its beginning and end leave on the axis of every chart; "": none


_kinds: dict[str, Kind[Any, Any]] = {}


def register(kind: Kind[Any, Any]) -> None:
    """Make a kind known (from an app's `ready`)."""
    _kinds[kind.name] = kind


def get(name: str) -> Kind[Any, Any]:
    """The kind of this name; KeyError when no app has registered it."""
    return _kinds[name]


def topics_of(name: str) -> tuple[str, ...]:
    """The live topics of an operation of this kind; of one that this console no longer knows only `operations`."""
    return ("operations", *_kinds[name].topics) if name in _kinds else ("operations",)


def names() -> tuple[str, ...]:
    return tuple(sorted(_kinds))
