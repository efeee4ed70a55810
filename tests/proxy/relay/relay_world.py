"""A relay on loopback: real sockets, a real ledger in memory, one approved device, one origin."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.proxy.desk_world import World
from tripgate.core.model import DeviceState
from tripgate.proxy.relay.relay import Relay
from tripgate.proxy.relay.verdict import Allow, Asked, Refuse

RESET = struct.pack("ii", 1, 0)
PAGE = b"HTTP/1.1 511 Network Authentication Required\r\nContent-Length: 3\r\n\r\nno\n"


class RelayWorld(World):
    """``decide`` allows the phone; ``refuse`` makes it refuse everything."""

    relay: Relay
    origin: socket.socket
    front: socket.socket
    refuse: Refuse | None = None
    port: int | None = None
    asked: list[Asked]

    async def start(self, folder: Path) -> None:
        await self.open(folder)
        self.asked = []
        self.made: list[socket.socket] = []
        self.origin = listening()
        loop = asyncio.get_running_loop()
        self.relay = Relay(self.desk, self.decide, lambda ip: False, loop)
        self.relay._destinations._kept["127.0.0.1"] = None
        self.relay._destinations._since = float("inf")
        self.front = listening()
        self.relay.listen(self.front, self.destination)

    def destination(self, sock: socket.socket) -> tuple[str, int]:
        return "127.0.0.1", self.port or self.origin.getsockname()[1]

    def decide(self, asked: Asked) -> Allow | Refuse:
        self.asked.append(asked)
        if self.refuse:
            return self.refuse
        refusal = self.account.refusal
        if refusal and self.account.budget.left <= 0 and refusal.kind == "cap":
            return Refuse("refuse-cap", PAGE)
        assert self.desk.book.devices[self.phone.id].state is DeviceState.APPROVED
        return Allow(self.account, 0)

    async def client(self, first: bytes = b"") -> socket.socket:
        sock = socket.socket()
        self.made.append(sock)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, self.front.getsockname())
        if first:
            await loop.sock_sendall(sock, first)
        return sock

    async def accepted(self) -> socket.socket:
        sock, _ = await asyncio.get_running_loop().sock_accept(self.origin)
        sock.setblocking(False)
        self.made.append(sock)
        return sock

    async def pair(self, first: bytes = b"!") -> tuple[socket.socket, socket.socket]:
        """A relayed connection whose first byte has arrived: the client's end, the server's."""
        client = await self.client(first)
        server = await self.accepted()
        assert await exactly(server, len(first)) == first
        return client, server

    async def pass_time(self, seconds: float) -> None:
        """Let the hand clock and the loop go on until deadlines were looked at."""
        self.clock.now += seconds
        self.relay.engine._tick()
        await asyncio.sleep(0)

    @property
    def flows(self) -> int:
        return len(self.account.flows)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[RelayWorld]:
    world = RelayWorld()
    await world.start(folder)
    try:
        yield world
    finally:
        world.relay.close()
        world.origin.close()


def listening() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(4096)
    sock.setblocking(False)
    return sock


async def exactly(sock: socket.socket, volume: int) -> bytes:
    loop, got = asyncio.get_running_loop(), bytearray()
    while len(got) < volume and (
        data := await loop.sock_recv(sock, min(1 << 20, volume - len(got)))
    ):
        got += data
    return bytes(got)


async def rest(sock: socket.socket) -> bytes:
    """Everything up to the end of the stream."""
    return await exactly(sock, 1 << 40)


async def send(sock: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(sock, data)


async def recv(sock: socket.socket, volume: int = 1 << 16) -> bytes:
    return await asyncio.get_running_loop().sock_recv(sock, volume)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


async def until(condition: object) -> None:
    """Wait for a plain condition of the code under test."""
    assert callable(condition)
    while not condition():  # noqa: ASYNC110 - the code under test has no event for it
        await asyncio.sleep(0.001)
