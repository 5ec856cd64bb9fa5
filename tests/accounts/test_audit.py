"""The audit is append-only, in one order, and verified by a command."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from console.accounts import audit
from console.accounts.actor import CONSOLE, Actor
from console.accounts.models import AuditEntry, AuditHead
from console.accounts.roles import Role

pytestmark = pytest.mark.django_db
ADA = Actor("ada", 1, Role.OPERATOR, "session", "10.0.0.1", "request-1")


def verify(*arguments: str) -> str:
    out = StringIO()
    call_command("audit", "verify", *arguments, stdout=out)
    return out.getvalue()


def tamper(sql: str, *values: Any) -> None:
    """What somebody with the table's owner's password could do."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditentry DISABLE TRIGGER audit_rows_stay")
        cursor.execute(sql, values)
        cursor.execute("ALTER TABLE accounts_auditentry ENABLE TRIGGER audit_rows_stay")


def three() -> None:
    for number in range(3):
        audit.record(ADA, "thing.done", f"thing {number}", reason="because", details={"n": number, "x": 1.0})


def test_rows_hold_who_what_why_and_from_where() -> None:
    audit.record(ADA, "fleet.resized", "cpu", reason="load", details={"desired": [2, 3]})
    entry = AuditEntry.objects.get()
    assert (entry.seq, entry.actor, entry.actor_id, entry.via) == (1, "ada", 1, "session")
    assert (entry.action, entry.target, entry.reason) == ("fleet.resized", "cpu", "load")
    assert entry.detail == {"desired": [2, 3]}
    assert (entry.ip, entry.request_id) == ("10.0.0.1", "request-1")


def test_the_console_itself_is_an_actor() -> None:
    audit.record(CONSOLE, "operation.succeeded", "cpu")
    assert AuditEntry.objects.get().actor == "quarterdeck"


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE accounts_auditentry SET actor = 'eve'",
        "DELETE FROM accounts_auditentry",
    ],
)
def test_the_database_refuses_to_change_it(sql: str) -> None:
    three()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert AuditEntry.objects.filter(actor="ada").count() == 3


def test_the_database_refuses_to_truncate_it() -> None:
    with connection.cursor() as cursor:  # the tests' own clean-up needs it off, see conftest
        cursor.execute("ALTER TABLE accounts_auditentry ENABLE TRIGGER audit_table_stays")
    three()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE accounts_auditentry")
    assert AuditEntry.objects.count() == 3


def test_the_orm_can_not_change_it_either() -> None:
    three()
    entry = AuditEntry.objects.first()
    assert entry is not None
    entry.reason = "another"
    with pytest.raises(DatabaseError), transaction.atomic():
        entry.save()
    with pytest.raises(DatabaseError), transaction.atomic():
        entry.delete()


def test_a_whole_audit_verifies_and_tells_its_end() -> None:
    three()
    head = AuditHead.objects.get()
    assert f"3 rows, chained. Its end: 3:{head.hash}" in verify()


def test_an_empty_audit_verifies() -> None:
    assert "empty" in verify()


@pytest.mark.parametrize(
    ("sql", "row"),
    [
        ("UPDATE accounts_auditentry SET actor = 'eve' WHERE seq = 2", 2),
        ("UPDATE accounts_auditentry SET details = '{}' WHERE seq = 1", 1),
        ("UPDATE accounts_auditentry SET at = at - interval '1 microsecond' WHERE seq = 3", 3),
        ("DELETE FROM accounts_auditentry WHERE seq = 2", 2),
        ("DELETE FROM accounts_auditentry WHERE seq = 3", 3),
        ("DELETE FROM accounts_auditentry", 1),
    ],
)
def test_verify_names_the_row_that_was_tampered_with(sql: str, row: int) -> None:
    three()
    tamper(sql)
    with pytest.raises(CommandError, match=f"broken at row {row}:"):
        verify()


def test_verify_compares_with_an_end_noted_elsewhere() -> None:
    three()
    noted = AuditHead.objects.get()
    three()
    assert "6 rows" in verify("--expect", f"3:{noted.hash}")
    with pytest.raises(CommandError, match="row 3"):
        verify("--expect", f"3:{'0' * 64}")


def test_each_row_is_witnessed_by_the_log(
    caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks: Any
) -> None:
    with caplog.at_level("INFO"), django_capture_on_commit_callbacks(execute=True):
        entry = audit.record(ADA, "thing.done", "thing")
    assert entry.hash in caplog.text


def test_a_change_that_is_rolled_back_leaves_no_row_and_no_gap() -> None:
    def record_and_fail() -> None:
        with transaction.atomic():
            audit.record(ADA, "thing.done")
            raise RuntimeError

    three()
    with pytest.raises(RuntimeError):
        record_and_fail()
    three()
    assert "6 rows" in verify()


def test_text_that_a_database_can_not_hold_is_kept_as_far_as_it_goes() -> None:
    audit.record(ADA, "thing.done", "a\x00b\ud800", reason="ä 🚢 \x00", details={"k\x00": "\ud800", "float": 1e22})
    assert AuditEntry.objects.get().target == "ab?"
    assert "1 row," in verify()


def test_a_name_too_long_is_cut_and_still_verifies() -> None:
    audit.record(ADA, "thing.done", "x" * 5000)
    assert len(AuditEntry.objects.get().target) == 200
    assert "1 row," in verify()


@pytest.mark.django_db(transaction=True)
def test_writers_at_once_make_one_chain() -> None:
    def write(number: int) -> None:
        try:
            audit.record(ADA, "thing.done", f"thing {number}")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    assert "40 rows" in verify()
    times = list(AuditEntry.objects.order_by("seq").values_list("at", flat=True))
    assert times == sorted(times)
