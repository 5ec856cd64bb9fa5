"""`python -m console.sandbox.host_aliases`: keeps $HOSTALIASES, by which an instance's id is a host's name in DNS.

The AWS stand-in knows which container is the machine of which instance; the C library's resolver reads the file at each
question. So Airflow's api-server reads a running task's log from `http://i-0abc…:8793`. Only the standard library.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request

INTERVAL_S = 3.0


def text(hosts: dict[str, str]) -> str:
    """The resolver's file: an alias and the name behind it, a line each."""
    return "".join(f"{instance} {host}\n" for instance, host in sorted(hosts.items()))


def main() -> int:
    target, url = os.environ.get("HOSTALIASES", ""), os.environ.get("AWS_ENDPOINT_URL", "")
    if not target or not url:
        print("host_aliases: HOSTALIASES and AWS_ENDPOINT_URL must be set", file=sys.stderr)
        return 2
    written = None
    while True:
        try:
            with urllib.request.urlopen(f"{url.rstrip('/')}/sandbox/machine", timeout=5) as answer:
                wanted = text(json.load(answer))
            if wanted != written:
                with open(f"{target}.new", "w") as file:
                    file.write(wanted)
                os.replace(f"{target}.new", target)
                written = wanted
        except (OSError, ValueError):
            pass  # the stand-in is away: what was true stays
        time.sleep(INTERVAL_S)


if __name__ == "__main__":
    sys.exit(main())
