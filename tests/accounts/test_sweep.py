"""What has ended is swept each hour, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from console.accounts import lockout
from console.accounts.models import SignInWindow, User
from console.accounts.tasks import sweep
from console.schedule import beat_schedule


@pytest.mark.django_db
def test_ended_sessions_and_counts_go_and_living_ones_stay(client: Client) -> None:
    now = timezone.now()
    client.force_login(User.objects.create_user("ada"))
    Session.objects.create(session_key="old", session_data="", expire_date=now - timedelta(seconds=1))
    lockout.count("ada", "10.0.0.1", now)
    SignInWindow.objects.create(key="old", attempts=9, began_at=now - timedelta(hours=1))
    sweep()
    assert not Session.objects.filter(session_key="old").exists()
    assert client.get("/accounts/tokens/").status_code == 200
    assert SignInWindow.objects.count() == 2


def test_beat_starts_it() -> None:
    assert "console.accounts.tasks.sweep" in {entry["task"] for entry in beat_schedule().values()}
