"""The sandbox's post office, by a real mail client."""

from __future__ import annotations

import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from console.sandbox.home import REPOSITORY
from tests.services import free_port


@pytest.fixture
def office(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    port, folder = free_port(), tmp_path / "mail"
    script = REPOSITORY / "console" / "sandbox" / "mail.py"
    process = subprocess.Popen([sys.executable, "-I", str(script), str(port), str(folder)])
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield port, folder
    process.terminate()
    process.wait(10)


def test_a_mail_is_kept_as_it_was_sent(office: tuple[int, Path]) -> None:
    port, folder = office
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@sandbox.example", "b@sandbox.example", "Orders"
    mail.set_content(".a line that begins with a dot\n..\nend\n")
    mail.add_attachment(b"1,2\n", maintype="text", subtype="csv", filename="orders.csv")
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
        client.send_message(mail)
        client.send_message(mail)
    kept = sorted(folder.glob("*.eml"))
    assert len(kept) == 2
    assert b"\r\n.a line that begins with a dot\r\n..\r\nend" in kept[0].read_bytes()
    assert b"orders.csv" in kept[0].read_bytes()


def test_a_wrong_order_is_refused_and_a_broken_off_mail_is_not_kept(office: tuple[int, Path]) -> None:
    port, folder = office
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
        client.ehlo()
        assert client.docmd("DATA")[0] == 503
        assert client.docmd("RCPT", "TO:<b@x>")[0] == 503
        assert client.docmd("VRFY", "b")[0] == 502
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        raw.sendall(b"EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\nhalf of it")
    time.sleep(0.3)
    assert list(folder.glob("*.eml")) == []
