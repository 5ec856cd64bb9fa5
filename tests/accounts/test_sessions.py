"""Sessions are found by a kept queryset: who is let in, and who is not, is what Django's own store says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as Djangos
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from console.accounts.models import User
from console.accounts.sessions import SessionStore


@pytest.fixture
def signed_in(client: Client, db):
    user = User.objects.create_user("mira", "correct horse battery")
    client.force_login(user)
    assert client.get("/pools/").status_code == 200
    return user, Session.objects.get()


def away(client: Client) -> bool:
    found = client.get("/pools/")
    return found.status_code == 302 and found.headers["Location"].startswith(settings.LOGIN_URL)


def test_an_expired_session_is_none(client, signed_in):
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert away(client)


def test_a_deleted_session_is_none(client, signed_in):
    Session.objects.all().delete()
    assert away(client)


def test_a_session_that_was_written_by_others_is_none(client, signed_in):
    _, session = signed_in
    Session.objects.update(session_data=session.session_data[:-1] + ("A" if session.session_data[-1] != "A" else "B"))
    assert away(client)


@pytest.mark.parametrize("key", ["", "x", "0" * 32, "' OR 1=1 --", "%s", "x" * 5000])
def test_another_key_is_none(client, signed_in, key):
    client.cookies[settings.SESSION_COOKIE_NAME] = key
    assert away(client)


def test_whoever_is_switched_off_or_gone_is_out(client, signed_in):
    user, _ = signed_in
    User.objects.update(is_active=False)
    assert away(client)
    User.objects.update(is_active=True)
    client.force_login(user)
    assert not away(client)
    user.delete()
    assert away(client)


def test_a_new_password_ends_the_session(client, signed_in):
    user, _ = signed_in
    user.set_password("another horse battery")
    user.save()
    assert away(client)


def test_sessions_of_before_and_after_an_upgrade_are_the_same(db):
    """Old and new processes run side by side while the console is rolled: each reads what the other wrote."""
    for writes, reads in ((Djangos, SessionStore), (SessionStore, Djangos)):
        written = writes()
        written[SESSION_KEY] = "7"
        written.save()
        read = reads(written.session_key)
        assert read[SESSION_KEY] == "7"
        assert read.session_key == written.session_key


def test_a_key_that_is_not_known_is_given_up(db):
    """Else a visitor could choose the key of the session that they are given (session fixation)."""
    for key in ("a" * 32, None):
        store = SessionStore(key)
        assert store.load() == {}
        assert store.session_key is None


def test_two_queries_say_who_asks(client, signed_in, django_assert_max_num_queries):
    with django_assert_max_num_queries(10) as seen:
        client.get("/pools/")
    of = [next((table for table in ("django_session", "accounts_user") if table in each["sql"]), "") for each in seen]
    assert of[:2] == ["django_session", "accounts_user"]
    assert not any(of[2:])


def test_the_user_by_number_as_any_user(db):
    mira = User.objects.create_user("mira")
    assert (
        User.objects.get(pk=mira.pk) == User.objects.get(pk=str(mira.pk)) == User.objects.get(username="mira") == mira
    )
    for wrong in ({"pk": mira.pk + 1}, {"pk": None}, {"pk": mira.pk, "is_active": False}):
        with pytest.raises(User.DoesNotExist):
            User.objects.get(**wrong)
