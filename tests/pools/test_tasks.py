"""The poll of Airflow's pools."""

from __future__ import annotations

import pytest
from django.utils import timezone

from console.platform import connect
from console.platform.models import Source
from console.platform.ports import PlatformError
from console.platform.sources import POOLS
from console.pools.models import PoolSnapshot
from console.pools.tasks import poll
from tests.pools.made import MERGE

pytestmark = pytest.mark.django_db


class Airflow:
    def __init__(self, *pools: object, fails: bool = False) -> None:
        self.fails, self.told = fails, pools

    def pools(self) -> tuple[object, ...]:
        if self.fails:
            raise PlatformError("Airflow's API", "refused", "it refuses the connection")
        return self.told


def test_a_poll_remembers_the_pools_and_that_it_went_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "airflow", lambda: Airflow(MERGE))
    poll()
    assert PoolSnapshot.objects.get().scheduled == 11
    assert Source.objects.sights(timezone.now(), [POOLS])[POOLS.name].seen


def test_a_poll_that_fails_remembers_why_and_keeps_the_last_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "airflow", lambda: Airflow(MERGE))
    poll()
    monkeypatch.setattr(connect, "airflow", lambda: Airflow(fails=True))
    poll()
    assert Source.objects.get(name=POOLS.name).error == "it refuses the connection"
    assert PoolSnapshot.objects.count() == 1
