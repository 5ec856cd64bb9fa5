"""The supervisor's socket: one JSON line there, one JSON line back."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from console.sandbox.home import Home, SandboxError

LONGEST_LINE = 1_000_000


class Refused(Exception):
    """The supervisor is not there, or said no; the message says why and what to do."""


async def ask(home: Home, request: dict[str, Any], within_s: float = 30.0) -> dict[str, Any]:
    """Send one request. Raises Refused."""
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_unix_connection(str(home.control_socket), limit=LONGEST_LINE)
            try:
                writer.write(json.dumps(request).encode() + b"\n")
                await writer.drain()
                line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise Refused(
            f"No sandbox answers in {home.root}: start it with make run, or set SANDBOX_HOME to the one that runs "
            f"({type(error).__name__})."
        ) from error
    if not line:
        raise Refused("The sandbox closed the connection; it is stopping.")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise Refused(str(answer["error"]))
    return answer


async def serve(home: Home, handle: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]) -> asyncio.Server:
    """Listen on the home's socket, readable by the owner only. `handle` answers; a SandboxError becomes a refusal."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), 10)
            if not line:
                return
            try:
                answer = await handle(json.loads(line))
            except (SandboxError, KeyError, TypeError, ValueError, OSError, TimeoutError) as error:
                answer = {"error": str(error) or type(error).__name__}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (TimeoutError, ConnectionError):
            pass  # whoever asked has gone
        finally:
            writer.close()

    home.control_socket.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(one, str(home.control_socket), limit=LONGEST_LINE)
    finally:
        os.umask(before)
