"""Any other service, by the Apprise library: its URL says which (`discord://…`, `msteams://…`, `opsgenie://…`).

Apprise says only whether it worked; why it did not is read from its own log lines. It knows no dedup.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from urllib.parse import urlsplit

from apprise import Apprise as Library
from apprise import AppriseAsset, NotifyFormat, NotifyType

from console.incidents.pagers import http
from console.incidents.pagers.addresses import public_only, resolved
from console.incidents.pagers.message import Action, Message, TransportError, cut, one_line
from console.platform.declared import PagerDeclared

TIMEOUT_S = 20
LOCAL = {"dbus", "qt", "kde", "glib", "gnome", "macosx", "windows", "blink1", "syslog", "vapid", "smpp", "smpps"}
"""What would act on the console's own machine, or needs more than the library."""
_STATUS = re.compile(r"error[=: ]+(\d{3})\b")
_TYPES = {"critical": NotifyType.FAILURE, "error": NotifyType.FAILURE, "warning": NotifyType.WARNING}


class Apprise:
    def __init__(self, declared: PagerDeclared) -> None:
        self._declared = declared

    def notify(self, message: Message) -> str:
        """Hand it to the service. Returns the service's name; raises TransportError."""
        service = _service(self._declared.url)
        if not self._declared.allow_private:
            _refuse_private(service)
        service.redirects = False  # its URL may say otherwise
        library = Library(asset=service.asset)
        library.add(service)
        guard: AbstractContextManager[list[str]] = nullcontext([]) if self._declared.allow_private else public_only()
        with guard as refused:
            result = library.notify(
                body=_unmentioning(body(message)),
                title=_unmentioning(message.headline),
                notify_type=_type(message),
                body_format=NotifyFormat.TEXT,
                timeout=TIMEOUT_S,
            )
        if refused:
            raise TransportError(
                f"{service.service_name} leads to a private address ({refused[0]}), which is refused. "
                "If that is meant, write allow_private: true at this pager in platform.yaml.",
                permanent=True,
            )
        if not result:
            lines = [str(getattr(entry, "message", entry)) for entry in result.logs()]
            raise _failed(str(service.service_name), lines, (self._declared.url, *_parts(self._declared.url)))
        return f"{service.service_name} took it"


def _service(url: str) -> Any:
    """Apprise's object for the URL. Raises TransportError (permanent) for one it does not know."""
    scheme = urlsplit(url).scheme.lower()
    asset = AppriseAsset(app_id="Quarterdeck", app_desc="Quarterdeck", http_redirects=False, async_mode=False)
    found = None if scheme in LOCAL else Library.instantiate(url, asset=asset, suppress_exceptions=True)
    if found is None:
        raise TransportError(
            f"Apprise knows no service for a URL like {cut(scheme or 'nothing', 30)}://…, or it lacks parts. "
            "Compare it with Apprise's documentation of that service.",
            permanent=True,
        )
    return found


def _refuse_private(service: Any) -> None:
    """Where the URL names a host, that host's addresses are looked at; for many services that place holds a token."""
    host = str(getattr(service, "host", "") or "")
    if not host:
        return
    try:
        resolved(host, int(getattr(service, "port", 0) or 443), allow_private=False)
    except TransportError as error:
        if error.permanent:
            raise


def _parts(url: str) -> list[str]:
    """Each piece of the URL that may be a secret."""
    parts = urlsplit(url)
    return [piece for piece in re.split(r"[/?&=:@]", url.removeprefix(f"{parts.scheme}://")) if len(piece) > 5]


def _failed(name: str, lines: list[str], secrets: tuple[str, ...]) -> TransportError:
    """Apprise's own words, and by the status in them whether trying again can help."""
    said = http.scrubbed(one_line(" ".join(lines)), secrets)
    statuses = [int(text) for text in _STATUS.findall(said)]
    permanent = bool(statuses) and all(400 <= status < 500 and status not in {408, 425, 429} for status in statuses)
    maybe = not statuses or any(status >= 500 for status in statuses)
    return TransportError(
        f"{name} did not take it: {cut(said, 200) or 'no reason given'}", permanent=permanent, maybe_taken=maybe
    )


def _type(message: Message) -> NotifyType:
    if message.action is not Action.TRIGGER:
        return NotifyType.SUCCESS if message.action is Action.RESOLVE else NotifyType.INFO
    return _TYPES.get(message.severity, NotifyType.INFO)


def _unmentioning(text: str) -> str:
    """The text without what would call everybody of a channel: many of the services take it for an order."""
    return re.sub(r"@(?=(everyone|here|channel|all)\b)|(?<=<)(?=[!@])", lambda found: f"{found[0]}\u200b", text)


def body(message: Message) -> str:
    lines = [message.text.strip(), message.link, *(f"{name}: {one_line(value)}" for name, value in message.evidence)]
    return "\n".join(line for line in lines if line)
