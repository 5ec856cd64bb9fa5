"""When: a decision every quarter of a minute, schedules every minute."""

from __future__ import annotations

from datetime import datetime

from celery import shared_task
from django.utils import timezone

from console.fleets.scaling import act, bills, poll, publishing, termination
from console.fleets.sources import NOTICES, PUBLISHED, SCALED, SCHEDULES
from console.platform import connect
from console.platform.declared import declaration
from console.platform.poll import take
from console.platform.readings import TerminationNotice


@shared_task
def decide() -> None:
    """For each fleet: how many workers, because of what; and what follows from it."""

    def save(_: None, at: datetime) -> None:
        act.decide_all(at)

    take(SCALED, lambda: None, save)


@shared_task
def poll_schedules() -> None:
    """When each DAG's next run is due, and how long the tasks waited that started lately."""
    take(SCHEDULES, lambda: poll.read(connect.airflow(), timezone.now()), poll.save)


@shared_task
def poll_notices() -> None:
    """Terminations that the groups announced; nothing where no queue is declared."""
    queue = declaration().terminations_queue
    if not queue:
        return

    def save(found: tuple[TerminationNotice, ...], at: datetime) -> None:
        handled.extend(termination.take_up(found, at))

    handled: list[str] = []
    if take(NOTICES, lambda: connect.compute().notices(queue), save) and handled:
        # A message that can't be deleted comes again, and finds its operation there.
        connect.compute().forget_notices(queue, handled)


@shared_task
def publish() -> None:
    """The work of the fleets in mode publish, for their groups' own policies; nothing where there is none."""
    metrics = publishing.metrics(timezone.now())
    if metrics is not None:
        take(PUBLISHED, lambda: connect.compute().publish(metrics), lambda _, at: None)


@shared_task
def price() -> None:
    """What each fleet cost over the last day and month."""
    bills.save_bills(timezone.now())


@shared_task
def forget() -> None:
    act.forget(timezone.now())
