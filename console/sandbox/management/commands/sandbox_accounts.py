"""`manage.py sandbox_accounts FOLDER`: the sandbox's users viewer, operator and admin, and an API token of each.

The password is read from the standard input. A token in FOLDER that still works is kept. One command for all three,
because each start of Django costs a second.
"""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from console.accounts.roles import Role
from console.accounts.tokens import find
from console.sandbox.home import write_private


class Command(BaseCommand):
    help = "Used by the sandbox's start: makes its users and their API tokens."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        password = sys.stdin.readline()
        for role in Role:
            sys.stdin = io.StringIO(password)
            call_command("user", "ensure", "--username", role.value, "--role", role.value, "--password-stdin")
            file: Path = options["folder"] / role.value
            known = file.read_text().strip() if file.exists() else ""
            token = find(known, timezone.now()) if known else None
            if token is None or token.user.username != role.value:
                write_private(file, _new_token(role.value) + "\n")


def _new_token(role: str) -> str:
    with redirect_stdout(io.StringIO()) as output:
        call_command(
            "token", "create", "--user", role, "--role", role, "--name", "sandbox", "--expires", "never", "--replace",
            stdout=output,
        )  # fmt: skip
    return output.getvalue().strip()
