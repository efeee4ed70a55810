"""The hotspot's beacons follow the plan: devices learn that data is metered, scarce, used up.

Rules
1. The element (:mod:`tripgate.core.networkcost`) is told to hostapd when it changes, and again
   until hostapd has taken it.
2. With the ledger down the last one stands.
"""

import asyncio
import logging
from pathlib import Path

from tripgate.core.limits import current
from tripgate.core.model import PLAN, Counter, Period
from tripgate.core.networkcost import element
from tripgate.kernel import hostapd
from tripgate.ledger.protocol import LedgerDown
from tripgate.proxy.desk import LeaseDesk

EVERY_S = 2.0

log = logging.getLogger("tripgate.beacon")


class Beacon:
    """``control`` is hostapd's socket for the LAN's interface."""

    def __init__(self, desk: LeaseDesk, control: Path) -> None:
        self._desk = desk
        self._control = control
        self._told: str | None = None

    async def run(self) -> None:
        """Follow the plan until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Tell hostapd what the plan is at now, if it does not know."""
        try:
            wanted = element(await self._used(), self._volume(), metered=True)
            if wanted != self._told:
                await hostapd.set_elements(self._control, wanted)
                self._told = wanted
        except (LedgerDown, hostapd.HostapdError) as error:
            log.debug("the beacon stands: %s", error)

    def _volume(self) -> int | None:
        plan = self._desk.book.plan
        return plan.volume if plan else None

    async def _used(self) -> int:
        desk = self._desk
        counters = (await desk.stores.ledger.tallies([PLAN])).counters
        start = desk.starts[Period.TRIP]
        counter: Counter | None = counters.get((PLAN, Period.TRIP))
        return current(counter, start, trusted=desk.clock.trusted()).used
