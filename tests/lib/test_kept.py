"""A kept queryset reads what its queryset reads, by the same number of queries, in any thread; or says why it can't."""

from __future__ import annotations

import gc
import threading
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import FunctionType, MethodType, ModuleType

import pytest
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Upper
from django.db.models.signals import post_init, pre_init
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.fleets.models import FleetBill, PastRuns, QueueSnapshot, Worker
from console.lib import kept as module
from console.lib.kept import Kept, kept
from console.operations.models import Operation, Target

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
NAMES = ["cpu", "gpu", "100%", "it's", 'q"', "", "ä\\n"]


class Word(StrEnum):
    CPU = "cpu"


@pytest.fixture(autouse=True)
def forgotten():
    """What these tests keep is no part of the console."""
    known = len(module.ALL)
    yield
    del module.ALL[known:]


@pytest.fixture
def queues(db):
    QueueSnapshot.objects.bulk_create(
        QueueSnapshot(queue=name, first_seen_at=NOW, seen_at=NOW + timedelta(minutes=index), rank=index, queued=index)
        for index, name in enumerate(NAMES)
    )


def same(found: Kept, *values: object) -> list:
    """The rows; they are those of the queryset, to the last attribute."""
    rows, wanted = found(*values), list(found.make(*values))
    assert rows == wanted
    assert [type(row) for row in rows] == [type(row) for row in wanted]
    assert [told(row) for row in rows] == [told(row) for row in wanted]
    return rows


def told(row: object) -> object:
    """Also what is left out, and the rows behind: instances are equal by their key alone."""
    if not hasattr(row, "_meta"):
        return row
    held = {name: value for name, value in row.__dict__.items() if name != "_state"}
    related = {name: told(value) for name, value in row._state.fields_cache.items()}
    return held, related, row._state.adding, row._state.db, row.get_deferred_fields()


def test_instances_by_names_numbers_and_times(queues):
    @kept
    def some(names: list[str], rank: int, at: datetime) -> QuerySet[QueueSnapshot]:
        return (
            QueueSnapshot.objects.filter(queue__in=names, rank__gte=rank, seen_at__lt=at)
            .exclude(queue="gpu")
            .order_by("-rank")
        )

    assert [row.queue for row in same(some, NAMES, 1, NOW + timedelta(minutes=4))] == ["it's", "100%"]
    assert [row.queue for row in same(some, ["cpu"], 0, NOW + timedelta(minutes=4))] == ["cpu"]
    assert same(some, [], 0, NOW) == []
    assert some.first(NAMES, 1, at=NOW + timedelta(minutes=4)).queue == "it's"
    assert some.first(names=[], rank=1, at=NOW) is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.sampled_from(NAMES) | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))),
    rank=st.integers(-(2**31), 2**31 - 1),
    at=st.datetimes(timezones=st.just(UTC)),
)
def test_any_values_find_what_django_finds(queues, names, rank, at):
    for one in (_within, _without, _either):
        same(one, names, rank, at)


def _filters(names: list[str], rank: int, at: datetime) -> Q:
    return Q(queue__in=names) & (Q(rank__lte=rank) | Q(seen_at__gt=at))


_within = Kept(lambda names, rank, at: QueueSnapshot.objects.filter(_filters(names, rank, at)).order_by("queue"))
_without = Kept(lambda names, rank, at: QueueSnapshot.objects.exclude(_filters(names, rank, at)).order_by("queue"))
_either = Kept(
    lambda names, rank, at: (
        QueueSnapshot.objects.filter(Q(queue__in=names) | ~Q(rank=rank), first_seen_at__lte=at)
        .order_by("queue")
        .values_list("queue", "seen_at", "queued")
    )
)
del module.ALL[-3:]


def test_values_are_made_ready_by_their_column(queues):
    @kept
    def named(name: str) -> QuerySet[QueueSnapshot]:
        return QueueSnapshot.objects.filter(queue=name)

    @kept
    def ranked(rank: int) -> QuerySet[QueueSnapshot]:
        return QueueSnapshot.objects.filter(rank=rank)

    @kept
    def among(names: list[str]) -> QuerySet[QueueSnapshot]:
        return QueueSnapshot.objects.filter(queue__in=names)

    assert len(same(named, Word.CPU)) == len(same(among, (Word.CPU, None))) == len(same(among, {"cpu"})) == 1
    assert [row.queue for row in same(ranked, "2")] == ["100%"]  # the column is a number
    assert same(ranked, 10**30) == []
    with pytest.raises(ValueError, match="expected a number but got 'two'"):
        ranked("two")


