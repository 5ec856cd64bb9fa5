"""What `/` finds: queues, workers, tables, pools, datastores, storages, DAGs at work, operations, incidents and pages,
by their names.

One query, however large the platform is. A hit is a name and where it is, never a state: that is on its own page, with
its age.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from django.db.models import Case, CharField, F, Min, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Cast, Concat, Length
from django.urls import is_valid_path

from console.datastores.models import Datastore
from console.fleets.figures import fleet_url, worker_url
from console.fleets.models import QueueSnapshot, RunningTask, Worker
from console.freshness.models import TableSnapshot
from console.incidents.models import Incident
from console.lib.nav import ENTRIES
from console.operations.models import Operation
from console.pools.models import PoolSnapshot
from console.storage.models import Store

OF_A_KIND = 6
TEXT_LIMIT = 100
WORDS = 5


@dataclass(frozen=True)
class Hit:
    """Something that was found. `about` tells it from others of its name."""

    kind: str  # page, queue, worker, table, pool, datastore, storage, DAG, operation, incident
    name: str
    about: str
    url: str
    icon: str


@dataclass(frozen=True)
class Found:
    """What was looked for, and the hits, nearest names first. `more`: of some kind there are more than were listed."""

    text: str
    hits: tuple[Hit, ...]
    more: bool


@dataclass(frozen=True)
class Kind:
    """Where to look for one kind of thing: its rows by `name`, `about` and `place`, and its page's address."""

    name: str
    icon: str
    rows: Callable[[], QuerySet[Any]]
    found: str
    about: Any
    place: Any
    url: Callable[[str, str], str]


def _text(expression: Any) -> Any:
    return Cast(expression, TextField())


KINDS = (
    Kind(
        "queue", "server-2", QueueSnapshot.objects.all, "queue", Value(""), Value(""), lambda name, _: fleet_url(name)
    ),
    Kind(
        "worker",
        "cpu",
        Worker.objects.listed,
        "node",
        Concat("home", Value(" "), "instance_id", Value(" "), "zone", output_field=TextField()),
        "home",
        lambda name, home: worker_url(home, name) if home else f"/fleets/?{urlencode({'q': name})}",
    ),
    Kind(
        "table",
        "table",
        TableSnapshot.objects.all,
        "name",
        "warehouse",
        Value(""),
        lambda name, _: f"/freshness/{quote(name, safe='')}/",
    ),
    Kind(
        "DAG",
        "affiliate",
        lambda: RunningTask.objects.values("dag_id").annotate(first_queue=Min("queue")),
        "dag_id",
        Concat(Value("at work in "), "first_queue", output_field=TextField()),
        "first_queue",
        lambda _, queue: fleet_url(queue),
    ),
    Kind(
        "pool",
        "stack-2",
        PoolSnapshot.objects.all,
        "name",
        "description",
        Value(""),
        lambda name, _: f"/pools/?{urlencode({'q': name})}",
    ),
    Kind(
        "datastore",
        "database",
        Datastore.objects.all,
        "id",
        Concat("kind", Value(" "), "identifier", output_field=TextField()),
        Value(""),
        lambda name, _: f"/datastores/#store-{quote(name, safe='')}",
    ),
    Kind(
        "storage",
        "archive",
        Store.objects.all,
        "id",
        "location",
        Value(""),
        lambda name, _: f"/storage/#store-{quote(name, safe='')}",
    ),
    Kind(
        "operation",
        "list-details",
        Operation.objects.all,
        "target",
        Concat(Value("OP-"), Cast("pk", CharField()), Value(" "), "kind", output_field=TextField()),
        Cast("pk", CharField()),
        lambda _, pk: f"/operations/{pk}/",
    ),
    Kind(
        "incident",
        "urgent",
        Incident.objects.all,
        "title",
        Concat(Value("INC-"), Cast("pk", CharField()), Value(" "), "target", output_field=TextField()),
        Cast("pk", CharField()),
        lambda _, pk: f"/incidents/{pk}/",
    ),
)
_BY_NAME = {kind.name: kind for kind in KINDS}


def search(text: str) -> Found:
    """Everything whose name or description holds every word of `text`; of each kind a handful. One query."""
    text = text.replace("\x00", "").strip()[:TEXT_LIMIT]
    words = text.split()[:WORDS]
    if not words:
        return Found("", (), False)
    first, *others = (_looked_up(kind, text, words) for kind in KINDS)
    rows = first.union(*others, all=True)
    seen: dict[str, list[tuple[int, Hit]]] = {}
    for name, kind, about, place, rank in rows:
        hit = Hit(kind, name, about.strip(), _BY_NAME[kind].url(name, place), _BY_NAME[kind].icon)
        seen.setdefault(kind, []).append((rank, hit))
    more = any(len(hits) > OF_A_KIND for hits in seen.values())
    order = {kind.name: number for number, kind in enumerate(KINDS)}
    ranked = [pair for hits in seen.values() for pair in hits[:OF_A_KIND]]
    ranked.sort(key=lambda pair: (pair[0], order[pair[1].kind]))  # stable: within a kind as the database gave them
    return Found(text, (*_pages(words), *(hit for _, hit in ranked)), more)


def _pages(words: list[str]) -> list[Hit]:
    return [
        Hit("page", entry.word, "", entry.url, entry.icon)
        for entry in ENTRIES
        if is_valid_path(entry.url) and all(word.lower() in entry.word.lower() for word in words)
    ]


def _looked_up(kind: Kind, text: str, words: list[str]) -> QuerySet[Any]:
    """One kind's rows as `found, kind, about, place, rank`: the name itself first, then what begins with it."""
    rows = kind.rows().annotate(
        hit=_text(F(kind.found)), told=_text(kind.about), place=_text(kind.place), kind_of=Value(kind.name)
    )
    for word in words:
        rows = rows.filter(Q(hit__icontains=word) | Q(told__icontains=word))
    nearness = Case(When(hit__iexact=text, then=Value(0)), When(hit__istartswith=text, then=Value(1)), default=Value(2))
    order = ("-pk",) if kind.name in ("operation", "incident") else ("near", Length("hit"), "hit")
    columns = rows.annotate(near=nearness).order_by(*order).values_list("hit", "kind_of", "told", "place", "near")
    found: QuerySet[Any] = columns[: OF_A_KIND + 1]
    return found
