"""Doors from this machine's own localhost into the demo's namespaces: plain relays of sockets.

Rule: only the loopback address listens, and nothing of the machine's own network is changed. A door
connects from inside a namespace, so the portal sees the device whose namespace it is.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.lab.lab import Lab

CHUNK = 65536
CONNECT_S = 5.0


@asynccontextmanager
async def door(lab: Lab, namespace: str, host: str, port: int, wanted: int) -> AsyncIterator[int]:
    """``host:port`` of ``namespace`` on 127.0.0.1, on port ``wanted`` or, where that is taken, on
    another one; yields which."""

    async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                there = await _connect(lab, namespace, host, port)
            await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))
        writer.close()

    try:
        listening = socket.create_server(("127.0.0.1", wanted))
    except OSError:
        listening = socket.create_server(("127.0.0.1", 0))
    server = await asyncio.start_server(through, sock=listening)
    try:
        yield int(listening.getsockname()[1])
    finally:
        server.close()


async def _connect(
    lab: Lab, namespace: str, host: str, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    with lab.inside(namespace):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(made, (host, port))
        return await asyncio.open_connection(sock=made)
    except BaseException:
        made.close()
        raise


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