def test_all_shapes_of_a_row(queues):
    by_rank = QueueSnapshot.objects.order_by("rank")
    assert same(kept(lambda: by_rank.all()))
    assert same(kept(lambda: by_rank.only("queue", "rank")))[0].get_deferred_fields() >= {"queued"}
    assert same(kept(lambda: by_rank.annotate(upper=Upper("queue"))))[0].upper == "CPU"
    assert same(kept(lambda: by_rank.values("rank", "queue")))[0] == {"rank": 0, "queue": "cpu"}
    assert same(kept(lambda: by_rank.values_list("rank", "queue")[:2])) == [(0, "cpu"), (1, "gpu")]
    assert same(kept(lambda: by_rank.values_list("queue", flat=True))) == NAMES
    assert same(kept(lambda: QueueSnapshot.objects.values_list("exact").annotate(n=Count("queue")))) == [(True, 7)]


def test_arrays_json_percent_signs_and_rows_behind(db):
    Worker.objects.create(
        node="a", serves=["cpu", "100%"], consumes=None, first_seen_at=NOW, state="lost", state_since=NOW
    )
    FleetBill.objects.create(queue="cpu", period="day", figures={"a": [1, None, "%s"]}, as_of=NOW)
    PastRuns.objects.create(dag_id="d", task_id="t", durations_s=[1.5, 2], updated_at=NOW)
    operation = Operation.objects.create(kind="drain", target="fleet:cpu", reason="a test", requested_by_name="me")
    Target.objects.create(operation=operation, target="fleet:cpu")

    serving = kept(lambda queues: Worker.objects.filter(serves__contains=queues))
    assert same(serving, ["100%"])[0].serves == ["cpu", "100%"]
    assert same(serving, ["gpu"]) == []
    bills = kept(lambda queue: FleetBill.objects.filter(queue=queue))
    assert same(bills, "cpu")[0].figures == {"a": [1, None, "%s"]}
    assert same(kept(lambda queue: bills.make(queue).values_list("figures")), "cpu") == [({"a": [1, None, "%s"]},)]
    percent = kept(lambda: Worker.objects.filter(state__contains="los").exclude(node__startswith="100%"))
    assert len(same(percent)) == 1
    with_operation = kept(
        lambda names: Target.objects.filter(target__in=names, released_at=None).select_related("operation")
    )
    assert same(with_operation, ["fleet:cpu"])[0].operation.kind == "drain"
    joined = kept(lambda pks: Target.objects.filter(operation__in=pks, operation__kind="drain"))
    assert len(same(joined, [operation.pk])) == 1
    assert len(same(kept(lambda pk: Target.objects.filter(operation=pk)), operation.pk)) == 1


def test_a_model_that_loads_itself_does_so(queues, monkeypatch):
    own = QueueSnapshot.from_db.__func__

    def loaded(cls: type, *row: object) -> object:
        found = own(cls, *row)
        found.loaded = True
        return found

    monkeypatch.setattr(QueueSnapshot, "from_db", classmethod(loaded))
    assert all(row.loaded for row in same(kept(lambda: QueueSnapshot.objects.order_by("rank"))))


@pytest.mark.parametrize("signal", [pre_init, post_init])
def test_whoever_listens_for_instances_hears_of_each(queues, signal):
    rows = kept(lambda: QueueSnapshot.objects.order_by("rank").only("queue"))
    same(rows)
    heard = []

    def hear(sender: type, **_: object) -> None:
        heard.append(sender)

    signal.connect(hear, sender=QueueSnapshot)
    try:
        assert len(rows()) == len(heard) == len(NAMES)
    finally:
        signal.disconnect(hear, sender=QueueSnapshot)


def test_an_instance_is_changed_and_loaded_as_any_other(queues, django_assert_num_queries):
    row = kept(lambda: QueueSnapshot.objects.filter(queue="cpu").only("queue", "rank")).first()
    with django_assert_num_queries(1):
        assert row.queued == 0  # what was left out is fetched when it is looked at
    row.rank = 40
    with django_assert_num_queries(1):
        row.save(update_fields=["rank"])
    row.refresh_from_db()
    assert row.rank == 40
    operation = Operation.objects.create(kind="drain", target="fleet:cpu", reason="a test", requested_by_name="me")
    target = Target.objects.create(operation=operation, target="fleet:cpu")
    found = kept(lambda: Target.objects.all()).first()
    assert found.operation == operation
    assert found == target


def test_one_query_that_everybody_sees(queues, django_assert_num_queries):
    some = kept(lambda name: QueueSnapshot.objects.filter(queue=name))
    for _ in range(2):
        with django_assert_num_queries(1) as seen:
            some("cpu")
        assert 'WHERE "fleets_queuesnapshot"."queue" = \'cpu\'' in seen[0]["sql"]
    heard = []
    with connection.execute_wrapper(lambda execute, *rest: (heard.append(rest[0]), execute(*rest))[1]):
        some("cpu")
    assert heard == [str(QueueSnapshot.objects.filter(queue="%s").query)]


