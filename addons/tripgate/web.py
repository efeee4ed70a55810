"""The web servers beside the proxy, in the gateway's own event loop: portal and metrics.

Rules
1. A server that cannot listen ends the start; later nothing of the web can end the gateway.
2. Requests are bounded in size, number and time.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import uvicorn

from tripgate.core.endpoint import Endpoint

AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]

MOST_AT_ONCE = 256
KEEP_ALIVE_S = 5
STOP_S = 1


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
        await asyncio.gather(*tasks, return_exceptions=True)


def _config(app: AsgiApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # a client's own word on its address
        limit_concurrency=MOST_AT_ONCE,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
        h11_max_incomplete_event_size=16 * 1024,
        http="h11",
        ws="none",
    )


def listen(address: Endpoint) -> list[socket.socket]:
    """Listening sockets for ``address``. Raises ``OSError``."""
    made = []
    for host in address.hosts:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, address.port))
        sock.setblocking(False)
        made.append(sock)
    return made
