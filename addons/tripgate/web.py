"""The web servers beside the proxy, in the gateway's own event loop: portal and metrics.

Rules
1. A server that cannot listen ends the start; later nothing of the web can end the gateway.
2. Requests are bounded in size, number and time: a client that opens many connections, or sends
   its request drop by drop, is reset and keeps nobody else out.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping, Sequence
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tripgate.core.endpoint import EVERY_ADDRESS, Endpoint
from tripgate.ending import end_all

AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]

MOST_AT_ONCE = 256
MOST_PER_CLIENT = 32
HEAD_S = 5.0
KEEP_ALIVE_S = 5
STOP_S, END_S = 1, 5.0


class _Protocol(H11Protocol):
    """uvicorn's, with the bounds that it lacks: a deadline for the head, connections a client."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        super().connection_made(transport)
        self.logger = cast(logging.Logger, _Named(self.logger, self))
        host = self.client[0] if self.client else ""
        if sum(1 for one in self.connections if _host(one) == host) > MOST_PER_CLIENT:
            transport.abort()
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle: Any = self.cycle  # None before the first request
        if cycle is not None and not cycle.response_complete:
            self._heard()
        else:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._heard()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_S, self.transport.abort)

    def _heard(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _Named(logging.LoggerAdapter[logging.Logger]):
    """Says of a complaint whose connection it is, and to which port."""

    def __init__(self, logger: logging.Logger, connection: H11Protocol) -> None:
        super().__init__(logger, {})
        source = _host(connection).partition("%")[0]
        self._said = f"(from {source}, to port {(connection.server or ('', 0))[1]})"

    @property
    def level(self) -> int:
        """Uvicorn asks for it at a connection's beginning and end; an adapter has none."""
        return self.logger.level

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> Any:
        return f"{msg} {self._said}", kwargs


def _host(connection: Any) -> str:
    return connection.client[0] if connection.client else ""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the gateway has them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serve_web(sites: Sequence[tuple[Endpoint, AsgiApp]]) -> AsyncIterator[None]:
    """Serve each app at its address while the context lasts. Raises ``OSError``."""
    servers = [(_Server(_config(app)), listen(address)) for address, app in sites]
    tasks = [asyncio.ensure_future(server.serve(socks)) for server, socks in servers]
    try:
        yield
    finally:
        for server, _ in servers:
            server.should_exit = True
        if tasks:
            await asyncio.wait(tasks, timeout=END_S)
        await end_all(tasks)


def _config(app: AsgiApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # a client's own word on its address
        limit_concurrency=MOST_AT_ONCE,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
        h11_max_incomplete_event_size=16 * 1024,
        http=_Protocol,
        ws="none",
    )


def listen(address: Endpoint) -> list[socket.socket]:
    """Listening sockets for ``address``. Raises ``OSError``."""
    made: list[socket.socket] = []
    for host in address.hosts:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            if made and address.hosts == EVERY_ADDRESS:
                continue  # a machine without IPv6
            raise
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, address.port))
        sock.setblocking(False)
        made.append(sock)
    return made
