"""Remote store or local twin: decided by configuration alone. Pure.

Invariant: in production files never land silently on one machine's disk; and an Airflow that can't be asked for a
connection is never taken for one that has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

MODES = ("auto", "always", "never")
ENVIRONMENTS = ("production", "development")


class NoStore(Exception):
    """Neither the remote store nor its twin may be used. The message says what to set."""


@dataclass(frozen=True)
class Settings:
    """The section `[quarterdeck]` of Airflow's configuration.

    `local_twin`: `auto` takes the twin where the connection does not exist, `always`, `never`. The twin needs
    `local_folder`, and in the environment `production` (which is what it is unless told otherwise)
    `allow_local_in_production`.
    """

    environment: str = "production"
    local_twin: str = "auto"
    local_folder: str = ""
    allow_local_in_production: bool = False
    local_links_url: str = ""

    @classmethod
    def of(cls, values: Mapping[str, str | None]) -> Settings:
        """From the options' texts. Raises NoStore naming the option."""
        given = {name: (values.get(name) or "").strip() for name in cls.__dataclass_fields__}
        mode = given["local_twin"].lower() or "auto"
        environment = given["environment"].lower() or "production"
        allowed = given["allow_local_in_production"].lower() or "false"
        _one_of("local_twin", mode, MODES)
        _one_of("environment", environment, ENVIRONMENTS)
        _one_of("allow_local_in_production", allowed, ("true", "false"))
        return cls(environment, mode, given["local_folder"], allowed == "true", given["local_links_url"])


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise NoStore(f"[quarterdeck] {name} is {value!r}: give one of {', '.join(allowed)}.")


def local_folder(settings: Settings, conn_id: str, exists: Callable[[], bool]) -> str | None:
    """The twin's folder; None for the remote store. `exists` asks Airflow for the connection, only where it matters.

    Raises NoStore.
    """
    if settings.local_twin == "never" or (settings.local_twin == "auto" and exists()):
        return None
    why = (
        f"The connection {conn_id} does not exist"
        if settings.local_twin == "auto"
        else "[quarterdeck] local_twin is always"
    )
    if settings.environment == "production" and not settings.allow_local_in_production:
        raise NoStore(
            f"{why}, and in production files are not kept on one machine's disk. Define the connection, or set "
            "[quarterdeck] environment = development (or allow_local_in_production = True)."
        )
    if not settings.local_folder:
        raise NoStore(f"{why}, and no folder is configured for its local twin. Set [quarterdeck] local_folder.")
    return settings.local_folder
