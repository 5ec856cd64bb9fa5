"""What the pagers' shared sender refuses, and how it judges answers."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from console.incidents.pagers import TransportError, addresses, http
from tests.incidents.receivers import Receiver

NOW = datetime(2026, 11, 22, 3, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "10.0.0.7", "172.16.9.9", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "255.255.255.255",
    ],
)  # fmt: skip
def test_inside_addresses_are_not_public(text: str) -> None:
    assert not addresses.is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_outside_addresses_are(text: str) -> None:
    assert addresses.is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]"])
def test_a_private_address_is_refused_before_anything_is_sent(receiver: Receiver, host: str) -> None:
    url = receiver.url.replace("127.0.0.1", host)
    with pytest.raises(TransportError, match="private address") as failed:
        http.send(url, b"{}")
    assert failed.value.permanent
    assert "allow_private" in str(failed.value)
    assert receiver.requests == []


def test_a_name_that_leads_inside_is_refused_too(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    port = urlsplit(receiver.url).port
    found = [(2, 1, 6, "", ("8.8.8.8", port)), (2, 1, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *args, **kwargs: found)
    with pytest.raises(TransportError, match="private address"):
        http.send(f"http://pager.example.com:{port}/")
    assert receiver.requests == []


def test_the_connection_goes_to_the_address_that_was_looked_at(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = urlsplit(receiver.url).port
    asked = []

    def once(*args: object, **kwargs: object) -> list[object]:
        asked.append(args)
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", once)
    http.send(f"http://pager.example.com:{port}/x?y=1", b"{}", allow_private=True)
    assert receiver.requests[0][0] == "/x?y=1"
    assert receiver.requests[0][1]["host"] == f"pager.example.com:{port}"
    assert [args[0] for args in asked if args[0] == "pager.example.com"] == ["pager.example.com"]


def test_a_name_without_an_address_is_temporary() -> None:
    with pytest.raises(TransportError, match="no address") as failed:
        http.send("http://nowhere.invalid/")
    assert not failed.value.permanent


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.mishaps = ["302"]
    with pytest.raises(TransportError, match="final URL") as failed:
        http.send(receiver.url, allow_private=True)
    assert failed.value.permanent
    assert len(receiver.requests) == 1


def test_the_url_is_not_repeated(receiver: Receiver) -> None:
    for mishap in ("404", "500", "lost", "silent"):
        receiver.mishaps = [mishap]
        with pytest.raises(TransportError) as failed:
            http.send(f"{receiver.url}/services/s3cretpath?token=s3cretquery", allow_private=True)
        assert "s3cret" not in str(failed.value)


def test_an_answer_that_drips_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _ in range(100):
                    connection.sendall(b"x")
                    time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        began_s = time.monotonic()
        with pytest.raises(TransportError, match="did not answer in time") as failed:
            http.send(f"http://127.0.0.1:{listening.getsockname()[1]}/", allow_private=True)
        assert failed.value.maybe_taken
        assert time.monotonic() - began_s < 3


def test_a_proxy_of_the_environment_is_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert http.send(receiver.url, allow_private=True).status == 200


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None), ("17", 17.0), (" 3 ", 3.0), ("99999999999", 3600.0), ("soon", None), ("-5", None),
        ("Sun, 22 Nov 2026 03:08:30 GMT", 90.0), ("Sun, 22 Nov 2026 03:00:00 GMT", 0.0), ("١٧", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert http.retry_after_s(text, NOW) == seconds
