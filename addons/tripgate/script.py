"""The addons that a stock mitmproxy loads through ``addons/gateway.py``.

The gate stays shut when the gateway cannot start: no ledger, no bytes.
"""

import logging

from mitmproxy import ctx

from tripgate.clock import SystemClock
from tripgate.proxy import handler
from tripgate.proxy.hooks import OPTIONS, Hooks
from tripgate.serve import REFUSALS
from tripgate.settings import load
from tripgate.wiring import Gateway

log = logging.getLogger("tripgate")


class Lifecycle:
    """Starts the gateway with mitmproxy, and stops it."""

    name = "tripgate-lifecycle"

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def running(self) -> None:
        ctx.options.update(**OPTIONS)
        self._gateway.served = _ports
        try:
            await self._gateway.start()
        except REFUSALS as error:
            log.error("tripgate: %s: nothing passes", error)

    async def done(self) -> None:
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
