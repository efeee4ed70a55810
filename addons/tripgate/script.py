"""The addons that a stock mitmproxy loads through ``addons/gateway.py``.

The gate stays shut while the gateway cannot start: no ledger, no bytes. It tries again.
"""

import asyncio
import logging

from mitmproxy import ctx

from tripgate.clock import SystemClock
from tripgate.proxy import handler
from tripgate.proxy.hooks import Hooks, set_options
from tripgate.serve import REFUSALS
from tripgate.settings import load
from tripgate.wiring import Gateway

AGAIN_S = 2.0

log = logging.getLogger("tripgate")


class Lifecycle:
    """Starts the gateway with mitmproxy, and stops it."""

    name = "tripgate-lifecycle"

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._starting: asyncio.Task[None] | None = None

    def running(self) -> None:
        set_options(ctx.options)
        self._gateway.served = _ports
        self._starting = asyncio.ensure_future(self._start())

    async def _start(self) -> None:
        said = ""
        while True:
            try:
                return await self._gateway.start()
            except REFUSALS as error:
                if str(error) != said:  # a warning: an error would make mitmproxy give up
                    log.warning("tripgate: %s; nothing passes until then", error)
                said = str(error)
            await asyncio.sleep(AGAIN_S)

    async def done(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        await self._gateway.stop()


def _ports() -> frozenset[int]:
    server = ctx.master.addons.get("proxyserver")
    return frozenset(address[1] for address in server.listen_addrs())


def make() -> list[object]:
    """The addons, and mitmproxy's connections from now on metered. There is no portal."""
    settings = load(portal="off")
    gateway = Gateway(settings, SystemClock(settings.clock.trust))
    handler.install(gateway.gate)
    return [Hooks(gateway.gate), Lifecycle(gateway)]


addons = make()
