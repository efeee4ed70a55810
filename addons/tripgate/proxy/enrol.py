"""Unknown clients become devices of the book; the machine itself is approved at the first start.

With a guest pool they are guests at once (:mod:`tripgate.core.guests`).
"""

import secrets

from tripgate.clock import Clock
from tripgate.core import book, guests
from tripgate.core.book import Book
from tripgate.core.folding import folds
from tripgate.core.model import HOST, Device, DeviceState
from tripgate.ledger.protocol import Edit, LedgerDown
from tripgate.proxy.desk import LeaseDesk
from tripgate.proxy.gate import Client

TRIES = 8
THIS_MACHINE = "this-machine"


class Enroller:
    """Adds devices by compare-and-set. ``pool``: bytes a day that guests share; ``None``: none."""

    def __init__(self, desk: LeaseDesk, clock: Clock, pool: int | None = None) -> None:
        self._desk = desk
        self._clock = clock
        self._pool = pool

    async def open_pool(self) -> None:
        """Bring the book to the setting; without a pool nothing changes. Raises ``LedgerDown``."""
        registry = self._desk.stores.registry
        for _ in range(TRIES):
            version, current = await registry.load()
            changed = self._with_pool(current)
            edit = Edit("gateway", "guest pool", str(self._pool), int(self._clock.wall()))
            if changed == current or await registry.replace(version, changed, edit):
                return await self._desk.reload()
        raise LedgerDown("the settings change too fast to open the guest pool")

    def _with_pool(self, current: Book) -> Book:
        if self._pool is None:
            return current
        return guests.open_pool(current, self._pool, int(self._clock.wall()))

    async def enrol(self, who: Client) -> Device:
        """The device of this client, entered as pending when it is new.

        Raises :class:`LedgerDown`, or :class:`BookError` when the book is full.
        """
        _, is_mac, mac = who.identity.partition("mac:")
        return await self.enter(who.identity, mac if is_mac else None)

    async def enrol_host(self) -> Device:
        """The device ``this-machine``: approved when it is first entered."""
        return await self.enter(HOST)

    async def enter(self, identity: str, mac: str | None = None) -> Device:
        """The device with this identity, as :meth:`enrol` has it; ``mac``: of a new one."""
        registry = self._desk.stores.registry
        for _ in range(TRIES):
            version, current = await registry.load()
            if known := book.device_by_identity(current, identity):
                await self._desk.reload()
                return known
            changed, device = self._added(current, identity, mac)
            at, gone = int(self._clock.wall()), folds(current, changed)
            edit = Edit("gateway", "device new", device.name, at, gone)
            if await registry.replace(version, changed, edit):
                await self._desk.reload()
                return device
        raise LedgerDown("the settings change too fast to enter a new device")

    def _added(self, current: Book, identity: str, mac: str | None) -> tuple[Book, Device]:
        host = identity == HOST
        changed, device = book.add_device(
            current,
            identity,
            int(self._clock.wall()),
            entropy=secrets.token_hex(16),
            state=DeviceState.APPROVED if host else DeviceState.PENDING,
            name=THIS_MACHINE if host else None,
            mac=mac,
        )
        changed = self._with_pool(changed)
        return changed, changed.devices[device.id]
