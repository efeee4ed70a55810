"""The router mode: what it adds to a gateway, and in which order it comes and goes.

Start: the doors are made and shut; DHCP and names are served; who is on the LAN is watched; the
relay listens; only then devices are let through. Stop is the same backwards, and the last reading
of the counters is settled before anything is put back.
"""

import asyncio
import contextlib
import logging
import socket
from dataclasses import replace
from typing import Any

from tripgate.beacon import Beacon
from tripgate.core.address import IPAddress
from tripgate.core.classify import Catalogue
from tripgate.core.dnsmasqconf import CAPTIVE_PORT, Resolver
from tripgate.core.presence import Change, Lost, Moved
from tripgate.doors import TPROXY_PORT, Doors
from tripgate.ending import end_all
from tripgate.kernel import conntrack, dnsmasq, hostapd
from tripgate.kernel.boxdrain import BoxDrain
from tripgate.kernel.children import Child, Spec, recorded_as
from tripgate.kernel.dnslog import DnsLog
from tripgate.kernel.lanwatch import LanWatch
from tripgate.lan import Lan
from tripgate.proxy.desk import LeaseDesk
from tripgate.proxy.enrol import Enroller
from tripgate.proxy.kernelmeter import KernelMeter
from tripgate.proxy.relay.listener import transparent
from tripgate.proxy.relay.relay import Relay
from tripgate.proxy.relay.verdict import Allow, Asked, Refuse
from tripgate.proxy.routergate import PageMaker, RouterGate
from tripgate.settings import Settings
from tripgate.statefolder import LEASES, StateFolder
from tripgate.supervise import supervised
from tripgate.uplinklogin import UplinkLogin

FOLLOW_S = 0.25

log = logging.getLogger("tripgate.router")


