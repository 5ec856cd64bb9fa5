"""What other systems' webhooks say, as frozen values: PagerDuty's V3 and Alertmanager's version 4. Pure.

Keys that are not needed are not looked at: both senders add new ones without notice.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from console.incidents.findings import Fact, Finding, Recommended, Severity

LABELS = 20
_SEVERITIES = {
    "critical": Severity.CRITICAL, "page": Severity.CRITICAL, "emergency": Severity.CRITICAL, "p1": Severity.CRITICAL,
    "error": Severity.ERROR, "major": Severity.ERROR, "high": Severity.ERROR, "p2": Severity.ERROR,
    "info": Severity.INFO, "informational": Severity.INFO, "none": Severity.INFO,
}  # fmt: skip


def _clean(value: object) -> object:
    """PostgreSQL takes no NUL and no lone surrogate."""
    return value.replace("\x00", "").encode("utf-8", "replace").decode() if isinstance(value, str) else value


Words = Annotated[str, BeforeValidator(_clean)]


class Told(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class Agent(Told):
    summary: Words = ""


class PagerDutyIncident(Told):
    incident_key: Words | None = None
    html_url: Words | None = None


class PagerDutyEvent(Told):
    id: Annotated[Words, Field(min_length=1, max_length=200)]
    event_type: Annotated[Words, Field(min_length=1)]
    occurred_at: AwareDatetime
    agent: Agent | None = None
    data: PagerDutyIncident


class PagerDutyHook(Told):
    """The body of a V3 webhook."""

    event: PagerDutyEvent


def signed(secret: str, body: bytes, header: str) -> bool:
    """Is one of the signatures in `X-PagerDuty-Signature` (`v1=HEX`, by commas) that of the body?"""
    expected = "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return any(hmac.compare_digest(one.strip().encode(), expected.encode()) for one in header.split(","))


class Alert(Told):
    """One alert of a group. `startsAt` and `fingerprint` together name one occurrence."""

    status: Literal["firing", "resolved"]
    labels: Mapping[Words, Words]
    annotations: Mapping[Words, Words] = Field(default_factory=dict)
    startsAt: AwareDatetime
    generatorURL: Words = ""
    fingerprint: Annotated[Words, Field(min_length=1, max_length=100)]

    @property
    def key(self) -> str:
        name = re.sub(r"[^\x21-\x7e]", "_", self.fingerprint)  # it goes into headers and others' keys
        return f"outside.alertmanager:{name}:{self.startsAt.astimezone(UTC).isoformat()}"

    @property
    def name(self) -> str:
        return self.labels.get("alertname") or "alert"

    def finding(self) -> Finding:
        """As an incident tells it."""
        title = self.annotations.get("summary") or self.name
        description = self.annotations.get("description") or self.annotations.get("message") or ""
        runbook = web(self.annotations.get("runbook_url", ""))
        names = sorted(set(self.labels) - {"alertname", "severity"})[:LABELS]
        return Finding(
            key=self.key,
            detector="outside",
            severity=_SEVERITIES.get(self.labels.get("severity", "").lower(), Severity.WARNING),
            title=title[:300],
            sentence=description[:4000] or f"Alertmanager says that {self.name} fires.",
            target=f"outside/{self.name}"[:400],
            url=web(self.generatorURL) or "/",
            facts=tuple(Fact(name[:100], self.labels[name][:500]) for name in names),
            recommended=Recommended(f"Follow the runbook of {self.name}.", runbook, "Open its runbook")
            if runbook
            else None,
        )


class AlertmanagerHook(Told):
    """The body of Alertmanager's webhook."""

    version: Literal["4"]
    groupKey: Words = ""
    truncatedAlerts: int = 0  # so many more there are: `max_alerts` of Alertmanager's receiver
    groupLabels: Mapping[Words, Words] = Field(default_factory=dict)
    commonLabels: Mapping[Words, Words] = Field(default_factory=dict)
    commonAnnotations: Mapping[Words, Words] = Field(default_factory=dict)
    externalURL: Words = ""
    alerts: tuple[Alert, ...]


def web(url: str) -> str:
    """The URL where it is one of the web; "" otherwise (a link must not run a script)."""
    try:
        return url[:1000] if urlsplit(url).scheme in {"http", "https"} else ""
    except ValueError:
        return ""


def too_old(occurred_at: datetime, now: datetime, limit_s: float) -> bool:
    return abs((now - occurred_at).total_seconds()) > limit_s
