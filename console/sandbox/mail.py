"""The sandbox's post office: takes any mail by SMTP, and keeps each as a file. It delivers nothing.

    python mail.py PORT FOLDER [ADDRESS]

It listens on the loopback; in a container on the address that is given.

Only the standard library: it must stay small.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from pathlib import Path

LARGEST_MAIL = 20_000_000
KEPT = 50
IDLE_S = 60.0


class Office:
    """Mails as `NUMBER.eml` in a folder, the newest KEPT of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = itertools.count(int(time.time() * 1000))

    def keep(self, mail: bytes) -> None:
        name = f"{next(self.numbers)}.eml"
        fresh = self.folder / f".{name}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(mail)
        fresh.replace(self.folder / name)
        for old in sorted(self.folder.glob("*.eml"))[:-KEPT]:
            old.unlink(missing_ok=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: as much of RFC 5321 as a mail needs."""

        async def say(text: str) -> None:
            writer.write(f"{text}\r\n".encode())
            await writer.drain()

        try:
            await say("220 sandbox")
            sender, receivers = False, 0
            while line := await asyncio.wait_for(reader.readline(), IDLE_S):
                match line.decode(errors="replace").strip().upper().split(" ")[0].split(":")[0]:
                    case "EHLO" | "HELO":
                        await say("250 sandbox")
                    case "MAIL":
                        sender, receivers = True, 0
                        await say("250 OK")
                    case "RCPT" if sender:
                        receivers += 1
                        await say("250 OK")
                    case "DATA" if receivers:
                        await say("354 End with a line of one dot")
                        mail = await self._data(reader)
                        sender, receivers = False, 0
                        if mail is None:
                            await say("552 Too large")
                            return
                        self.keep(mail)
                        await say("250 Kept")
                    case "RSET" | "NOOP":
                        sender, receivers = False, 0
                        await say("250 OK")
                    case "QUIT":
                        await say("221 Bye")
                        return
                    case "RCPT" | "DATA":
                        await say("503 First MAIL, then RCPT")
                    case _:
                        await say("502 Not known")
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            pass  # the other end went away, or said a line without end
        finally:
            writer.close()

    async def _data(self, reader: asyncio.StreamReader) -> bytes | None:
        """The mail up to the line of one dot; None where it is too large."""
        lines, size = [], 0
        while (line := await asyncio.wait_for(reader.readline(), IDLE_S)) not in {b".\r\n", b".\n"}:
            if not line:
                raise OSError("the connection ended in the middle of a mail")
            size += len(line)
            if size > LARGEST_MAIL:
                return None
            lines.append(line[1:] if line.startswith(b"..") else line)
        return b"".join(lines)


async def run(port: int, folder: Path, address: str = "127.0.0.1") -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    server = await asyncio.start_server(Office(folder).serve, address, port, limit=1 << 20)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:4]))
