"""`manage.py token create|list|revoke`: API tokens from the command line."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from console.accounts import actions
from console.accounts.actor import command_actor
from console.accounts.models import ApiToken, User
from console.accounts.roles import Role
from console.accounts.tokens import DEFAULT_LIFE

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def life(text: str) -> timedelta | None:
    """`90d`, `12h`, `30m`, `4w`; None for `never`. Raises CommandError."""
    if text == "never":
        return None
    found = re.fullmatch(r"([1-9]\d{0,4})([mhdw])", text)
    if not found:
        raise CommandError(f"--expires {text}: write 90d, 12h, 30m, 4w or never.")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


class Command(BaseCommand):
    help = "Make, list and revoke API tokens."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        create = commands.add_parser("create", help="make a token and print it, and nothing else, on stdout")
        create.add_argument("--user", required=True, help="whose it is; it never does more than they may")
        create.add_argument("--role", required=True, choices=[role.value for role in Role])
        create.add_argument("--name", default="command line", help="what uses it")
        create.add_argument("--expires", default=f"{DEFAULT_LIFE.days}d", metavar="90d", help="or never")
        create.add_argument("--replace", action="store_true", help="revoke this user's others of the same name")
        listing = commands.add_parser("list", help="id, prefix, user, role, state, last use, name")
        listing.add_argument("--user", default="")
        revoke = commands.add_parser("revoke", help="end a token at once")
        revoke.add_argument("id", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, "_" + options["command"])(timezone.now(), options)

    def _create(self, now: datetime, options: dict[str, Any]) -> None:
        by = command_actor()
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            known = f"manage.py user ensure --username {options['user']} --role {options['role']}"
            raise CommandError(f"There is no user {options['user']}. Make one: {known}")
        lasting = life(options["expires"])
        expires_at = now + lasting if lasting else None
        try:
            made, text = actions.create_token(by, user, Role(options["role"]), options["name"], now, expires_at)
        except ValueError as error:
            raise CommandError(str(error)) from None
        if options["replace"]:
            for token in user.tokens.filter(name=made.name, revoked_at=None).exclude(pk=made.pk):
                actions.revoke_token(by, token, now)
        self.stdout.write(text)

    def _list(self, now: datetime, options: dict[str, Any]) -> None:
        tokens = ApiToken.objects.select_related("user")
        if options["user"]:
            tokens = tokens.filter(user__username=options["user"])
        for token in tokens:
            used = f"{token.last_used_at:%Y-%m-%dT%H:%MZ}" if token.last_used_at else "never used"
            fields = (token.pk, token.prefix, token.user.username, token.effective_role, token.state(now), used)
            self.stdout.write("\t".join(map(str, (*fields, token.name))))

    def _revoke(self, now: datetime, options: dict[str, Any]) -> None:
        token = ApiToken.objects.select_related("user").filter(pk=options["id"]).first()
        if token is None:
            raise CommandError(f"There is no token {options['id']}: see manage.py token list.")
        ended = actions.revoke_token(command_actor(), token, now)
        self.stderr.write(f"{token.name} is revoked." if ended else f"{token.name} was revoked before.")
