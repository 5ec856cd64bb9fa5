"""Whom the console tells: one module per kind of receiver, each with one `notify(message)`.

`notify` returns one sentence for the delivery log, or raises TransportError, which says whether trying again can help.
Each may be called again with the same message: the other end holds one incident per key.
"""

from __future__ import annotations

from typing import Protocol

from console.incidents.pagers.email import Email
from console.incidents.pagers.message import Action, Change, Link, Message, TransportError
from console.incidents.pagers.pagerduty import PagerDuty
from console.incidents.pagers.slack import Slack
from console.incidents.pagers.sns import Sns
from console.incidents.pagers.webhook import Webhook
from console.platform.declared import PagerDeclared

__all__ = ["Action", "Change", "Link", "Message", "Pager", "PagerDuty", "TransportError", "pager"]


class Pager(Protocol):
    """A receiver of messages."""

    def notify(self, message: Message) -> str:
        """Deliver it. Returns a sentence for the log; raises TransportError."""
        ...


def pager(declared: PagerDeclared) -> Pager:
    """The adapter of a declared pager."""
    match declared.kind:
        case "pagerduty":
            return PagerDuty(declared)
        case "slack":
            return Slack(declared)
        case "email":
            return Email(declared)
        case "sns":
            return Sns(declared)
        case "apprise":
            from console.incidents.pagers.apprise import Apprise  # 30 MB of every process: only where it is declared

            return Apprise(declared)
        case "webhook":
            return Webhook(declared)
        case unknown:
            raise ValueError(f"no adapter for a pager of kind {unknown!r}")
