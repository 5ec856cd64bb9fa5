"""`manage.py sandbox run|status|break FAULT [TARGET]|mend FAULT [TARGET]`."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from console.sandbox.cli import main, parser


class Command(BaseCommand):
    help = "The whole platform on this machine: run it, look at it, break it on purpose."
    requires_system_checks = ()  # the console may well be what does not work

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        made = super().create_parser(prog_name, subcommand, **kwargs)
        made.epilog = parser().format_help()
        return made

    def add_arguments(self, command: CommandParser) -> None:
        command.add_argument("arguments", nargs="*", metavar="run|status|break|mend [FAULT [TARGET]]")

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(main(options["arguments"]))
