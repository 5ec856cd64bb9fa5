"""What is told to a person or their pager, and how telling can fail. Pure.

One `Message` says one thing of one incident: that it began (trigger), that somebody looks after it (acknowledge), or
that it is over (resolve). `key` is the same in all three, and is the dedup key at the other end: a message that is sent
twice, because its answer was lost, changes nothing there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from urllib.parse import quote


class Action(StrEnum):
    """What a message does to the incident at the other end."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


SEVERITIES = ("critical", "error", "warning", "info")
"""PagerDuty's words, worst first; everybody else's are made of them."""


@dataclass(frozen=True)
class Link:
    """Somewhere to look: an absolute address and what is there."""

    href: str
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "href", _href(self.href))
        object.__setattr__(self, "text", one_line(self.text))


@dataclass(frozen=True)
class Message:
    """One thing to tell about one incident."""

    key: str  # the incident's stable key: the dedup key everywhere
    action: Action
    severity: str  # one of SEVERITIES
    title: str  # one line
    text: str  # why, and what is recommended; plain, may have several lines
    link: str  # BASE_URL/i/ID
    at: datetime  # when what it tells happened
    id: str  # of this message: the same each time it is sent again
    source: str = "quarterdeck"  # the platform's name
    target: str = ""  # what it is about: "fleet:cpu"
    links: tuple[Link, ...] = ()
    evidence: tuple[tuple[str, str], ...] = ()  # as frozen at opening: name, value

    def __post_init__(self) -> None:
        """What came from outside can't add lines, steer a terminal, or turn the direction of the text."""
        for name in ("title", "source", "target"):
            object.__setattr__(self, name, one_line(getattr(self, name)))
        object.__setattr__(self, "text", "\n".join(map(_plain, self.text.splitlines())))
        lines = tuple((one_line(name), one_line(value)) for name, value in self.evidence)
        object.__setattr__(self, "evidence", lines)

    @property
    def headline(self) -> str:
        """The title with a word for what happened; colour is never needed."""
        word = {Action.TRIGGER: self.severity.upper(), Action.ACKNOWLEDGE: "Acknowledged", Action.RESOLVE: "Resolved"}
        return f"{word[self.action]}: {one_line(self.title)}"


@dataclass(frozen=True)
class Change:
    """Something that was changed on purpose and wakes nobody: a deploy."""

    summary: str
    at: datetime
    link: str
    source: str = "quarterdeck"
    details: tuple[tuple[str, str], ...] = field(default=())


class TransportError(Exception):
    """A message was not (surely) taken.

    `permanent`: sending the same again can't succeed; go to the next pager. `retry_after_s`: the other end asked to
    wait that long, in seconds. `maybe_taken`: the answer was lost or says nothing, so the other end may hold the
    message: a later resolve must go there too. The text names no secret.
    """

    def __init__(
        self, text: str, *, permanent: bool = False, retry_after_s: float | None = None, maybe_taken: bool = False
    ) -> None:
        super().__init__(text)
        self.permanent = permanent
        self.retry_after_s = retry_after_s
        self.maybe_taken = maybe_taken


_UNPRINTED = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of what follows."""


def one_line(text: str) -> str:
    """The text without line breaks, control characters and runs of spaces."""
    return _plain(" ".join(text.split()))


def _plain(text: str) -> str:
    return _UNPRINTED.sub("", text)


def _href(address: str) -> str:
    """The address with everything escaped that would end it in a text (Slack's `<URL|words>`, a line, a quote)."""
    return re.sub(r"[\s<>|\"'\\`]|" + _UNPRINTED.pattern, lambda found: quote(found[0], safe=""), address)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, the last an ellipsis where something is missing."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
