"""The watch over the LAN: neighbour table and DHCP leases make :class:`Presence`, live.

Rules
1. Changes are told in the order in which they were seen, before the next message is read: a flow of
   an address's old owner is cut before the new owner can be let through.
2. The lease file is looked at each ``LOOK_S``, and at once after :meth:`LanWatch.look`.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from tripgate.core.presence import Change, Presence
from tripgate.kernel.dhcpleases import LeaseFile
from tripgate.kernel.neighbours import Event, Named, Table, follow

LOOK_S = 1.0

log = logging.getLogger("tripgate.lan")


class LanWatch:
    """Who is on ``interface``. ``changed`` is told each change; it does not block and not raise."""

    def __init__(
        self,
        interface: str,
        lease_file: Path,
        changed: Callable[[Change], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.presence = Presence()
        self._interface = interface
        self._leases = LeaseFile(lease_file)
        self._changed = changed
        self._clock = clock
        self._hint = asyncio.Event()

    def look(self) -> None:
        """The lease file has just changed."""
        self._hint.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_neighbours())
            group.create_task(self._follow_leases())

    async def _follow_neighbours(self) -> None:
        async for event in follow(self._interface):
            for change in self._learn(event):
                self._changed(change)

    def _learn(self, event: Event) -> list[Change]:
        now = self._clock()
        if isinstance(event, Table):
            return self.presence.neighbours(event.entries, now, event.fresh)
        if isinstance(event, Named):
            return self.presence.neighbour(event.address, event.mac, now, fresh=event.fresh)
        return self.presence.neighbour_gone(event.address, now)

    async def _follow_leases(self) -> None:
        while True:
            self._read_leases()
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._hint.wait()
            except TimeoutError:
                continue
            self._hint.clear()

    def _read_leases(self) -> None:
        try:
            table = self._leases.changed()
        except OSError as error:
            log.warning("%s: %s: mend that file", self._leases.path, error.strerror)
            return
        if table is not None:
            for change in self.presence.leases(table, self._clock()):
                self._changed(change)
