"""The family's traffic: a server of the internet, and what devices send to it.

Rules
1. All sockets are made inside the lab's namespaces; the process itself stays where it is.
2. A connection begins with two numbers, what it sends and what it wants (``HEAD``), inside real
   TLS; the certificate is made for the run, and clients do not check it.
3. An activity is a short connection every ``SLOT_S``, with its share of the volume; one that is
   refused or cut is tried again in the next slot, as apps do.
4. Nothing here fails because the gateway refuses: that is what the demo shows.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from demo.family import Activity
from tests.lab.lab import Lab, device4, server4

HEAD = struct.Struct("!QQ")
HTTPS, CALLS = 443, 3478
SLOT_S = 2.0
TRY_S = 10.0
CHUNK = bytes(65536)
PACKET = bytes(1000)
MOST = 100_000_000
Hour = Callable[[], float]


def certificate(folder: Path) -> ssl.SSLContext:
    """The server's side of TLS, with a certificate made now in ``folder``."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=demo.invalid", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(cert, key)
    return made


def _client() -> ssl.SSLContext:
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


CLIENT = _client()


# ---- the server ------------------------------------------------------------------------------


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError, asyncio.IncompleteReadError):
        up, down = HEAD.unpack(await reader.readexactly(HEAD.size))
        while up > 0 and (data := await reader.read(len(CHUNK))):
            up -= len(data)
        for size in _chunks(min(down, MOST)):
            writer.write(CHUNK[:size])
            await writer.drain()
    writer.close()


def _chunks(volume: int) -> Iterator[int]:
    for begin in range(0, volume, len(CHUNK)):
        yield min(len(CHUNK), volume - begin)


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's is no asyncio.DatagramTransport by inheritance
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(data, addr)


@asynccontextmanager
async def internet(lab: Lab, context: ssl.SSLContext) -> AsyncIterator[None]:
    """All servers of the world, in the lab's server."""
    loop = asyncio.get_running_loop()
    with lab.inside(lab.server):
        tcp = socket.create_server(("0.0.0.0", HTTPS))
        calls = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(lab.devices)]
        for number, sock in enumerate(calls, 1):
            sock.bind((server4(number), CALLS))
            sock.setblocking(False)
    server = await asyncio.start_server(_answer, sock=tcp, ssl=context)
    echoes = [(await loop.create_datagram_endpoint(_Echo, sock=sock))[0] for sock in calls]
    try:
        yield
    finally:
        server.close()
        for echo in echoes:
            echo.close()


# ---- the devices -----------------------------------------------------------------------------


async def act(lab: Lab, number: int, one: Activity, day_s: float, now: Hour) -> None:
    """Device ``number`` does its part of ``one`` for ever: in the hours in which it goes on.

    ``day_s``: seconds of the compressed day; ``now``: the hour of it.
    """
    slots = max(1.0, (one.end - one.begin) / 24 * day_s / SLOT_S)
    down, up = int(one.down / slots), int(one.up / slots)
    while True:
        started = asyncio.get_running_loop().time()
        if one.at(now()):
            with contextlib.suppress(OSError, ssl.SSLError, TimeoutError, EOFError):
                async with asyncio.timeout(TRY_S):
                    if one.kind == "call":
                        await _call(lab, number, down)
                    else:
                        await _exchange(lab, number, one.host, up, down)
        spent = asyncio.get_running_loop().time() - started
        await asyncio.sleep(max(0.1, SLOT_S - spent))


def _socket(lab: Lab, number: int, kind: socket.SocketKind) -> socket.socket:
    with lab.inside(lab.device(number)):
        made = socket.socket(socket.AF_INET, kind)
        made.setblocking(False)
        made.bind((device4(number), 0))
    return made


async def _exchange(lab: Lab, number: int, host: str, up: int, down: int) -> None:
    loop = asyncio.get_running_loop()
    sock = _socket(lab, number, socket.SOCK_STREAM)
    try:
        await loop.sock_connect(sock, (server4(number), HTTPS))
    except BaseException:
        sock.close()
        raise
    reader, writer = await asyncio.open_connection(sock=sock, ssl=CLIENT, server_hostname=host)
    try:
        writer.write(HEAD.pack(up, down))
        for size in _chunks(up):
            writer.write(CHUNK[:size])
            await writer.drain()
        while await reader.read(len(CHUNK)):
            pass
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


async def _call(lab: Lab, number: int, volume: int) -> None:
    """``volume`` bytes each way within one slot, one packet after the other."""
    packets = max(1, volume // len(PACKET))
    loop = asyncio.get_running_loop()
    with _socket(lab, number, socket.SOCK_DGRAM) as sock:
        sock.connect((server4(number), CALLS))
        for _ in range(packets):
            await loop.sock_sendall(sock, PACKET)
            with contextlib.suppress(BlockingIOError):
                sock.recv(2000)
            await asyncio.sleep(SLOT_S / packets / 2)
