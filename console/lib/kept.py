"""A queryset that is compiled once per process. What is kept is the statement, never what it read.

Django builds and compiles a queryset anew each time: half a millisecond, for a statement that PostgreSQL answers in a
fifth of it. A page that asks fifteen small tables spends a third of its time so.

    @kept
    def _bills(queue: str) -> QuerySet[FleetBill]:
        return FleetBill.objects.filter(queue=queue)

    _bills("cpu")         # the rows, as list(FleetBill.objects.filter(queue="cpu")): one query
    _bills.first("cpu")   # the first of them, or None
    _bills.make("cpu")    # the queryset itself

The function is run once, with a slot for each argument; from then on a call fills the slots. So it

- may only compare a column with an argument: `=`, `__gt` and its like, `__in`, `__contains` of an array. Anything else
  that it does with one is refused when it first runs, by a TypeError: what it would decide then would hold for ever;
- must not look at anything else that changes (the declaration, the time): that is an argument;
- returns model instances, also with `only` or `select_related`, dictionaries, tuples or single values.

A value is made ready by the column it is compared with, as by Django. None is refused: nothing equals NULL.

Libraries that keep a queryset's statement (django-prepared-queries, django-prepared-query) have stood still since 2019;
those that live keep the rows.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from operator import itemgetter
from typing import Any, Generic, NoReturn, ParamSpec, TypeVar, cast

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import CharField, JSONField, Model, QuerySet, TextField, Value
from django.db.models.base import ModelState
from django.db.models.expressions import Col
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.lookups import (
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    LessThan,
    LessThanOrEqual,
    Lookup,
)
from django.db.models.query import (
    FlatValuesListIterable,
    ModelIterable,
    ValuesIterable,
    ValuesListIterable,
    get_related_populators,
)
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_init, pre_init
from django.db.models.sql.where import WhereNode

P = ParamSpec("P")
Row = TypeVar("Row")
Take = Callable[[Sequence[Any]], Any]
"""One row of the database's to what the queryset would have made of it."""
_COMPARED = (Exact, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual)


