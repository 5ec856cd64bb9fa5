"""PagerDuty's Events v2: dedup key, client and links beside the payload; 202 alone means accepted."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from console.incidents.pagers import http
from console.incidents.pagers.message import Action, Change, Message, TransportError, cut, one_line
from console.platform.declared import PagerDeclared

SUMMARY, DEDUP, LARGEST = 1024, 255, 512_000


class PagerDuty:
    """Trigger, acknowledge and resolve by one dedup key; and changes, which wake nobody."""

    def __init__(self, declared: PagerDeclared) -> None:
        self._declared = declared

    def notify(self, message: Message) -> str:
        """Send it. Returns what PagerDuty said; raises TransportError."""
        answer = self._post(self._declared.url, body(message, self._declared.routing_key))
        return f"PagerDuty answered {answer.status}"

    def change(self, change: Change) -> str:
        """Tell of a change. Returns what PagerDuty said; raises TransportError."""
        answer = self._post(change_url(self._declared.url), change_body(change, self._declared.routing_key))
        return f"PagerDuty answered {answer.status}"

    def _post(self, url: str, content: bytes) -> http.Answer:
        answer = http.send(
            url,
            content,
            {"Content-Type": "application/json"},
            allow_private=self._declared.allow_private,
            secrets=(self._declared.routing_key,),
        )
        if answer.status != 202:  # only that means accepted; a 200 is a proxy's page or a portal's
            raise TransportError(
                f"{urlsplit(url).hostname} answered {answer.status}, where PagerDuty answers 202", maybe_taken=True
            )
        return answer


def dedup_key(key: str) -> str:
    """The key itself; one that is too long ends in a digest of the whole, so that two never become one."""
    return key if len(key) <= DEDUP else f"{key[:200]}:{hashlib.sha256(key.encode()).hexdigest()[:40]}"


def change_url(url: str) -> str:
    """Where changes go: `/v2/change/enqueue` beside `/v2/enqueue`."""
    parts = urlsplit(url)
    path = parts.path.removesuffix("/enqueue") + "/change/enqueue"
    return urlunsplit(parts._replace(path=path))


def body(message: Message, routing_key: str) -> bytes:
    """The event as JSON of at most 512,000 bytes: custom_details go first, then links."""
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": message.action.value,
        "dedup_key": dedup_key(message.key),
    }
    if message.action is not Action.TRIGGER:
        return _encoded(event)
    details = dict(message.evidence) | ({"text": message.text} if message.text else {})
    event |= {
        "payload": {
            "summary": cut(one_line(message.title), SUMMARY),
            "source": message.source,
            "severity": message.severity,
            "timestamp": message.at.isoformat(),
            "component": message.target or message.source,
            "custom_details": details,
        },
        "client": "Quarterdeck",
        "client_url": message.link,
        "links": [{"href": link.href, "text": link.text} for link in message.links],
    }
    return _fitting(event, "links")


def change_body(change: Change, routing_key: str) -> bytes:
    event = {
        "routing_key": routing_key,
        "payload": {
            "summary": cut(one_line(change.summary), SUMMARY),
            "source": change.source,
            "timestamp": change.at.isoformat(),
            "custom_details": dict(change.details),
        },
        "links": [{"href": change.link, "text": "Open in Quarterdeck"}],
    }
    return _fitting(event, "links")


def _fitting(event: dict[str, Any], least: str) -> bytes:
    text = _encoded(event)
    if len(text) > LARGEST:
        del event["payload"]["custom_details"]
        text = _encoded(event)
    if len(text) > LARGEST:
        del event[least]
        text = _encoded(event)
    return text


def _encoded(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
