"""`manage.py scheduler status|switchover|failover|pause`: for those with a shell and no browser."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from console.accounts.actor import Actor
from console.accounts.roles import Role
from console.lib.words import duration
from console.operations.kinds import Invalid
from console.operations.submit import Conflict, Refused, submit
from console.scheduler.pages import scheduler_state


class Command(BaseCommand):
    help = "Who schedules, and who shall."

    def add_arguments(self, parser: ArgumentParser) -> None:
        words = parser.add_subparsers(dest="word", required=True)
        words.add_parser("status", help="who leads, and who could take over")
        for word, text in (("switchover", "another host leads, planned"), ("failover", "another host leads, by force")):
            one = words.add_parser(word, help=text)
            one.add_argument("--to", default="", help="who is to lead; default: the only ready standby")
            one.add_argument("--reason", required=True)
            if word == "failover":
                one.add_argument("--confirm", required=True, help="the current leader's name")
        pause = words.add_parser("pause", help="pause automatic failover; 0 hours end the pause")
        pause.add_argument("--hours", type=int, choices=(0, 1, 2, 4), required=True)
        pause.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        word = options["word"]
        if word == "status":
            self._status()
            return
        sent: dict[str, Any] = {"reason": options["reason"]}
        sent |= {"for_s": options["hours"] * 3600} if word == "pause" else {"to": options["to"]}
        by = Actor(f"shell:{getpass.getuser()}", None, Role.OPERATOR, "command")
        kind = "failover-pause" if word == "pause" else word
        try:
            operation = submit(kind, sent, reason=options["reason"], by=by, confirm=options.get("confirm"))
        except (Invalid, Refused, Conflict) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"OP-{operation.pk} is under way: manage.py scheduler status, or /operations/{operation.pk}/")

    def _status(self) -> None:
        state = scheduler_state(timezone.now())
        verdict, lease = state.verdict, state.lease
        self.stdout.write(f"{verdict.status}: {verdict.title}. {verdict.reason} {verdict.remedy}".rstrip())
        for one in verdict.candidates:
            self.stdout.write(f"  {one.host}: {one.word}, {one.reason}")
        if lease.used and lease.seen:
            left = f", expires in {duration(lease.expires_in_s)}" if lease.expires_in_s is not None else ""
            self.stdout.write(f"  lease: {lease.holder or 'nobody'}, token {lease.token}{left}")
            self.stdout.write(f"  failover: {lease.not_acting or 'by itself'}")
