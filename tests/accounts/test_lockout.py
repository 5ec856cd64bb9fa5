"""Guessing passwords is bounded, tells nothing, and locks nobody else out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from console.accounts import lockout
from console.accounts.models import AuditEntry, SignInWindow, User

pytestmark = pytest.mark.django_db
PASSWORD = "correct-horse-battery"


def sign_in(client: Client, name: str, password: str, ip: str = "10.0.0.1") -> Any:
    return client.post("/accounts/login/", {"username": name, "password": password}, REMOTE_ADDR=ip)


def fail(client: Client, times: int, name: str = "ada", ip: str = "10.0.0.1") -> None:
    for _ in range(times):
        assert sign_in(client, name, "wrong", ip).status_code == 422


def test_after_five_failures_even_the_right_password_waits(client: Client) -> None:
    User.objects.create_user("ada", PASSWORD)
    fail(client, lockout.PER_NAME)
    answer = sign_in(client, "ada", PASSWORD)
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= lockout.WINDOW_S + 1
    assert "Try again in" in answer.context["form"].non_field_errors()[0]


def test_it_is_the_same_for_a_name_that_does_not_exist(client: Client) -> None:
    User.objects.create_user("ada", PASSWORD)
    fail(client, lockout.PER_NAME, "ada")
    fail(client, lockout.PER_NAME, "nobody")
    real, none = sign_in(client, "ada", "wrong"), sign_in(client, "nobody", "wrong")
    assert real.status_code == none.status_code == 429
    assert real.context["form"].non_field_errors() == none.context["form"].non_field_errors()


def test_a_colleague_elsewhere_is_not_locked_out(client: Client) -> None:
    User.objects.create_user("ada", PASSWORD)
    fail(client, lockout.PER_NAME)
    assert sign_in(client, "ada", PASSWORD, ip="10.0.0.2").status_code == 302


def test_case_does_not_make_a_new_name(client: Client) -> None:
    for name in ("ada", "Ada", "ADA", "aDa", "adA"):
        fail(client, 1, name)
    assert sign_in(client, "AdA", "wrong").status_code == 429


def test_success_forgives_the_name(client: Client) -> None:
    User.objects.create_user("ada", PASSWORD)
    fail(client, lockout.PER_NAME - 1)
    assert sign_in(client, "ada", PASSWORD).status_code == 302
    client.logout()
    fail(client, lockout.PER_NAME - 1)


def test_it_ends_by_itself(now: datetime) -> None:
    for _ in range(lockout.PER_NAME):
        assert lockout.count("ada", "10.0.0.1", now).wait_s == 0
    assert lockout.count("ada", "10.0.0.1", now + timedelta(seconds=60)).wait_s == lockout.WINDOW_S - 60
    assert lockout.count("ada", "10.0.0.1", now + timedelta(seconds=lockout.WINDOW_S)).wait_s == 0


def test_trying_on_does_not_make_it_longer(now: datetime) -> None:
    for second in range(100):
        wait_s = lockout.count("ada", "10.0.0.1", now + timedelta(seconds=second)).wait_s
    assert wait_s == lockout.WINDOW_S - 99


def test_a_clock_set_back_does_not_lock_for_longer(now: datetime) -> None:
    for _ in range(lockout.PER_NAME + 1):
        lockout.count("ada", "10.0.0.1", now)
    assert lockout.count("ada", "10.0.0.1", now - timedelta(days=1)).wait_s == 0


def test_many_names_from_one_address_are_bounded(now: datetime) -> None:
    for number in range(lockout.PER_ADDRESS):
        assert lockout.count(f"name-{number}", "10.0.0.1", now).wait_s == 0
    assert lockout.count("another", "10.0.0.1", now).wait_s > 0
    assert lockout.count("another", "10.0.0.2", now).wait_s == 0


def test_an_attacker_with_an_account_can_not_reset_their_address(now: datetime) -> None:
    for number in range(lockout.PER_ADDRESS):
        lockout.count(f"name-{number}", "10.0.0.1", now)
        lockout.count("mallory", "10.0.0.1", now)
        lockout.forgive("mallory", "10.0.0.1")
    assert lockout.count("another", "10.0.0.1", now).wait_s > 0


def test_names_are_not_kept(now: datetime) -> None:
    lockout.count("a-password-in-the-wrong-field", "10.0.0.1", now)
    assert all("password" not in row.key for row in SignInWindow.objects.all())


def test_old_windows_are_swept(now: datetime) -> None:
    lockout.count("ada", "10.0.0.1", now)
    lockout.count("ben", "10.0.0.2", now + timedelta(hours=1))
    assert SignInWindow.objects.count() == 2  # ben's two


def test_the_audit_is_bounded_too(client: Client) -> None:
    fail(client, lockout.PER_NAME)
    for _ in range(10):
        sign_in(client, "ada", "wrong")
    actions = list(AuditEntry.objects.order_by("seq").values_list("action", flat=True))
    assert actions == ["sign-in.failed"] * lockout.PER_NAME + ["sign-in.locked"]


@pytest.mark.django_db(transaction=True)
def test_attempts_at_once_do_not_outrun_the_count(now: datetime) -> None:
    def attempt(_: int) -> bool:
        try:
            return lockout.count("ada", "10.0.0.1", now).wait_s == 0
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        allowed = sum(pool.map(attempt, range(24)))
    assert allowed == lockout.PER_NAME
