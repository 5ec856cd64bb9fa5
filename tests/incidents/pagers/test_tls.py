"""By https: the connection goes to the address that was looked at, and the certificate must be the name's."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from console.incidents.pagers import TransportError, addresses, http

NAME = "pager.example.com"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202)
        self.end_headers()
        self.wfile.write(self.headers["Host"].encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def certificate(folder: Path) -> Path:
    """A certificate of NAME that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    file = certificate(tmp_path)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(file)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = serving.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    trusting = ssl.create_default_context(cafile=str(file))
    monkeypatch.setattr(http, "_trusted", lambda: trusting)
    found = [(2, 1, 6, "", ("127.0.0.1", server.server_port))]
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *args, **kwargs: found)
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_the_names_certificate_is_taken(port: int) -> None:
    answer = http.send(f"https://{NAME}:{port}/", b"{}", allow_private=True)
    assert (answer.status, answer.text) == (202, f"{NAME}:{port}")


def test_another_names_is_refused(port: int) -> None:
    with pytest.raises(TransportError, match="can't be reached") as failed:
        http.send(f"https://other.example.com:{port}/", b"{}", allow_private=True)
    assert not failed.value.maybe_taken
