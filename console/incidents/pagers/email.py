"""Mail, by Django's mail settings (`EMAIL_URL`, `EMAIL_FROM`): one thread per incident, one Message-ID per message."""

from __future__ import annotations

import hashlib
import smtplib
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from console.incidents.pagers.message import Action, Message, TransportError, cut, one_line
from console.platform.declared import PagerDeclared

SUBJECT = 200
TIMEOUT_S = 10


class Email:
    def __init__(self, declared: PagerDeclared) -> None:
        self._declared = declared

    def notify(self, message: Message) -> str:
        """Hand it to the mail server. Returns how many it goes to; raises TransportError (5xx is permanent)."""
        if not settings.EMAIL_HOST:
            raise TransportError("EMAIL_URL is not set: there is no mail server to hand it to", permanent=True)
        mail = EmailMessage(
            cut(message.headline, SUBJECT),
            body(message),
            settings.EMAIL_FROM,
            list(self._declared.to),
            headers=headers(message),
            connection=get_connection(timeout=TIMEOUT_S),
        )
        try:
            mail.send()
        except smtplib.SMTPRecipientsRefused as refused:
            codes = [code for code, _ in refused.recipients.values()]
            raise TransportError(
                f"the mail server refuses every recipient ({codes[0]})", permanent=all(code >= 500 for code in codes)
            ) from None
        except smtplib.SMTPResponseException as refused:
            what = "the console's sign-in" if isinstance(refused, smtplib.SMTPAuthenticationError) else "the mail"
            raise TransportError(
                f"the mail server refuses {what} ({refused.smtp_code})", permanent=refused.smtp_code >= 500
            ) from None
        except smtplib.SMTPNotSupportedError as unsupported:
            raise TransportError(
                f"the mail server does not offer what EMAIL_URL asks: {unsupported}", permanent=True
            ) from None
        except (smtplib.SMTPException, OSError) as failed:  # refused, time-out, connection broken
            maybe = not isinstance(failed, ConnectionRefusedError | smtplib.SMTPConnectError)
            raise TransportError(
                f"the mail server can't be reached or broke off ({type(failed).__name__})", maybe_taken=maybe
            ) from None
        return f"The mail server took it for {len(self._declared.to)} recipient{'s' * (len(self._declared.to) != 1)}"


def headers(message: Message) -> dict[str, str]:
    """By these a mail program shows the incident as one thread, and drops what it already has."""
    host = urlsplit(settings.BASE_URL).hostname or "localhost"
    thread = f"<incident.{_digest(message.key + message.link)}@{host}>"
    own = {
        "Message-ID": f"<page.{_digest(message.id)}@{host}>",
        "References": thread,
        "Auto-Submitted": "auto-generated",
    }
    return own if message.action is Action.TRIGGER else own | {"In-Reply-To": thread}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def body(message: Message) -> str:
    lines = [one_line(message.title), "", message.link, "", message.text.strip()]
    if message.evidence:
        lines += ["", "Seen when it opened:", *(f"- {name}: {one_line(value)}" for name, value in message.evidence)]
    if message.links:
        lines += ["", *(f"{link.text}: {link.href}" for link in message.links)]
    return "\n".join(lines) + "\n"
