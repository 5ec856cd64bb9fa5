"""A way to a server on which one statement is refused, as another kind of server would."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def refusing(port: int, statement: bytes, number: int, state: bytes, text: bytes) -> Iterator[int]:
    """The port of a way to the server at `port` on which one statement is refused as another kind of server would."""
    refused = b"\xff" + number.to_bytes(2, "little") + b"#" + state + text

    def read(stream: socket.socket, size: int) -> bytes:
        got = b""
        while len(got) < size:
            more = stream.recv(size - len(got))
            if not more:
                raise ConnectionError
            got += more
        return got

    class Way(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            client: socket.socket = self.request
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as behind:
                threading.Thread(target=self.back, args=(behind, client), daemon=True).start()
                while True:
                    head = read(client, 4)
                    body = read(client, int.from_bytes(head[:3], "little"))
                    if body == b"\x03" + statement:  # COM_QUERY
                        client.sendall(len(refused).to_bytes(3, "little") + b"\x01" + refused)
                    else:
                        behind.sendall(head + body)

        def back(self, behind: socket.socket, client: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while some := behind.recv(65536):
                    client.sendall(some)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Way) as way:
        way.daemon_threads = True
        threading.Thread(target=way.serve_forever, daemon=True).start()
        try:
            yield way.server_address[1]
        finally:
            way.shutdown()
