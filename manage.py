#!/usr/bin/env python
"""Django's command line; a database out of reach is one sentence and exit code 1."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    from console.reach import connection_failed

    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        sentence = connection_failed(error)
        if sentence is None:
            raise
        print(sentence, file=sys.stderr)  # noqa: T201 - the command line
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
