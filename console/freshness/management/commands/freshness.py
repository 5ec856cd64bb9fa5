"""`manage.py freshness install SOURCE`: the heartbeat tables and grants, printed or run."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.freshness.poll import at_origin
from console.platform import heartbeat_ddl, install
from console.platform.declared import Declaration, SourceDeclared, declaration


class Command(BaseCommand):
    help = "Install what heartbeats need at a source and in the warehouse."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        install = commands.add_parser("install", help="tables and grants: printed, or run with --run")
        install.add_argument("source", help="the name of a source in platform.yaml")
        install.add_argument("--side", choices=["source", "warehouse"], default="source")
        how = install.add_mutually_exclusive_group()
        how.add_argument("--print", action="store_true", help="only print the statements (the default)")
        how.add_argument("--run", action="store_true", help="run them")
        install.add_argument(
            "--admin-url-env",
            metavar="NAME",
            help="with --run: the environment's variable that holds the URL of a user who may create and grant; "
            "without it they are run as the console's own user",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        declared = declaration()
        source = next((source for source in declared.sources if source.name == options["source"]), None)
        if source is None:
            known = ", ".join(source.name for source in declared.sources) or "none"
            raise CommandError(f"No source is called {options['source']}. Declared: {known}.")
        tasks = [task for task in declared.tasks if task.source == source.name]
        if not tasks:
            raise CommandError(f"No DMS task reads {source.name}: there is nothing to install.")
        at_source = options["side"] == "source"
        url = source.url if at_source else declared.warehouse_url
        user = unquote(urlsplit(url).username or "")
        engine = source.engine if at_source else "postgresql"
        if engine == "mysql" and options["run"]:
            user = _account(url, user)
        make = (
            heartbeat_ddl.at_source(tasks, engine, user)
            if at_source
            else heartbeat_ddl.at_warehouse(tasks, user, source.engine)
        )
        if options["run"]:
            name = options["admin_url_env"]
            its = f"the URL of source {source.name}" if at_source else "the warehouse's URL"
            self._run(make, _admin_url(name, url), name or f"{its} in platform.yaml", engine)
        else:
            for statement in make:
                self.stdout.write(f"{statement};")
        if at_source:
            self._explain(declared, source)
        self._evidence(declared, source, engine, user, at_source=at_source)

    def _run(self, statements: list[str], url: str, variable: str, engine: str) -> None:
        failed = 0
        try:
            for statement, refused in install.run(engine, url, variable, statements):
                if refused:
                    failed += 1
                    self.stderr.write(f"failed: {statement};\n  {refused}")
                else:
                    self.stdout.write(f"done: {statement};")
        except install.Unreachable as error:
            raise CommandError(str(error)) from None
        if failed:
            raise CommandError(
                f"{failed} of {len(statements)} failed. Run those as a user who may: --admin-url-env NAME."
            )

    def _evidence(
        self, declared: Declaration, source: SourceDeclared, engine: str, user: str, *, at_source: bool
    ) -> None:
        """Not run: the tables are not the console's, and may not be there yet."""
        tables = [table for table in declared.tables if table.source == source.name]
        relations = [at_origin(table)[1] if at_source else table.warehouse for table in tables]
        if user and relations:
            self.stdout.write("-- Pages show the newest stamps as evidence. The console's user needs for that:")
            for statement in heartbeat_ddl.for_evidence(relations, engine, user):
                self.stdout.write(f"-- {statement};")

    def _explain(self, declared: Declaration, source: SourceDeclared) -> None:
        for task in (task for task in declared.tasks if task.source == source.name):
            self.stdout.write(
                f"-- DMS' own user needs SELECT on {task.beats}. Add to the table mapping of {task.name}:"
            )
            self.stdout.write(f"-- {heartbeat_ddl.mapping(task)}")


def _account(url: str, user: str) -> str:
    """At MySQL a user is one of a host; where it can't sign in yet: of any."""
    try:
        return install.mysql_account(url)
    except install.Unreachable:
        return user


def _admin_url(name: str | None, url: str) -> str:
    if name is None:
        return url
    found = os.environ.get(name)
    if not found:
        raise CommandError(f"{name} is not set: put the administrator's URL there.")
    return found