def test_made_once_however_many_threads_begin(transactional_db):
    QueueSnapshot.objects.create(queue="cpu", first_seen_at=NOW, seen_at=NOW)
    made, found, own = [], [], []
    ready = threading.Barrier(8)

    @kept
    def bills_of(name: str) -> QuerySet[QueueSnapshot]:
        made.append(name)
        return QueueSnapshot.objects.filter(queue=name)

    def ask() -> None:
        heard = []
        mine = connections["default"]
        ready.wait(10)
        try:
            with mine.execute_wrapper(lambda execute, *rest: (heard.append(rest[3]["connection"]), execute(*rest))[1]):
                found.extend(row.queue for _ in range(20) for row in bills_of("cpu"))
            own.append(all(one is mine for one in heard))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert len(made) == 1
    assert found == ["cpu"] * 160
    assert own == [True] * 8


def test_what_is_kept_holds_no_connection(db):
    """Else it would answer one thread by the connection of another, and keep that one open for ever."""
    some = kept(lambda pks: Target.objects.filter(operation__in=pks).select_related("operation"))
    some([1])
    looked: set[int] = set()
    ahead: list[object] = [some._statement]
    while ahead:
        it = ahead.pop()
        if id(it) in looked or isinstance(it, (type, ModuleType)):
            continue
        looked.add(id(it))
        assert not isinstance(it, BaseDatabaseWrapper)
        if isinstance(it, FunctionType):
            ahead += [cell.cell_contents for cell in it.__closure__ or ()]
        elif isinstance(it, MethodType):
            ahead.append(it.__self__)
        else:
            ahead += gc.get_referents(it)
    assert len(looked) > 100


REFUSED = {
    "looks at its argument": lambda name: QueueSnapshot.objects.filter(queue="a" if name else "b"),
    "makes a text of it": lambda name: QueueSnapshot.objects.filter(queue=f"{name}!"),
    "adds to it": lambda rank: QueueSnapshot.objects.filter(rank__gt=rank + 1),
    "asks for a part of a text": lambda name: QueueSnapshot.objects.filter(queue__icontains=name),
    "transforms the column": lambda year: QueueSnapshot.objects.filter(seen_at__year=year),
    "looks into JSON": lambda name: FleetBill.objects.filter(figures__a=name),
    "compares JSON": lambda it: FleetBill.objects.filter(figures=it),
    "selects it": lambda name: QueueSnapshot.objects.annotate(it=name),
    "counts by it": lambda name: QueueSnapshot.objects.annotate(n=Count("pk", filter=Q(queue=name))),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_what_can_not_be_a_slot_is_refused(db, make):
    with pytest.raises(TypeError, match="can only compare a column with its argument"):
        kept(make)(1)


UNFIT = {
    "no queryset": (lambda: QueueSnapshot.objects.first(), "makes a queryset, not NoneType"),
    "nothing": (lambda: QueueSnapshot.objects.none(), "can find nothing"),
    "among none": (lambda: QueueSnapshot.objects.filter(queue__in=[]), "can find nothing"),
    "prefetch": (lambda: Operation.objects.prefetch_related("targets"), "prefetch_related"),
    "lock": (lambda: QueueSnapshot.objects.select_for_update(), "select_for_update"),
    "union": (lambda: QueueSnapshot.objects.union(QueueSnapshot.objects.all()), "union"),
    "related": (lambda: Operation(pk=1).targets.all(), "a related manager"),
    "named": (lambda: QueueSnapshot.objects.values_list("queue", named=True), "not NamedValuesListIterable"),
    "raw": (lambda: QueueSnapshot.objects.raw("SELECT 1"), "not RawQuerySet"),
    "dates": (lambda: QueueSnapshot.objects.order_by(F("rank")).extra(select={"one": "1"}), "extra"),
}


@pytest.mark.parametrize(("make", "why"), UNFIT.values(), ids=UNFIT)
def test_querysets_that_can_not_be_kept_are_refused(db, make, why):
    with pytest.raises(TypeError, match=why):
        kept(make)()


def test_arguments_are_checked(queues):
    some = kept(lambda name, rank: QueueSnapshot.objects.filter(queue=name, rank=rank))
    with pytest.raises(ValueError, match="rank is None, and nothing equals NULL"):
        some("cpu", None)
    with pytest.raises(TypeError, match="takes 2 arguments, not 1"):
        some("cpu")
    with pytest.raises(TypeError, match="takes 2 arguments, not 3"):
        some("cpu", 1, 2)
    for wrong in ({"rang": 1}, {"rank": 1, "rang": 1}, {"name": "cpu", "rank": 1}):
        with pytest.raises(TypeError, match="argument"):
            some("cpu", **wrong)


def test_a_failed_query_is_told_and_forgotten(queues):
    some = kept(lambda name: QueueSnapshot.objects.filter(queue=name))
    with pytest.raises(ValueError, match="NUL"):
        some("\0")
    assert len(some("cpu")) == 1
