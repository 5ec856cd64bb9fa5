"""The console's settings from the environment.

A missing or malformed variable does not break the import of the settings: it is noted as a `Problem`, and
`console.checks` shows every one of them at once, with its remedy, before anything starts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any
from urllib.parse import unquote, urlsplit

import dj_database_url


@dataclass(frozen=True)
class Problem:
    """One variable that is missing or malformed: its name, what is wrong, and what to do."""

    name: str
    message: str
    hint: str


class Env:
    """Reads variables of `values`; what is wrong with them collects in `problems`."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self.values = os.environ if values is None else values
        self.problems: list[Problem] = []

    def _problem(self, name: str, message: str, hint: str) -> None:
        self.problems.append(Problem(name, message, hint))

    def text(self, name: str, default: str = "") -> str:
        return self.values.get(name, "").strip() or default

    def required(self, name: str, hint: str) -> str:
        value = self.text(name)
        if not value:
            self._problem(name, f"{name} is not set.", hint)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.text(name).lower()
        if value in {"1", "true", "yes", "on"}:
            return True
        if value in {"0", "false", "no", "off"}:
            return False
        if value:
            self._problem(name, f"{name} is {value!r}, which is neither true nor false.", "Use 1 or 0.")
        return default

    def words(self, name: str, default: str = "") -> list[str]:
        return [word.strip() for word in self.text(name, default).split(",") if word.strip()]

    def networks(self, name: str) -> list[IPv4Network | IPv6Network]:
        """Addresses and networks (`10.0.0.0/8,127.0.0.1`), by commas."""
        found = []
        for word in self.words(name):
            try:
                found.append(ip_network(word))
            except ValueError:
                self._problem(
                    name, f"{name} holds {word!r}, which is no network.", "Write 10.0.0.0/8 or 10.1.2.3, by commas."
                )
        return found

    def url(self, name: str, schemes: tuple[str, ...], default: str = "", *, hint: str = "") -> str:
        """A URL with one of the schemes. Never repeats the value in the message: it may hold a password."""
        value = self.text(name, default)
        expected = hint or f"Expected {' or '.join(s + '://…' for s in schemes)}."
        if not value:
            self._problem(name, f"{name} is not set.", expected)
            return ""
        try:
            parts = urlsplit(value)
            _ = parts.port
        except ValueError as error:
            self._problem(name, f"{name} is not a URL: {error}.", expected)
            return ""
        if parts.scheme not in schemes:
            self._problem(name, f"{name} starts with {parts.scheme or 'no scheme'!r}.", expected)
            return ""
        return value

    def mail(self, name: str) -> dict[str, Any]:
        """Django's mail settings from `smtp://USER:PASSWORD@HOST:587?tls=1` (STARTTLS) or `smtps://…` (TLS at once)."""
        hint = "Expected smtp://USER:PASSWORD@HOST:587?tls=1 or smtps://USER:PASSWORD@HOST:465."
        value = self.url(name, ("smtp", "smtps"), hint=hint) if self.text(name) else ""
        parts = urlsplit(value)
        if value and not parts.hostname:
            self._problem(name, f"{name} names no host.", hint)
        tls = parts.scheme == "smtps"
        return {
            "EMAIL_HOST": parts.hostname or "",
            "EMAIL_PORT": (parts.port if value else None) or (465 if tls else 25),
            "EMAIL_HOST_USER": unquote(parts.username or ""),
            "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
            "EMAIL_USE_SSL": tls,
            "EMAIL_USE_TLS": not tls and "tls=1" in parts.query,
            "EMAIL_TIMEOUT": 10,
        }

    def database(self, name: str) -> dict[str, Any]:
        """Django's database settings from a postgresql:// URL (a socket folder as `?host=/folder`)."""
        value = self.url(name, ("postgresql", "postgres"), hint="Expected postgresql://USER:PASSWORD@HOST:5432/NAME.")
        fallback = {"ENGINE": "django.db.backends.postgresql", "NAME": "not-configured", "HOST": "127.0.0.1"}
        if not value:
            return fallback
        try:
            settings = dict(dj_database_url.parse(value))
        except ValueError as error:
            self._problem(name, f"{name} could not be read: {error}.", "Percent-encode the password.")
            return fallback
        if not settings.get("NAME"):
            self._problem(name, f"{name} names no database.", "Add /NAME behind the host.")
        return settings
