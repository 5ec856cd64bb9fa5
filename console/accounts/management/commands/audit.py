"""`manage.py audit verify [--expect SEQ:HASH]`: is the audit's chain whole?"""

from __future__ import annotations

import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction

from console.accounts.audit import LOCK, read_head
from console.accounts.chain import Head, verify
from console.accounts.models import AuditEntry


class Command(BaseCommand):
    help = "Verify the chain of the audit: exit code 1 and the first broken row when it does not hold."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        check = commands.add_parser("verify", help="read every row and compare")
        check.add_argument(
            "--expect",
            metavar="SEQ:HASH",
            help="an end of the chain that was noted elsewhere (an earlier verify, or the log): finds a chain that "
            "was rewritten together with its stored end, which nothing inside the database can show",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        noted = self._noted(options["expect"])
        with transaction.atomic():
            with connection.cursor() as cursor:  # the rows and the stored end of one moment
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
                cursor.execute("SELECT coalesce(max(seq), 0) FROM accounts_auditentry")
                last = int(cursor.fetchone()[0])
            head = read_head()
        entries = AuditEntry.objects.filter(seq__lte=last).order_by("seq")
        broken = verify((entry.link() for entry in entries.iterator(chunk_size=2000)), head, noted)
        if broken:
            raise CommandError(f"The audit is broken at row {broken.seq}: {broken.reason}.")
        if head is None:
            self.stdout.write("The audit is empty.")
            return
        rows = "1 row" if head.seq == 1 else f"{head.seq} rows"
        self.stdout.write(f"The audit holds: {rows}, chained. Its end: {head.seq}:{head.hash}")

    def _noted(self, text: str | None) -> Head | None:
        if not text:
            return None
        found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", text)
        if not found:
            raise CommandError("--expect: write SEQ:HASH, as audit verify prints it.")
        return Head(int(found[1]), found[2])
