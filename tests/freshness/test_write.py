"""What a poll saves of thousands of rows by one statement is what each of them says, alike or not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from console.freshness.judge import VERDICT, write
from console.freshness.models import TableSnapshot, of
from tests.freshness import made

pytestmark = pytest.mark.django_db

FIELDS = ["followed", "tags", "commit_at", "held", "proof_seq", "speed", "legs", "epoch", *VERDICT]
AT = datetime(2026, 11, 22, tzinfo=UTC)
moments = st.none() | st.integers(0, 3).map(lambda minutes: AT + timedelta(minutes=minutes))
words = st.sampled_from(["", "a'b", 'c"d\\', "{e,f}", "NULL", "%s", "å\n"])
numbers = st.none() | st.sampled_from([0.0, 1.0, 1.5])


@pytest.fixture
def tables() -> list[str]:
    rows = [of(made.table(f"t{number:02}")) for number in range(24)]
    TableSnapshot.objects.bulk_create(rows)
    return [row.name for row in rows]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kinds=st.integers(1, 24))
def test_every_row_gets_its_own_values(tables: list[str], data: st.DataObject, kinds: int) -> None:
    rows = list(TableSnapshot.objects.all())
    before = {row.name: row for row in TableSnapshot.objects.all()}
    written = rows[: data.draw(st.integers(0, len(rows)))]
    drawn = [
        {
            "followed": data.draw(st.booleans()),
            "tags": data.draw(words),
            "commit_at": data.draw(moments),
            "held": data.draw(words),
            "proof_seq": data.draw(st.none() | st.integers(0, 2)),
            "speed": data.draw(numbers),
            "epoch": data.draw(st.none() | st.integers(1, 2)),
            "reason": data.draw(words),
            "since": data.draw(moments),
            "lag_s": data.draw(numbers),
            "severity": data.draw(st.integers(0, 3)),
        }
        for _ in range(kinds)
    ]
    for number, row in enumerate(written):
        for name, value in drawn[number % kinds].items():
            setattr(row, name, value)
        row.legs = f"its own {number}"
    write(written, FIELDS[:8], VERDICT)
    expected = {row.name: row for row in written}
    for found in TableSnapshot.objects.all():
        same = expected.get(found.name, before[found.name])
        assert {name: getattr(found, name) for name in FIELDS} == {name: getattr(same, name) for name in FIELDS}


def test_it_is_one_statement_and_none_without_rows(
    tables: list[str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        write([], FIELDS[:8])
        rows = list(TableSnapshot.objects.all())
    with django_assert_num_queries(1):
        write(rows, FIELDS[:8])
