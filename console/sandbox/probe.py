"""Small health checks of servers, without their client libraries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple


class Answer(NamedTuple):
    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


async def http(
    port: int,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: object | None = None,
    within_s: float = 5.0,
) -> Answer:
    """One HTTP request to a server on the loopback. Raises OSError, TimeoutError or ValueError where none answers."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.0", f"Host: 127.0.0.1:{port}", f"Content-Length: {len(content)}"]
    lines += ["Content-Type: application/json"] * bool(content)
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    async with asyncio.timeout(within_s):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode() + content)
            await writer.drain()
            raw = await reader.read()
        finally:
            writer.close()
    head, _, answer = raw.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split()
    if len(words) < 2:
        raise ValueError("no HTTP answer")
    return Answer(int(words[1]), answer)


async def redis_ping(port: int, password: str) -> bool:
    """Whether a Redis server answers PING and takes the password."""
    async with asyncio.timeout(2):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"AUTH {password}\r\nPING\r\n".encode())
            await writer.drain()
            return await reader.readline() == b"+OK\r\n" and await reader.readline() == b"+PONG\r\n"
        finally:
            writer.close()


async def run(*command: str, env: Mapping[str, str] | None = None, cwd: str | None = None) -> tuple[int, str]:
    """Run a program to its end. Returns its exit code and its output (both streams)."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=None if env is None else dict(env),
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")
