"""A Slack channel, by an incoming webhook. It knows no dedup and no editing: a message sent twice is there twice."""

from __future__ import annotations

import json
from typing import Any

from console.incidents.pagers import http
from console.incidents.pagers.message import Action, Message, cut, one_line
from console.platform.declared import PagerDeclared

SECTION, HEADER = 3000, 150


class Slack:
    def __init__(self, declared: PagerDeclared) -> None:
        self._declared = declared

    def notify(self, message: Message) -> str:
        """Post it. Returns what Slack said; raises TransportError (a channel that is gone is permanent)."""
        answer = http.send(
            self._declared.url,
            body(message),
            {"Content-Type": "application/json; charset=utf-8"},
            allow_private=self._declared.allow_private,
        )
        return f"Slack answered {answer.status}"


def body(message: Message) -> bytes:
    """The post: `text` for notifications, `blocks` for the channel."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": cut(message.headline, HEADER)}},
        _section(f"<{message.link}|Open in Quarterdeck>\n{_escaped(message.text)}"),  # the link first: no cut takes it
    ]
    if message.action is Action.TRIGGER:
        lines = [f"*{_escaped(name)}*: {_escaped(value)}" for name, value in message.evidence]
        if lines:
            blocks.append(_section("\n".join(lines)))
        if message.links:
            blocks.append(_section(" · ".join(f"<{link.href}|{_escaped(link.text)}>" for link in message.links)))
    text = _escaped(cut(message.headline, HEADER * 2))
    return json.dumps({"text": f"{text} {message.link}", "blocks": blocks}).encode()


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": cut(text.strip(), SECTION)}}


def _escaped(text: str) -> str:
    """Slack's own escapes: without them a text could mention everybody (`<!channel>`)."""
    return one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