class Kept(Generic[P, Row]):
    """What `kept` makes of a function. Safe to call from any thread: it holds no connection and no row."""

    def __init__(self, make: Callable[P, QuerySet[Any, Row]]) -> None:
        update_wrapper(self, make)
        self.make = make
        self._signature = inspect.signature(make)
        self._names = tuple(self._signature.parameters)
        self._statement: _Statement | None = None
        self._lock = threading.Lock()
        ALL.append(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> list[Row]:
        """The rows, by one query. ValueError for an argument that is None."""
        statement = self._statement or self._compiled()
        values = self._signature.bind(*args, **kwargs).args if kwargs else args
        if len(values) != len(self._names):
            raise TypeError(f"{self.make.__name__} takes {len(self._names)} arguments, not {len(values)}")
        return statement.rows(values)

    def first(self, *args: P.args, **kwargs: P.kwargs) -> Row | None:
        """The first of the rows; None when there is none. All of them are read: for querysets that have one."""
        rows = self(*args, **kwargs)
        return rows[0] if rows else None

    def _compiled(self) -> _Statement:
        with self._lock:
            if self._statement is None:
                slots = [Slot(place, name) for place, name in enumerate(self._names)]
                self._statement = _compiled(cast(Callable[..., Any], self.make)(*slots))
            return self._statement


ALL: list[Kept[Any, Any]] = []
"""Every kept queryset of this process: the tests hold each to what its queryset reads."""


def kept(make: Callable[P, QuerySet[Any, Row]]) -> Kept[P, Row]:
    """Decorates a function that makes a queryset: see the module."""
    return Kept(make)


class Slot(Value):
    """Where an argument goes. Django copies it into each comparison; it then learns of which column that is."""

    def __init__(self, place: int, name: str) -> None:
        super().__init__(None)
        self.place = place
        self.name = name
        self.against: Any = None
        self.as_is: type | None = None  # values of this very type go to the column unchanged
        self.many = False
        self.placed = False

    def resolve_expression(self, *args: Any, **kwargs: Any) -> Slot:
        found: Slot = super().resolve_expression(*args, **kwargs)
        found.placed = True
        return found

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        if self.against is None:
            self._refuse()
        return "%s", (self,)

    def ready(self, value: Any, connection: Any) -> Any:
        """The value as Django would send it to the column."""
        if self.many:
            return [self._ready(each, connection) for each in value if each is not None]
        if value is None:
            raise ValueError(f"{self.name} is None, and nothing equals NULL: ask by __isnull in a queryset of its own")
        return self._ready(value, connection)

    def _ready(self, value: Any, connection: Any) -> Any:
        if type(value) is self.as_is:
            return value
        return self.against.get_db_prep_value(self.against.get_prep_value(value), connection, prepared=True)

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError(
            f"a kept queryset can only compare a column with its argument {self.name}: =, __gt, __gte, __lt, __lte, "
            "__in, or __contains of an array. Work out anything else before, and pass the outcome"
        )

    def __bool__(self) -> bool:
        return self.placed or self._refuse()  # Django asks it of its copies: is there an expression at all?

    # Whatever else would look at the value: a sum, a text made of it.
    __str__ = __format__ = _combine = _refuse


class _AnyOf(Lookup):
    """`column = ANY(array)`: what `IN` says, with one place for any number of values, and none too."""

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        column, before = self.process_lhs(compiler, connection)
        values, after = compiler.compile(self.rhs)
        return f"{column} = ANY({values})", (*before, *after)


@dataclass(frozen=True)
class _Statement:
    alias: str
    sql: str
    params: tuple[Any, ...]  # values, and slots
    converters: tuple[tuple[int, tuple[Callable[..., Any], ...], Any], ...]  # column, what converts it, its expression
    take: Take | None  # None: a row stays the tuple that it is

    def rows(self, values: Sequence[Any]) -> list[Any]:
        connection = connections[self.alias]
        params = [
            each.ready(values[each.place], connection) if isinstance(each, Slot) else each for each in self.params
        ]
        with connection.cursor() as cursor:
            cursor.execute(self.sql, params)
            found = cursor.fetchall()
        if self.converters:
            found = [self._converted(row, connection) for row in found]
        return found if self.take is None else [self.take(row) for row in found]

    def _converted(self, row: Sequence[Any], connection: Any) -> tuple[Any, ...]:
        converted = list(row)
        for column, converters, expression in self.converters:
            for convert in converters:
                converted[column] = convert(converted[column], expression, connection)
        return tuple(converted)


def _compiled(queryset: Any) -> _Statement:
    if not isinstance(queryset, QuerySet):
        raise TypeError(f"a kept function makes a queryset, not {type(queryset).__name__}")
    query = queryset.query.clone()
    private: Any = queryset
    unfit = {
        "prefetch_related": private._prefetch_related_lookups,
        "a related manager": private._known_related_objects,
        "union and its like": query.combinator,
        "select_for_update": query.select_for_update,
        "extra": query.extra,
    }
    for what, used in unfit.items():
        if used:
            raise TypeError(f"a kept queryset can't use {what}")
    _bind(query.where)
    compiler = query.get_compiler(queryset.db)
    try:
        sql, params = compiler.as_sql()
    except EmptyResultSet:
        raise TypeError("a kept queryset that can find nothing: a condition in it excludes every row") from None
    if compiler.has_extra_select:
        raise TypeError("a kept queryset can't order distinct rows by what it doesn't select")
    converters = compiler.get_converters([each[0] for each in compiler.select])
    return _Statement(
        alias=queryset.db,
        sql=sql,
        params=tuple(params),
        converters=tuple((column, tuple(found), expression) for column, (found, expression) in converters.items()),
        take=_take(queryset, query, compiler),
    )


def _bind(node: WhereNode) -> None:
    """Tell each slot in the conditions which column it is compared with."""
    for place, child in enumerate(node.children):
        if isinstance(child, WhereNode):
            _bind(child)
        elif isinstance(child, Lookup) and isinstance(slot := child.rhs, Slot):
            field = child.lhs.output_field
            plain = isinstance(child.lhs, Col) and not isinstance(field, JSONField)
            if plain and isinstance(child, In):
                slot.many = True
                node.children[place] = _AnyOf(child.lhs, slot)
            elif not plain or not (
                isinstance(child, _COMPARED) or (isinstance(field, ArrayField) and child.lookup_name == "contains")
            ):
                slot._refuse()
            slot.against = getattr(field, "target_field", field)
            slot.as_is = str if type(slot.against) in (CharField, TextField) else None


def _take(queryset: Any, query: Any, compiler: Any) -> Take | None:
    """As Django's iterables do it."""
    made = queryset._iterable_class
    if made is ValuesListIterable:
        return None
    if made is FlatValuesListIterable:
        return itemgetter(0)
    if made is ValuesIterable:
        names = tuple(query.selected or (*query.values_select, *query.annotation_select))
        return lambda row: dict(zip(names, row, strict=True))
    if made is not ModelIterable:
        raise TypeError(f"a kept queryset gives instances, dictionaries, tuples or single values, not {made.__name__}")
    model: type[Model] = compiler.klass_info["model"]
    columns = compiler.klass_info["select_fields"]
    start, end = columns[0], columns[-1] + 1
    names = tuple(each[0].target.attname for each in compiler.select[start:end])
    made_of = _maker(model, names, queryset.db)
    related = cast(Any, get_related_populators)(compiler.klass_info, compiler.select, queryset.db)
    extra = tuple((compiler.annotation_col_map or {}).items())
    if not (related or extra or len(names) < len(compiler.select)):
        return made_of

    def instance(row: Sequence[Any]) -> Model:
        found = made_of(row[start:end])
        for each in related:
            each.populate(row, found)
        for name, column in extra:
            setattr(found, name, row[column])
        return found

    return instance


def _maker(model: type[Model], names: Sequence[str], alias: str) -> Callable[[Sequence[Any]], Model]:
    """What `from_db` does, and the model's `__init__`: where both are Django's own and nobody listens to the signals,
    each column is put where they would put it, without asking every field; a column that is not there is deferred."""
    simple = (
        cast(Any, model.from_db).__func__ is cast(Any, Model.from_db).__func__
        and model.__init__ is Model.__init__
        and model.__setattr__ is object.__setattr__
        and all(type(inspect.getattr_static(model, name)) in (DeferredAttribute, ForeignKeyDeferredAttribute)
                for name in names)
    )  # fmt: skip

    def made_of(row: Sequence[Any]) -> Model:
        if not simple or pre_init.receivers or post_init.receivers:
            return model.from_db(alias, names, row)
        found = model.__new__(model)
        state = found._state = ModelState()
        state.adding, state.db = False, alias
        found.__dict__.update(zip(names, row, strict=True))
        return found

    return made_of
