"""The newest stamps of declared tables: what a warehouse and sources of every engine have in common."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from console.platform.budget import Budget
from console.platform.ports import PlatformError
from console.platform.readings import TableEvidence, WarehouseReading

POLL_S = 8.0
CATALOGUE_S = 60.0
"""How long the database's own word on which tables it has is believed."""

Table = tuple[str, str, str]  # declared name, schema.table, column
Stamp = tuple[str | None, datetime | None]  # declared name (None: the server's clock) and newest stamp


class Changed(Exception):
    """A table or a column of the query is not there."""


class Denied(Exception):
    """A table of the query may not be read."""


@dataclass(frozen=True)
class Column:
    """What the database's catalogue has of one: its type's name, and the estimated rows of its table (0: unknown)."""

    type_name: str
    rows: float


@dataclass(frozen=True)
class Catalogue:
    """What the database has of the tables asked for."""

    asked: tuple[Table, ...]
    until: float  # monotonic
    present: tuple[Table, ...]
    missing: tuple[str, ...]
    unreadable: tuple[str, ...]
    rows: dict[str, int | None]  # the planner's estimate, by declared name


class Evidence(ABC):
    """One database in which tables are looked at. Safe for threads. Raises PlatformError.

    An engine says how its catalogue is read (`_columns`) and its newest stamps (`_stamps`, with aware moments).
    """

    times: frozenset[str]
    """Types of columns that are moments."""

    def __init__(self, system: str, *, poll_s: float = POLL_S) -> None:
        self._system = system
        self._poll_s = poll_s
        self._lock = threading.Lock()
        self._catalogue: Catalogue | None = None

    @abstractmethod
    def _columns(self, tables: Sequence[Table], budget: Budget) -> Mapping[Table, Column]:
        """Those that are there. Raises PlatformError."""

    @abstractmethod
    def _stamps(self, tables: Sequence[Table], budget: Budget) -> Sequence[Stamp]:
        """The server's clock, and the newest stamp of every table. Raises Changed, Denied."""

    def evidence(self, tables: Sequence[Table]) -> WarehouseReading:
        """The newest stamp of each `(declared name, schema.table, column)`.

        Tables that are not there, or whose column is not, are `missing`; those that may not be read, or whose column is
        no time, are `unreadable`. Neither hides the others.
        """
        began_s = time.monotonic()
        budget = Budget(self._system, self._poll_s)
        asked = tuple(dict.fromkeys(tables))
        catalogue = self._known(asked, budget)
        try:
            stamps = self._stamps(catalogue.present, budget)
        except Changed:  # since the catalogue was read
            catalogue = self._read_catalogue(asked, budget)
            catalogue, stamps = self._guarded(catalogue, budget)
        except Denied:
            catalogue, stamps = self._guarded(self._readable(catalogue, budget), budget)
        server_now = next(at for name, at in stamps if name is None)
        assert server_now is not None
        return WarehouseReading(
            tables=tuple(
                TableEvidence(name, at.astimezone(UTC) if at else None, catalogue.rows.get(name))
                for name, at in sorted((name, at) for name, at in stamps if name is not None)
            ),
            missing=catalogue.missing,
            unreadable=catalogue.unreadable,
            server_now=server_now.astimezone(UTC),
            took_s=time.monotonic() - began_s,
        )

    def _known(self, asked: tuple[Table, ...], budget: Budget) -> Catalogue:
        with self._lock:
            known = self._catalogue
        if known and known.asked == asked and known.until > time.monotonic():
            return known
        return self._read_catalogue(asked, budget)

    def _remember(self, catalogue: Catalogue) -> Catalogue:
        with self._lock:
            self._catalogue = catalogue
        return catalogue

    def _read_catalogue(self, asked: tuple[Table, ...], budget: Budget) -> Catalogue:
        found = self._columns(asked, budget) if asked else {}
        present = [table for table in asked if table in found and found[table].type_name in self.times]
        return self._remember(
            Catalogue(
                asked=asked,
                until=time.monotonic() + CATALOGUE_S,
                present=tuple(present),
                missing=tuple(table[0] for table in asked if table not in found),
                unreadable=tuple(table[0] for table in asked if table in found and table not in present),
                # -1, or 0 on Redshift: never counted
                rows={table[0]: int(found[table].rows) if found[table].rows > 0 else None for table in present},
            )
        )

    def _readable(self, catalogue: Catalogue, budget: Budget) -> Catalogue:
        """The catalogue without the tables that this user may not read: found out one by one, once a while."""
        denied = []
        for table in catalogue.present:
            try:
                self._stamps((table,), budget)
            except Denied:
                denied.append(table)
            except Changed:
                pass
        return self._remember(
            Catalogue(
                asked=catalogue.asked,
                until=time.monotonic() + CATALOGUE_S,
                present=tuple(table for table in catalogue.present if table not in denied),
                missing=catalogue.missing,
                unreadable=(*catalogue.unreadable, *(table[0] for table in denied)),
                rows=catalogue.rows,
            )
        )

    def _guarded(self, catalogue: Catalogue, budget: Budget) -> tuple[Catalogue, Sequence[Stamp]]:
        try:
            return catalogue, self._stamps(catalogue.present, budget)
        except (Changed, Denied):
            raise PlatformError(
                self._system,
                "rejected",
                f"the tables of {self._system} change while they are read",
                remedy="Is a migration under way? It is tried again.",
            ) from None
