"""Streams that mitmproxy's connection handler reads and writes, with the meter in them.

Rules
1. Upstream: a read returns only bytes that the meter gave away; a write hands over only such
   bytes, the rest waits in the writer, and ``drain`` waits with it. mitmproxy drains all writers
   before it reads again, so a wait for a lease stops the reading of this client's connections:
   nothing queues up.
2. When no lease comes the flow is cut: reading raises, writing does nothing more.
3. Client: what was read and has led to no write yet is bounded (``Backlog``), or a layer that
   waits for something would queue without bound.
4. After ``answer`` the client's stream has one purpose left: to bring that answer home. Further
   writes are dropped, and what still arrives is read and thrown away for a moment (a close with
   unread bytes would reset the connection and destroy the answer).
5. Who is gone needs no half-close: the kernel's ENOTCONN is nobody's error.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from tripgate.proxy.flow import Flow

CHUNK = 65_535
BACKLOG = 256 * 1024
BACKLOG_S = 30.0
LINGER_S = 5.0
LINGER = 1024 * 1024
CLOSE_S = 30.0


def half_close(writer: asyncio.StreamWriter) -> None:
    """Rule 5: the end of what is written; nothing where the other side has gone."""
    if not writer.is_closing():
        with contextlib.suppress(OSError):
            writer.write_eof()


class Backlog:
    """Bytes that were read on a client's connections and led to no write yet: ``most`` at once."""

    def __init__(self, most: int = BACKLOG) -> None:
        self._most = most
        self._held = 0
        self._room = asyncio.Event()

    def read(self, volume: int) -> None:
        self._held += volume

    def moved(self) -> None:
        """Something was written: the layers are making progress."""
        if self._held:
            self._held = 0
            self._room.set()

    async def room(self) -> None:
        """Wait until reading may go on. Raises ``TimeoutError`` (an ``OSError``) when stuck."""
        while self._held > self._most:
            self._room.clear()
            async with asyncio.timeout(BACKLOG_S):
                await self._room.wait()


class MeteredReader:
    """The server's bytes, as the meter gives them away."""

    def __init__(self, reader: asyncio.StreamReader, flow: Flow, backlog: Backlog) -> None:
        self._reader = reader
        self._flow = flow
        self._backlog = backlog
        self._held = b""

    async def read(self, n: int = CHUNK) -> bytes:
        if not self._held:
            await self._backlog.room()
            self._held = await self._reader.read(n)
            if not self._held:
                return b""
        got = await self._flow.down(len(self._held))
        if not got:
            raise ConnectionResetError("no lease")
        data, self._held = self._held[:got], self._held[got:]
        self._backlog.read(got)
        return data


class MeteredWriter:
    """Bytes for the server, charged before they are handed over."""

    def __init__(self, writer: asyncio.StreamWriter, flow: Flow, backlog: Backlog) -> None:
        self._writer = writer
        self._flow = flow
        self._backlog = backlog
        self._waiting = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._ending: str | None = None

    def write(self, data: bytes) -> None:
        self._backlog.moved()
        self._flow.see(data)
        if not self._waiting:
            got = self._flow.try_up(len(data))
            if got:
                self._writer.write(data[:got])
            data = data[got:]
        if data:
            self._waiting += data
            if self._task is None:
                self._task = asyncio.ensure_future(self._send_waiting())

    async def _send_waiting(self) -> None:
        try:
            while self._waiting:
                got = await self._flow.up(len(self._waiting))
                if not got:
                    self._waiting.clear()
                    return
                self._writer.write(bytes(self._waiting[:got]))
                del self._waiting[:got]
                await self._writer.drain()
        except OSError:
            self._waiting.clear()
        finally:
            self._task = None
            self._finish()

    async def drain(self) -> None:
        if self._task is not None:
            await asyncio.shield(self._task)
        await self._writer.drain()

    def write_eof(self) -> None:
        self._ending = self._ending or "eof"
        self._finish()

    def close(self) -> None:
        self._ending = "close"
        self._finish()

    def _finish(self) -> None:
        if self._task is not None and not self._task.done() and self._waiting:
            return
        if self._ending == "close":
            self._close()
        elif self._ending == "eof":
            half_close(self._writer)

    def _close(self) -> None:
        transport = self._writer.transport
        self._writer.close()
        if transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(CLOSE_S, transport.abort)

    def is_closing(self) -> bool:
        return self._writer.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._writer.get_extra_info(name, default)


class ClientReader:
    """The client's bytes, bounded by what the layers can pass on."""

    def __init__(self, reader: asyncio.StreamReader, backlog: Backlog) -> None:
        self._reader = reader
        self._backlog = backlog
        self._answered = asyncio.Event()
        self._told: Callable[[], None] | None = None

    async def read(self, n: int = CHUNK) -> bytes:
        if not self._answered.is_set():
            await self._backlog.room()
            data = await self._reader.read(n)
            if not self._answered.is_set():
                self._backlog.read(len(data))
                return data
        await self._linger()
        if self._told is not None:
            self._told()
        return b""

    def answered(self, told: Callable[[], None]) -> None:
        """The client was given its last answer; ``told`` is called when it has had time for it."""
        self._told = told
        self._answered.set()
        self._backlog.moved()

    async def _linger(self) -> None:
        try:
            async with asyncio.timeout(LINGER_S):
                seen = 0
                while seen < LINGER and (data := await self._reader.read(CHUNK)):
                    seen += len(data)
        except OSError:
            return


class ClientWriter:
    """Bytes for the client."""

    def __init__(self, writer: asyncio.StreamWriter, backlog: Backlog) -> None:
        self._writer = writer
        self._backlog = backlog
        self._answered = False

    @property
    def transport(self) -> asyncio.WriteTransport:
        return self._writer.transport

    def write(self, data: bytes) -> None:
        self._backlog.moved()
        if not self._answered:
            self._writer.write(data)

    def answer(self, data: bytes) -> None:
        """The last thing the client is told."""
        if not self._answered:
            self._answered = True
            self._writer.write(data)
            half_close(self._writer)

    async def drain(self) -> None:
        await self._writer.drain()

    def write_eof(self) -> None:
        if not self._answered:
            half_close(self._writer)

    def close(self) -> None:
        self._writer.close()

    def is_closing(self) -> bool:
        return self._writer.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._writer.get_extra_info(name, default)
