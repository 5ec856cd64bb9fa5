"""Mail: against a real SMTP server."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message as Mail
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from console.incidents.pagers import TransportError, pager
from console.platform.declared import PagerDeclared
from tests.incidents.pagers.conftest import message
from tests.services import free_port

DECLARED = PagerDeclared("archive", "email", to=("a@example.com", "b@example.com"))


class Mailbox:
    """Takes mail. `recipient` and `data` are answers to give instead, once each."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.recipient = self.data = ""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.recipient:
            return self.recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.data:
            return self.data
        self.mails.append(message_from_bytes(envelope.content))
        return "250 taken"


@pytest.fixture
def mailbox(settings: Any) -> Iterator[Mailbox]:
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"  # the tests' own keeps mail in memory
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", controller.port
    settings.BASE_URL = "https://deck.example.com"
    yield box
    controller.stop()


def subject(mail: Mail) -> str:
    return str(make_header(decode_header(mail["Subject"])))


def test_it_arrives_with_the_link_and_the_evidence(mailbox: Mailbox) -> None:
    assert pager(DECLARED).notify(message(title="Queue cpu\r\nBcc: x@example.com starves")).endswith("2 recipients")
    (mail,) = mailbox.mails
    assert subject(mail) == "CRITICAL: Queue cpu Bcc: x@example.com starves"
    assert mail["Bcc"] is None
    text = mail.get_payload(decode=True).decode()  # type: ignore[union-attr]
    assert "https://deck.example.com/i/17" in text
    assert "- waiting: 40" in text
    assert mail["To"] == "a@example.com, b@example.com"


def test_a_mail_sent_again_has_the_same_id_and_the_incident_is_one_thread(mailbox: Mailbox) -> None:
    for action in ("trigger", "trigger", "resolve"):
        pager(DECLARED).notify(message(action))
    first, again, end = mailbox.mails
    assert first["Message-ID"] == again["Message-ID"] != end["Message-ID"]
    assert first["References"] == end["References"] == end["In-Reply-To"]
    assert subject(end).startswith("Resolved:")


@pytest.mark.parametrize(
    ("stage", "answer", "permanent"),
    [
        ("recipient", "550 no such user", True),
        ("recipient", "451 try later", False),
        ("data", "554 spam", True),
        ("data", "452 full", False),
    ],
)
def test_permanent_and_temporary_are_told_apart(mailbox: Mailbox, stage: str, answer: str, permanent: bool) -> None:
    setattr(mailbox, stage, answer)
    with pytest.raises(TransportError, match=answer[:3]) as failed:
        pager(DECLARED).notify(message())
    assert failed.value.permanent is permanent
    assert mailbox.mails == []


def test_a_server_that_is_away_is_temporary(mailbox: Mailbox, settings: Any) -> None:
    settings.EMAIL_PORT = free_port()
    with pytest.raises(TransportError) as failed:
        pager(DECLARED).notify(message())
    assert (failed.value.permanent, failed.value.maybe_taken) == (False, False)


def test_no_server_at_all_is_said(settings: Any) -> None:
    settings.EMAIL_HOST = ""
    with pytest.raises(TransportError, match="EMAIL_URL is not set") as failed:
        pager(DECLARED).notify(message())
    assert failed.value.permanent
