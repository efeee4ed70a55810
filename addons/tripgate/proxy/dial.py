"""Upstream connections: resolve, refuse forbidden addresses, connect.

Rules
1. What is checked is the resolved address, and what is connected to is what was checked: a name
   cannot change its mind in between (DNS rebinding).
2. Addresses are tried in turn without waiting long for a dead one (Happy Eyeballs, RFC 8305).
3. Everything has a deadline.
4. What was read and not yet taken is no longer in the receive window, and the kernel lets as much
   in again. So a stream reads once and then waits until that was taken (``READ_AHEAD``).
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from aiohappyeyeballs import AddrInfoType, start_connection

from tripgate.core.address import IPAddress, is_literal
from tripgate.proxy import upstream

CONNECT_S = 10.0
STAGGER_S = 0.25
READ_AHEAD = 1
SEND_QUEUE = 64 * 1024

_RESOLVERS = ThreadPoolExecutor(32, thread_name_prefix="resolver")
"""Slow names wait here, and not where everything else that blocks is done."""

Check = Callable[[IPAddress], str | None]
"""Says why an address is refused, or ``None``."""


class Refused(Exception):
    """Every address of the destination is forbidden; the text says why."""


class UpstreamProtocol(asyncio.StreamReaderProtocol):
    """A stream whose end is told while the socket still can be asked."""

    def __init__(self, reader: asyncio.StreamReader, lost: Callable[[], None]) -> None:
        super().__init__(reader, loop=asyncio.get_running_loop())
        self._lost = lost

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()
        super().connection_lost(exc)


async def connect(
    host: str, port: int, check: Check, window: int = upstream.SYN_WINDOW, mark: int = 0
) -> socket.socket:
    """A connected, non-blocking socket, whose SYN offered at most ``window`` bytes. ``mark`` is its
    packets' own (``SO_MARK``); 0 sets none.

    Raises :class:`Refused`, ``OSError`` (unreachable, unknown name) or ``TimeoutError``.
    """
    async with asyncio.timeout(CONNECT_S):
        infos = await resolve(host, port)
        allowed = [info for info in infos if not check(_address(info))]
        if infos and not allowed:
            raise Refused(check(_address(infos[0])))
        return await start_connection(
            allowed,
            happy_eyeballs_delay=STAGGER_S,
            socket_factory=lambda info: _socket(info, window, mark),
        )


def _socket(info: AddrInfoType, window: int, mark: int) -> socket.socket:
    family, kind, protocol, *_ = info
    sock = socket.socket(family, kind, protocol)
    if mark:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
    if window < upstream.SYN_WINDOW:
        upstream.set_window(sock, window, held=False)
    return sock


async def resolve(host: str, port: int) -> Sequence[AddrInfoType]:
    """TCP addresses of ``host``; a literal needs no resolver, and waits for nobody."""
    if is_literal(host):
        return _lookup(host, port, socket.AI_NUMERICHOST)
    return await asyncio.get_running_loop().run_in_executor(_RESOLVERS, _lookup, host, port)


def _lookup(host: str, port: int, flags: int = 0) -> Sequence[AddrInfoType]:
    kind, protocol = socket.SOCK_STREAM, socket.IPPROTO_TCP
    return socket.getaddrinfo(host, port, type=kind, proto=protocol, flags=flags)


def _address(info: AddrInfoType) -> IPAddress:
    return ipaddress.ip_address(str(info[4][0]).partition("%")[0])


async def open_stream(
    sock: socket.socket, lost: Callable[[], None]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Wrap a connected socket; ``lost`` is called once, just before it is closed."""
    loop = asyncio.get_running_loop()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader = asyncio.StreamReader(limit=READ_AHEAD, loop=loop)
    protocol = UpstreamProtocol(reader, lost)
    transport, _ = await loop.create_connection(lambda: protocol, sock=sock)
    transport.set_write_buffer_limits(high=SEND_QUEUE)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def is_own(address: IPAddress) -> bool:
    """True if the address is one of this machine's (the kernel would talk to itself)."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), 9))
        except OSError:
            return False
        return ipaddress.ip_address(probe.getsockname()[0].partition("%")[0]) == address
