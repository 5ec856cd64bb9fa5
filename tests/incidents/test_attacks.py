"""What an attacker would try: by a pager's URL, by a webhook, by the link in a page, by what an alert says."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import AuditEntry, User
from console.accounts.roles import Role
from console.incidents import hooks
from console.incidents.models import Incident, Page
from console.incidents.pagers import TransportError, addresses, pager
from console.incidents.pagers import http as sender
from console.incidents.pagers.message import Link
from console.platform.declared import HooksDeclared, PagerDeclared, declaration
from tests.incidents.made import opened
from tests.incidents.pagers.conftest import message
from tests.incidents.pagers.test_email import DECLARED, Mailbox, mailbox, subject
from tests.incidents.receivers import FakeSlack, Receiver
from tests.incidents.test_hooks import SECRET, TOKEN, alert, event, group, post, send

__all__ = ["mailbox"]  # a fixture
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><!channel> <@U1> @everyone"
    "\r\nBcc: x@evil.example\x1b[2J\u202e"
)


class TestPagersUrl:
    @pytest.mark.parametrize(
        "text",
        [
            "::7f00:1", "::ffff:0:7f00:1", "::ffff:0:10.0.0.1", "64:ff9b:1::a00:1", "fec0::1", "3fff::1", "5f00::1",
            "2001:0:53aa:64c::80ff:fffe", "2002:a9fe:a9fe::", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "ff02::1", "::",
        ],
    )  # fmt: skip
    def test_the_inside_by_another_spelling_is_the_inside(self, text: str) -> None:
        assert not addresses.is_public(ipaddress.ip_address(text))

    @pytest.mark.parametrize("host", ["127.1", "0177.0.0.1", "0x7f000001", "0", "[::ffff:127.0.0.1]", "[::1]"])
    def test_a_spelling_that_only_the_resolver_understands(self, other: Receiver, host: str) -> None:
        with pytest.raises(TransportError, match=r"private address|no address") as failed:
            sender.send(other.url.replace("127.0.0.1", host))
        assert other.requests == []
        assert "allow_private" in str(failed.value) or not failed.value.permanent

    def test_a_redirect_to_the_inside_is_not_followed(self, other: Receiver, pd: Receiver) -> None:
        other.mishaps = ["307"]
        with pytest.raises(TransportError):
            sender.send(f"{other.url}/?to={pd.url}", allow_private=True)
        assert pd.requests == []

    @pytest.mark.parametrize("scheme", ["json", "form", "xml"])
    def test_a_name_that_leads_inside_the_second_time(
        self, other: Receiver, monkeypatch: pytest.MonkeyPatch, scheme: str
    ) -> None:
        """DNS rebinding against Apprise, which looks the name up by itself."""
        port, real, asked = urlsplit(other.url).port, socket.getaddrinfo, []

        def rebinding(host: Any, *args: Any, **kwargs: Any) -> Any:
            if host != "rebind.example.com":
                return real(host, *args, **kwargs)
            asked.append(host)
            found = "8.8.8.8" if len(asked) == 1 else "127.0.0.1"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found, port))]

        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        with pytest.raises(TransportError, match=r"private address \(127.0.0.1\)") as failed:
            pager(PagerDeclared("x", "apprise", f"{scheme}://rebind.example.com:{port}/")).notify(message())
        assert failed.value.permanent
        assert len(asked) >= 2
        assert other.requests == []

    def test_apprises_url_cannot_ask_for_redirects(self, other: Receiver) -> None:
        other.mishaps = ["302"]
        url = f"json://{other.url.removeprefix('http://')}/?redirect=yes"
        with pytest.raises(TransportError):
            pager(PagerDeclared("x", "apprise", url, allow_private=True)).notify(message())
        assert len(other.requests) == 1

    def test_only_what_asked_for_it_is_held_to_it(self, other: Receiver) -> None:
        with addresses.public_only() as refused:
            with pytest.raises(addresses.PrivateAddress):
                socket.create_connection(("127.0.0.1", urlsplit(other.url).port or 0))
            with socket.socket(socket.AF_UNIX) as local, pytest.raises(addresses.PrivateAddress):
                local.connect("/nowhere")
        assert refused == ["127.0.0.1", "/nowhere"]
        socket.create_connection(("127.0.0.1", urlsplit(other.url).port or 0)).close()


@pytest.fixture
def hooked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "declaration", lambda: replace(declaration(), hooks=HooksDeclared(SECRET, TOKEN)))


@pytest.mark.django_db
@pytest.mark.usefixtures("hooked")
class TestWebhooks:
    @pytest.mark.parametrize("body", [b"[" * 100_000, b'{"event":' * 50_000, b'{"a":"' + b"x" * 4_000_000 + b'"}'])
    def test_deep_or_large_is_refused_and_breaks_nothing(self, client: Client, body: bytes) -> None:
        for answer in (send(client, body), post(client, body)):
            assert 400 <= answer.status_code < 500
        assert Incident.objects.count() == 0

    def test_a_large_one_is_413_before_it_is_looked_at(self, client: Client) -> None:
        answer = send(client, b"x" * 4_000_000, lambda _: "v1=" + "0" * 64)
        assert (answer.status_code, answer["Content-Type"]) == (413, "application/problem+json")

    def test_an_old_event_with_a_new_id_needs_a_new_signature(self, client: Client) -> None:
        incident = opened()
        told = event("resolved", incident.key, id="1")
        signature = _signature(told)
        forged = json.dumps(told | {"event": told["event"] | {"id": "2"}}).encode()
        assert send(client, forged, lambda _: signature).status_code == 401
        incident.refresh_from_db()
        assert incident.state == "open"

    def test_a_replay_next_to_its_original_is_taken_once(self, client: Client) -> None:
        told = event("acknowledged", opened().key, id="1")
        assert [send(client, told).status_code for _ in range(3)] == [200, 409, 409]
        assert Page.objects.filter(action="acknowledge").count() == 1

    def test_who_is_named_by_it_is_never_a_user(self, client: Client) -> None:
        User.objects.create_user("root", role=Role.ADMIN)
        told = event("resolved", opened().key, agent={"summary": "root"})
        assert send(client, told).status_code == 200
        entry = AuditEntry.objects.get(action="incident.resolved")
        assert (entry.actor, entry.actor_id, entry.via) == ("root (PagerDuty)", None, "webhook")

    def test_alertmanager_closes_nothing_that_the_console_found(self, client: Client) -> None:
        incident = opened()
        strange = alert("resolved", fingerprint="x\n" + incident.key, labels={"alertname": incident.key})
        post(client, group(strange, groupKey=incident.key))
        incident.refresh_from_db()
        assert incident.state == "open"

    def test_a_fingerprint_is_a_plain_word_in_others_keys(self, client: Client) -> None:
        post(client, group(alert(fingerprint="a\r\nX-Header: b ü")))
        assert re.fullmatch(r"[\x21-\x7e]+", Incident.objects.get().key)


def _signature(told: Any) -> str:
    from tests.incidents.test_hooks import sign

    return sign(json.dumps(told).encode())


@pytest.fixture
def hostile(hooked: None, client: Client, db: None) -> Incident:
    """An incident whose every text was written by an attacker."""
    bad = alert(
        labels={"alertname": HOSTILE, "severity": "critical", HOSTILE: HOSTILE},
        annotations={"summary": HOSTILE, "description": HOSTILE, "runbook_url": f"https://r/{HOSTILE}"},
        generatorURL="https://evil.example/x>|<!channel> <https://y|z",
    )
    assert post(client, group(bad)).status_code == 200
    return Incident.objects.get()


@pytest.fixture
def ada(client: Client, db: None) -> Iterator[Client]:
    client.force_login(User.objects.create_user("ada", "correct-horse-battery", role=Role.OPERATOR))
    yield client
    client.logout()


@pytest.mark.django_db
class TestTheLink:
    @pytest.mark.parametrize("path", ["/i/{}", "/i/{}/", "/i/{}?x=1", "/incidents/{}/", "/api/v1/incidents/{}"])
    @pytest.mark.parametrize("verb", ["get", "head", "post", "options"])
    def test_tells_nothing_to_strangers(self, client: Client, verb: str, path: str) -> None:
        incident = opened()
        there, away = (getattr(client, verb)(path.format(pk)) for pk in (incident.pk, incident.pk + 1000))
        assert there.status_code == away.status_code
        assert there.status_code in (302, 401, 403, 405)
        for answer in (there, away):
            said = answer.content.decode() + str(answer.headers)
            assert incident.title not in said
            assert incident.key not in said
        strip = re.compile(r"\d+|[0-9a-f-]{36}")
        assert strip.sub("", there.content.decode()) == strip.sub("", away.content.decode())

    @pytest.mark.parametrize("number", ["9" * 30, "0", "00000001", "1e3", "-1", "١"])
    def test_a_strange_number_is_404(self, ada: Client, number: str) -> None:
        assert ada.get(f"/i/{number}").status_code == 404

    @pytest.mark.parametrize(
        "elsewhere",
        [
            "https://evil.example/i/1", "//evil.example/i/1", "///evil.example", "/\\evil.example", "\\\\evil.example",
            "/\t/evil.example", "/%09/evil.example\r\nX: y", "https:evil.example", "http:///evil.example",
            "javascript:alert(1)", "/i/1\r\nLocation: //evil.example", " //evil.example", "\x00//evil.example",
            "//evil.example\\@testserver/", "https://testserver@evil.example/", "https://testserver.evil.example/",
        ],
    )  # fmt: skip
    def test_signing_in_leads_nowhere_else(self, client: Client, elsewhere: str) -> None:
        User.objects.create_user("ada", "correct-horse-battery", role=Role.OPERATOR)
        who = {"username": "ada", "password": "correct-horse-battery"}
        shown = client.get("/accounts/login/", {"next": elsewhere})
        assert b"evil.example" not in shown.content or shown.status_code == 200
        assert b'href="' + elsewhere.encode() not in shown.content
        answers = [client.post("/accounts/login/", {**who, "next": elsewhere})]
        again = client.get("/accounts/login/", {"next": elsewhere})  # who is signed in is sent on at once
        if "\x00" in elsewhere:
            assert again.status_code == 400  # no address may hold that one
        else:
            answers.append(again)
        for answer in answers:
            assert answer.status_code == 302
            parts = urlsplit(answer["Location"])
            assert (parts.scheme, parts.netloc) == ("", "")
            assert not answer["Location"].startswith(("//", "/\\", "/\t"))
            assert "\n" not in answer["Location"]

    @pytest.mark.parametrize("path", ["/i/{}", "/incidents/{}/", "/incidents/", "/incidents/?state=all&q=%3Cscript"])
    def test_what_an_alert_says_is_text(self, hostile: Incident, ada: Client, path: str) -> None:
        said = ada.get(path.format(hostile.pk)).content.decode()
        assert "&lt;script&gt;alert(1)" in said
        assert "<script>alert" not in said
        assert "<img src=x" not in said
        assert not re.search(r'href="(?!https?://|[/#?])', said), re.findall(r'href="(?!https?://|[/#?])[^"]*', said)

    def test_a_form_leads_back_to_the_console_alone(self, hostile: Incident, ada: Client) -> None:
        answer = ada.post(f"/incidents/{hostile.pk}/note/", {"text": HOSTILE, "back": "//evil.example"})
        assert answer["Location"] == f"/incidents/{hostile.pk}/"


class TestWhatAnAlertSays:
    def test_cannot_add_headers_or_lines_to_a_mail(self, mailbox: Mailbox) -> None:
        evil = HOSTILE + "\u2028\x85\x0b\x0cX-Evil: 1"
        told = message(
            title=evil, key=evil, target=evil, evidence=((f"a\n\nhttps://evil.example\n{evil}", evil),),
            links=(Link("https://x/\n\nhttps://evil.example", evil),),
        )  # fmt: skip
        pager(DECLARED).notify(told)
        (mail,) = mailbox.mails
        assert mail["Bcc"] is None
        assert mail["X-Evil"] is None
        assert mail.get_content_type() == "text/plain"
        text = mail.get_payload(decode=True).decode()  # type: ignore[union-attr]
        assert not re.search("[\x00-\x09\x0b-\x0c\x0e-\x1f\x7f\u202a-\u202e]", text + subject(mail))
        assert not [line for line in text.splitlines() if line.startswith(("https://evil", "Bcc", "X-Evil"))]

    def test_calls_nobody_in_slack_and_makes_no_link_of_its_own(self) -> None:
        slack = FakeSlack()
        told = message(
            title=HOSTILE, text=HOSTILE, evidence=((HOSTILE, HOSTILE),),
            links=(Link("https://evil.example/x>|<!channel> <https://y|z", HOSTILE),),
        )  # fmt: skip
        try:
            url = f"{slack.url}/services/T0/B0/s3cretpath"
            pager(PagerDeclared("team", "slack", url, allow_private=True)).notify(told)
            said = slack.taken[0]
        finally:
            slack.close()
        texts = [said["text"], *(block["text"]["text"] for block in said["blocks"] if block["type"] == "section")]
        for text in texts:
            orders = re.findall(r"<([^>]*)>", text)
            assert all(re.fullmatch(r"https://[^|\s<>]+\|[^|<>]*", order) for order in orders), orders
            assert "<!" not in text
            assert "<@" not in text

    def test_calls_nobody_by_apprise(self, other: Receiver) -> None:
        url = f"json://{other.url.removeprefix('http://')}/"
        pager(PagerDeclared("x", "apprise", url, allow_private=True)).notify(message(title=HOSTILE, text=HOSTILE))
        said = json.loads(other.requests[0][2])
        for text in (said["title"], said["message"]):
            assert "@everyone" not in text
            assert "<!channel>" not in text
            assert "@\u200beveryone" in text

    def test_reaches_a_pager_whole_by_the_outbox(self, hostile: Incident, pd: Any, monkeypatch: Any) -> None:
        from tests.incidents.delivering import at, declares, work

        declares(monkeypatch, at(pd, "on-call"))
        work()
        (told,) = pd.events
        assert told["dedup_key"] == hostile.key
        assert "\x1b" not in json.dumps(told, ensure_ascii=False)
        assert "\n" not in told["payload"]["summary"]
        assert all(re.fullmatch(r"https?://[^\s<>|\"]+", link["href"]) for link in told["links"])


def test_an_event_of_tomorrow_is_no_way_round_the_replay(db: None) -> None:
    assert timezone.now() + timedelta(seconds=hooks.OLDEST_S) < timezone.now() + hooks.FORGET_AFTER
