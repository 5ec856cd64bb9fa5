"""Any receiver of JSON: signed, timestamped, with an id by which it can drop what it already has.

`X-Quarterdeck-Signature: v1=HEX` is HMAC-SHA256, with the declared secret, of `TIMESTAMP.BODY`, where TIMESTAMP is
`X-Quarterdeck-Timestamp` (seconds since 1970): refuse what is older than five minutes. docs/paging.md shows a receiver.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

from console.incidents.pagers import http
from console.incidents.pagers.message import Message, one_line
from console.platform.declared import PagerDeclared


class Webhook:
    def __init__(self, declared: PagerDeclared) -> None:
        self._declared = declared

    def notify(self, message: Message) -> str:
        """Post it. Returns what the receiver said; raises TransportError."""
        content, at = body(message), str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": message.id,
            "X-Quarterdeck-Timestamp": at,
        }
        if self._declared.secret:
            headers["X-Quarterdeck-Signature"] = signature(self._declared.secret, at, content)
        answer = http.send(
            self._declared.url,
            content,
            headers,
            allow_private=self._declared.allow_private,
            secrets=(self._declared.secret,),
        )
        return f"The receiver answered {answer.status}"


def signature(secret: str, timestamp: str, content: bytes) -> str:
    """What `X-Quarterdeck-Signature` holds."""
    signed = hmac.new(secret.encode(), timestamp.encode() + b"." + content, hashlib.sha256)
    return f"v1={signed.hexdigest()}"


def body(message: Message) -> bytes:
    """The message as JSON; `version` changes when a field is removed or changes its meaning."""
    told: dict[str, Any] = {
        "version": 1,
        "id": message.id,
        "key": message.key,
        "action": message.action.value,
        "severity": message.severity,
        "title": one_line(message.title),
        "text": message.text,
        "source": message.source,
        "target": message.target,
        "link": message.link,
        "links": [{"href": link.href, "text": link.text} for link in message.links],
        "evidence": dict(message.evidence),
        "at": message.at.isoformat(),
    }
    return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")