class Router:
    """Made before the ledger is there; :meth:`shut` comes first, :meth:`open` last."""

    def __init__(
        self,
        settings: Settings,
        folder: StateFolder,
        desk: LeaseDesk,
        enroller: Enroller,
        catalogue: Catalogue,
        page: PageMaker,
    ) -> None:
        self.settings = settings
        self.doors = Doors(settings, folder)
        desk.judge.uplinks = lambda: self.doors.uplinks
        desk.judge.session_of = self.doors.session_of
        self.meter: KernelMeter
        self.lan: Lan
        self._folder = folder
        self._desk = desk
        self._enroller = enroller
        self._catalogue = catalogue
        self._page = page
        self._relay: Relay | None = None
        self._beacon: Beacon | None = None
        self._gate: RouterGate
        self._login: UplinkLogin
        self._children: list[Child] = []
        self._resolver: tuple[Child, Resolver] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._drain = BoxDrain(folder.path / "held-units")

    async def shut(self, gateway: str) -> None:
        """Nothing passes from here on. Raises ``OSError``."""
        await self.doors.make(gateway)

    async def serve(self) -> None:
        """Addresses and names, which need no ledger. Raises ``OSError``."""
        lease_file = self._folder.path / LEASES
        self._names = DnsLog(self._look)
        self._watch = LanWatch(self.doors.link, lease_file, self._changed)
        await self._serve_names(self._names, str(lease_file), self._portal())

    def _portal(self) -> str:
        return f"http://{self.doors.lan.v4.ip}/"

    async def open(self) -> None:
        """Let devices through, as the book says. Raises ``OSError``."""
        self.meter = KernelMeter(self._desk, self.doors.counters, self.doors.posted)
        self.lan = Lan(self._desk, self._enroller, self.doors, self._cut, self._watch.presence)
        self._login = UplinkLogin(self._desk)
        self.doors.mended = self._mended
        self.doors.lost = self.meter.lost
        self.doors.moved = self._desk.turn
        self._gate = RouterGate(
            self._desk,
            self._page,
            self._catalogue,
            self._names,
            self._portal(),
        )
        self._listen()
        await self._drain.hold()
        works = {
            "the watch of the LAN": self._watch.run,
            "the enrolment": self.lan.enrol,
            "the watch of rules and links": self.doors.keep,
            "the doors": self._follow,
            "the login at the uplink's portal": self._follow_login,
        }
        if self._beacon is not None:
            works["the beacon"] = self._beacon.run
        self._tasks = [
            asyncio.ensure_future(supervised(name, work)) for name, work in works.items()
        ]
        self.lan.follow()
        self._gate.ready = True

    async def _serve_names(self, names: DnsLog, lease_file: str, portal: str) -> None:
        if self.settings.services == "system":
            return
        lan, dns = self.doors.lan, self.settings.dns
        told = Resolver(
            lan=lan,
            lease_file=lease_file,
            servers=dns.servers,
            api_url=f"{portal}captive-api",
            canaries=dns.canaries,
        )
        folder = self._folder.path
        for running in (replace(told, rebind=True), told):  # it may have been left in a login
            spec = dnsmasq.resolver(running, folder)
            if recorded_as(folder, spec):
                break
        self._resolver = await self._start(spec, names), running
        await self._start(dnsmasq.captive(lan, CAPTIVE_PORT, folder), None)
        if self.settings.hotspot is not None:
            control = folder / "hostapd"
            point = self.settings.hotspot.access_point(
                self.doors.link, str(control), str(folder / "hostapd.psk")
            )
            self._beacon = Beacon(self._desk, control / self.doors.link)
            await self._start(hostapd.access_point(point, folder), None)

    async def _start(self, spec: Spec, names: DnsLog | None) -> Child:
        child = Child(spec, self._folder.path, names.line if names else None)
        await child.start()
        self._children.append(child)
        return child

    def _listen(self) -> None:
        relay = Relay(
            self._desk,
            self._decide,
            self.doors.own,
            asyncio.get_running_loop(),
            crowd_of=self.lan.crowd_of,
            forbidden=self._gate.forbidden,
        )
        self._relay = relay
        relay.listen(transparent(socket.AF_INET, "0.0.0.0", TPROXY_PORT))  # noqa: S104 - diverted
        if self.doors.lan.v6 is not None:
            relay.listen(transparent(socket.AF_INET6, "::", TPROXY_PORT))

    def _decide(self, asked: Asked) -> Allow | Refuse:
        verdict = self._gate.decide(asked)
        device = self._login.device() if isinstance(verdict, Allow) else None
        if isinstance(verdict, Allow) and device and device.id == verdict.account.device:
            return verdict._replace(portal=True)
        return verdict

    # -- while it runs ----------------------------------------------------------------------

    def read(self) -> None:
        """One reading of the counters, and what it means for who is open."""
        self.meter.present = self.lan.present()
        self.meter.read()
        self.lan.follow()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(FOLLOW_S)
            if self.meter.thirsty:
                self._read_early()
            self.lan.follow()

    async def _follow_login(self) -> None:
        """Apart from the doors: a resolver may take its time to end."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            device = self._login.device()
            try:
                self.doors.let_log_in(device.slot if device else None)
                await self._answer_private(device is not None)
            except OSError as error:
                log.error("the login at the uplink's portal is not opened or closed: %s", error)

    async def _answer_private(self, wanted: bool) -> None:
        """The name of a hotel's portal often has a private address: it is an answer while somebody
        logs in there. What is behind it is refused to all others as ever. A resolver that is a
        service of the system stays as it is: its files are not the gateway's to change."""
        if self._resolver is not None and self._resolver[1].rebind != wanted:
            child, told = self._resolver[0], replace(self._resolver[1], rebind=wanted)
            await child.change(dnsmasq.resolver(told, self._folder.path))
            self._resolver = child, told

    def _read_early(self) -> None:
        """The settlement's own reading is the one that complains."""
        with contextlib.suppress(OSError):
            self.read()

    def _look(self) -> None:
        self._watch.look()

    def _changed(self, change: Change) -> None:
        if isinstance(change, Moved | Lost):
            self._names.forget(change.address)
        self.lan.take([change])

    def _cut(self, address: IPAddress) -> None:
        if self._relay is not None:
            self._relay.cut(str(address))
        conntrack.forget_address(address)

    def _mended(self) -> None:
        self.lan.forget_told()
        self.meter.refill()

    def identify(self, address: str) -> str | None:
        """The identity of the client at an address, for the portal."""
        return self.lan.identity_at(address)

    def described(self) -> dict[str, Any]:
        """What is known of the devices on the LAN."""
        return self.lan.described()

    def uplinks(self) -> dict[str, Any]:
        """Each uplink's L3 bytes since the start, and whether it is in use."""
        counted, used = self.doors.counters.links(), self.doors.uplinks
        return {
            name: {
                "up": counted[name].up if name in counted else 0,
                "down": counted[name].down if name in counted else 0,
                "active": name in used,
                "link": "down" if name in self.doors.dead else "up",
            }
            for name in dict.fromkeys((*used, *counted))
        }

    # -- the end ----------------------------------------------------------------------------

    async def close(self) -> None:
        """Let nobody through any more; the counters are still there to be read."""
        if hasattr(self, "_gate"):
            self._gate.ready = False
        if self._relay is not None:
            self._relay.close()
            self._relay = None
        if hasattr(self, "lan"):
            self.lan.shut()
        await end_all(self._tasks)

    async def put_back(self) -> None:
        """Everything as it was before; never fails."""
        ends = (child.stop() for child in self._children)
        for error in await asyncio.gather(*ends, return_exceptions=True):
            if error is not None:
                log.error("a program is left behind: %s", error)
        await self._drain.let_go()
        if self.settings.services == "system":
            self.doors.stop_watching()  # closed until `router remove`, or the next start
        else:
            await self.doors.remove()
