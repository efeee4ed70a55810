"""What systemd is told of the gateway: that it is ready, that it lives, that it stops.

Rules
1. ``sd_notify(3)``: datagrams to the socket that systemd names; started by anybody else there is
   none, and nothing is done.
2. The sign of life comes from the event loop that moves the bytes: a loop that hangs gives none,
   and systemd starts the gateway again. Three signs fit into the time that systemd waits.
3. Nothing here fails: a gateway that cannot talk to systemd goes on.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tripgate.settings import Supervision

SIGNS = 3


@asynccontextmanager
async def notifying(by: Supervision, ready: asyncio.Event) -> AsyncIterator[None]:
    """While it lasts the gateway is said to be ready, once ``ready`` is set, and gives signs of
    life."""
    if by.socket is None:
        yield
        return
    task = asyncio.ensure_future(_live(by.socket, by.watchdog_s, ready))
    try:
        yield
    finally:
        task.cancel()
        tell(by.socket, "STOPPING=1")


async def _live(name: str, watchdog_s: float | None, ready: asyncio.Event) -> None:
    await ready.wait()
    tell(name, "READY=1")
    while watchdog_s is not None:
        tell(name, "WATCHDOG=1")
        await asyncio.sleep(watchdog_s / SIGNS)


def tell(name: str, state: str) -> None:
    """Send ``state`` to the socket ``name``; ``@`` begins an abstract one (``unix(7)``)."""
    address = f"\0{name[1:]}" if name.startswith("@") else name
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock,
    ):
        sock.sendto(state.encode(), address)
