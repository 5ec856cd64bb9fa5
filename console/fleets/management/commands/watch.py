"""`manage.py watch`: hear the heartbeats of Airflow's Celery workers. Run two or more: one acts."""

from __future__ import annotations

import os
import signal
import socket
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from console.checks import refuse_to_start_misconfigured
from console.fleets.watcher import Watcher
from console.platform import connect


class Command(BaseCommand):
    help = "Consume the heartbeats of Airflow's Celery workers. Run two or more: one acts, another takes over."
    requires_system_checks = ()  # asked for below, in the same words as every other process

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default="", help="how this watcher is called; by default HOST:PID")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_to_start_misconfigured()
        watcher = Watcher(connect.broker, options["name"] or f"{socket.gethostname()}:{os.getpid()}")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: watcher.stop.set())
        watcher.run()
