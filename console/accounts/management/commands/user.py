"""`manage.py user ensure --username NAME --role ROLE [--password-stdin]`, `manage.py user list`."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.accounts import actions
from console.accounts.actor import command_actor
from console.accounts.models import User
from console.accounts.roles import Role


class Command(BaseCommand):
    help = "Make users, and set their role and password. Safe to run again."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        ensure = commands.add_parser("ensure", help="make the user, or change the one that is there")
        ensure.add_argument("--username", required=True)
        ensure.add_argument("--role", required=True, choices=[role.value for role in Role])
        ensure.add_argument("--password-stdin", action="store_true", help="read the password's first line from stdin")
        ensure.add_argument("--ask-password", action="store_true", help="ask for it on the terminal")
        commands.add_parser("list", help="name, role and state of each user")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["command"] == "list":
            for user in User.objects.order_by("username"):
                self.stdout.write(f"{user.username}\t{user.role}\t{'active' if user.is_active else 'off'}")
            return
        self._ensure(options["username"], Role(options["role"]), self._password(options))

    def _password(self, options: dict[str, Any]) -> str | None:
        if options["password_stdin"]:
            text = sys.stdin.readline().rstrip("\r\n")
            if not text:
                raise CommandError("--password-stdin: there is no password on the standard input.")
            return text
        return getpass.getpass("Password: ") if options["ask_password"] else None

    def _ensure(self, username: str, role: Role, password: str | None) -> None:
        username = User.normalize_username(username)
        user = User.objects.filter(username=username).first()
        subject = user or User(username=username, role=role.value)
        try:
            subject.clean_fields(exclude=["password"])
            if user is None:
                subject.validate_constraints()
            if password is not None:
                validate_password(password, subject)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        by = command_actor()
        if user is None:
            actions.create_user(by, username, role, password)
            self.stderr.write(f"{username} is new, with the role {role}.")
            return
        if user.role != role or not user.is_active:
            user.role, user.is_active = role.value, True
            try:
                actions.save_user(by, user)
            except actions.LastAdmin as error:
                raise CommandError(str(error)) from None
            self.stderr.write(f"{username} has the role {role} now.")
        if password is not None and not user.check_password(password):
            actions.set_password(by, user, password)
            self.stderr.write(f"{username} has a new password.")
