"""Who is on the LAN, brought to the book, to the kernel's maps and to the relay (router mode).

Rules
1. A MAC that the book does not know is entered as ``pending``, one after the other: a flood of
   made-up MACs waits in a queue of ``QUEUE_MOST`` and costs one edit each. One that has nothing but
   link-local addresses (a switch, a bridge) is no device before it has another address or comes to
   the portal.
2. The kernel knows every device's MACs and slot; *open* are approved devices that have data left.
   Everything else is closed, also while anything here fails.
3. An address that moves to another MAC ends what was open on it, at once.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from tripgate.core import mac as macs
from tripgate.core.address import IPAddress, parse
from tripgate.core.book import BookError, device_by_identity, has_owner
from tripgate.core.model import Device, DeviceState
from tripgate.core.presence import Appeared, Change, Conflict, Gained, Lost, Moved, Presence
from tripgate.core.routerspec import Station
from tripgate.ledger.protocol import LedgerDown
from tripgate.proxy.desk import LeaseDesk
from tripgate.proxy.enrol import Enroller

QUEUE_MOST = 256
TRY_AGAIN_S = 1.0

log = logging.getLogger("tripgate.lan")


class Doors(Protocol):
    """The kernel's maps."""

    def set_devices(self, stations: Mapping[int, Station], owned: bool) -> None:
        """All devices by slot, and whether one is an owner's. Raises ``OSError``."""


def identity(mac: str) -> str:
    """How the book recognises a device of the LAN."""
    return f"mac:{mac}"


class Lan:
    """See the rules above. ``cut`` ends what is open at an address of the LAN."""

    def __init__(
        self,
        desk: LeaseDesk,
        enroller: Enroller,
        doors: Doors,
        cut: Callable[[IPAddress], None],
        presence: Presence,
    ) -> None:
        self.presence = presence
        self._desk = desk
        self._enroller = enroller
        self._doors = doors
        self._cut = cut
        self._unknown: asyncio.Queue[str] = asyncio.Queue(QUEUE_MOST)
        self._queued: set[str] = set()
        self._told: Mapping[int, Station] | None = None
        self._shut = False

    # -- what the LAN says --------------------------------------------------------------------

    def take(self, changes: Iterable[Change]) -> None:
        """Follow what presence found out."""
        for change in changes:
            match change:
                case Appeared(mac) | Gained(mac, _):
                    self._meet(mac)
                case Moved(address, _, new):
                    log.info("%s moved from one device to another", address)
                    self._cut(address)
                    self._meet(new)
                case Lost(_, address):
                    self._cut(address)
                case Conflict(address, _, _):
                    log.warning("two devices claim %s: it is served to neither", address)
                    self._cut(address)
                case _:
                    pass

    def _meet(self, mac: str) -> None:
        if not self._settled(mac) or mac in self._queued:
            return
        if device_by_identity(self._desk.book, identity(mac)) is not None:
            return
        with contextlib.suppress(asyncio.QueueFull):
            self._unknown.put_nowait(mac)
            self._queued.add(mac)

    def _settled(self, mac: str) -> bool:
        """Rule 1: it has an address that goes beyond its link."""
        host = self.presence.hosts.get(mac)
        return host is not None and not all(one.is_link_local for one in host.addresses)

    async def enrol(self) -> None:
        """Enter unknown MACs into the book, until cancelled."""
        while True:
            mac = await self._unknown.get()
            while device_by_identity(self._desk.book, identity(mac)) is None:
                try:
                    await self._enroller.enter(identity(mac), mac=mac)
                except (LedgerDown, BookError) as error:
                    log.warning("a new device cannot be entered: %s", error)
                    await asyncio.sleep(TRY_AGAIN_S)
                    if isinstance(error, BookError):
                        break
            self._queued.discard(mac)
            self.follow()

    # -- what the kernel is told --------------------------------------------------------------

    def follow(self) -> None:
        """Bring book and presence to the kernel; nothing is sent that it knows already. Who is
        here and was forgotten, or found the queue full, is met again."""
        for mac in self.presence.hosts:
            self._meet(mac)
        stations = {one.slot: self._station(one) for one in self._desk.book.devices.values()}
        if stations == self._told:
            return
        self.presence.pin(mac for station in stations.values() for mac in station.macs)
        try:
            self._doors.set_devices(stations, has_owner(self._desk.book))
            self._told = stations
        except OSError as error:
            log.error("the kernel does not take the devices: %s", error)

    def _station(self, device: Device) -> Station:
        opened = self.is_open(device) and not self._shut
        return Station(frozenset(macs_of(device)), open=opened, owner=device.manages)

    def shut(self) -> None:
        """Nobody is open any more."""
        self._shut = True
        self.follow()

    def forget_told(self) -> None:
        """The kernel's maps were made anew: tell it everything again."""
        self._told = None
        self.follow()

    def is_open(self, device: Device) -> bool:
        """May its packets be forwarded? Not while a limit refuses it."""
        account = self._desk.accounts.get(device.id)
        exhausted = account is not None and account.exhausted
        return device.state is DeviceState.APPROVED and not exhausted

    # -- who somebody is ----------------------------------------------------------------------

    def device_at(self, address: IPAddress) -> Device | None:
        """The device that owns the address now."""
        mac = self.presence.owner(address)
        return device_by_identity(self._desk.book, identity(mac)) if mac else None

    def identity_at(self, address: str) -> str | None:
        """The identity of the client at ``address``, known to the book or not."""
        mac = self.presence.owner(parse(address))
        return identity(mac) if mac else None

    def crowd_of(self, address: str) -> str:
        """Whose connections count together: a device's that is let in, else everybody's else."""
        device = self.device_at(parse(address))
        approved = device is not None and device.state is DeviceState.APPROVED
        return device.id if device is not None and approved else ""

    def present(self) -> frozenset[str]:
        """Ids of the devices that are on the LAN."""
        book = self._desk.book
        found = (device_by_identity(book, identity(mac)) for mac in self.presence.hosts)
        return frozenset(device.id for device in found if device is not None)

    def described(self) -> dict[str, dict[str, Any]]:
        """What is known of each device on the LAN, for the command line."""
        made: dict[str, dict[str, Any]] = {}
        for host in self.presence.hosts.values():
            device = device_by_identity(self._desk.book, identity(host.mac))
            if device is not None:
                made[device.id] = {
                    "ips": [str(address) for address in host.addresses],
                    "hostname": host.hostname,
                    "vendor": macs.vendor(host.mac),
                    "random_mac": macs.is_random(host.mac),
                }
        return made


def macs_of(device: Device) -> list[str]:
    """Every MAC that the device was seen with."""
    return [one.removeprefix("mac:") for one in device.identities if one.startswith("mac:")]
