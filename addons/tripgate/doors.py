"""The kernel's side of the router mode as one thing: made closed, kept, taken back.

Rules
1. The routing guard stands before anything forwards, and comes down last.
2. Every value of the machine is recorded before it is changed. A clean end puts them back; an
   unclean one leaves the guard and the rules, closed but for the quotas that were granted.
3. Rules that another tool changes are put right when the kernel tells of it. Every ``LOOK_S`` all
   the same the ruleset's generation is looked at, and links and routes if they had events; every
   ``AGAIN_S`` everything is, for what has neither. A look costs programs and milliseconds.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import NamedTuple

from tripgate.core.dnsmasqconf import CAPTIVE_PORT, RESOLVER_PORT, Lan
from tripgate.core.routerspec import RouterSpec, Station
from tripgate.ending import unbroken
from tripgate.kernel import addresses, conntrack, routes
from tripgate.kernel.counters import KernelCounters
from tripgate.kernel.linkwatch import LinkWatch
from tripgate.kernel.posted import PostedPage
from tripgate.kernel.recorded import Recorded
from tripgate.kernel.table import KernelTable
from tripgate.kernel.tuning import tune, tune_uplink
from tripgate.kernel.watch import Watch
from tripgate.settings import Settings
from tripgate.statefolder import StateFolder

TPROXY_PORT = 7070
LOOK_S = 2.0
AGAIN_S = 30.0
HEARD_S = 0.05

log = logging.getLogger("tripgate.doors")


class Doors:
    """``mended`` is called after the rules were put right: quotas and maps are told again; ``lost``
    before it, when the counters went with them; ``moved`` when another uplink is preferred, or its
    session is another."""

    def __init__(self, settings: Settings, folder: StateFolder) -> None:
        assert settings.lan is not None
        self.link: str = settings.lan
        self.settings = settings
        self.own = addresses.OwnAddresses()
        self.mended: Callable[[], None] = lambda: None
        self.lost: Callable[[], None] = lambda: None
        self.moved: Callable[[], object] = lambda: None
        self.uplinks: tuple[str, ...] = ()
        self.sessions: Mapping[str, str] = {}
        """Which session of each uplink is going on (:func:`addresses.sessions`)."""
        self.dead: frozenset[str] = frozenset()
        """Uplinks without carrier or default route."""
        self.counters: KernelCounters
        self.posted: PostedPage
        self.lan: Lan
        self._folder = folder
        self._generation = ""
        self._recorded: Recorded
        self._table: KernelTable
        self._watch: Watch | None = None
        self._links: LinkWatch | None = None
        self._told: asyncio.TimerHandle | None = None
        self._applied: RouterSpec
        self._login: int | None = None
        self._slots: frozenset[int] = frozenset()
        self._owned = True  # until the book says otherwise: SSH stays shut

    # -- start and stop ---------------------------------------------------------------------

    async def make(self, gateway: str) -> None:
        """Everything in place, and shut. ``gateway``: its id. Raises ``OSError``."""
        self._links = LinkWatch()
        await unbroken(asyncio.to_thread(self._make, gateway))
        self._watch = Watch()
        asyncio.get_running_loop().add_reader(self._watch.fileno(), self._heard)

    def _make(self, gateway: str) -> None:
        self._recorded = Recorded(self._folder.path / "recorded.json")
        routes.apply(self.link)
        self.uplinks = self._find_uplinks()
        self.sessions = addresses.sessions(self.uplinks)
        self._tell_dead(addresses.dead(self.uplinks))
        self.lan = self._lan(gateway)
        wanted = [one for one in (self.lan.v4, self.lan.v6) if one is not None]
        there = addresses.interfaces(self.link)
        for one in wanted:
            if one not in there:
                self._recorded.address(self.link, one)
        addresses.give(self.link, wanted)
        self.own.look()
        self._table = KernelTable()
        self._apply()
        self.counters = KernelCounters(self._table)
        self._generation = self.counters.generation()
        self.posted = PostedPage(self._folder.path / "posted", self._generation)
        tune(self._recorded, self._spec())

    def stop_watching(self) -> None:
        """Leave everything as it is, closed but for the quotas."""
        if self._watch is not None:
            asyncio.get_running_loop().remove_reader(self._watch.fileno())
            self._watch.close()
            self._watch = None
        if self._links is not None:
            self._links.close()
            self._links = None
        if self._told is not None:
            self._told.cancel()

    async def remove(self) -> None:
        """Put everything back; never fails."""
        self.stop_watching()
        await asyncio.to_thread(self._remove)

    def _remove(self) -> None:
        for step in (self._restore, self._remove_table, routes.remove):
            try:
                step()
            except OSError as error:
                log.error("not taken back: %s", error)

    def _restore(self) -> None:
        if hasattr(self, "_recorded"):
            self._recorded.restore()

    def _remove_table(self) -> None:
        if hasattr(self, "_table"):
            self._table.remove()

    def _find_uplinks(self) -> tuple[str, ...]:
        """The preferred one first: the one that packets go by."""
        named = self.settings.uplink
        routed = [name for name in addresses.default_links() if name != self.link]
        if named == "auto":
            return tuple(routed)
        wanted = list(dict.fromkeys(named.split(",")))
        return tuple(dict.fromkeys([*(one for one in routed if one in wanted), *wanted]))

    def _lan(self, gateway: str) -> Lan:
        """With IPv6 where the uplink has it: the link's own prefix, else one of ours (RFC 4193)."""
        v4 = ipaddress.IPv4Interface(self.settings.subnet)
        if not addresses.has_ipv6(self.uplinks):
            return Lan(self.link, v4)
        for one in addresses.interfaces(self.link):
            if isinstance(one, ipaddress.IPv6Interface) and not one.ip.is_link_local:
                return Lan(self.link, v4, one)
        digest = blake2b(gateway.encode(), digest_size=5).digest()
        prefix = bytes([0xFD]) + digest + b"\x00\x01"
        address = ipaddress.IPv6Address(prefix + b"\x00" * 7 + b"\x01")
        return Lan(self.link, v4, ipaddress.IPv6Interface(f"{address}/64"))

    def _spec(self) -> RouterSpec:
        settings = self.settings
        asked = (settings.portal, settings.listen, settings.socks)
        return RouterSpec(
            lan=self.link,
            uplinks=tuple(sorted(self.uplinks)),
            tproxy=TPROXY_PORT,
            dns_open=RESOLVER_PORT,
            dns_closed=CAPTIVE_PORT,
            portals=(80, settings.portal.port) if settings.portal else (80,),
            proxies=tuple(one.port for one in asked[1:] if one),
            quic=settings.network.quic,
            ssh="lan" if settings.ssh == "owner" and not self._owned else settings.ssh,
            isolation=settings.hotspot.isolate if settings.hotspot else False,
            v6=self.lan.v6 is not None,
            nat66=self.lan.v6 is not None,
            own=self.own.networks(),
            login=self._login,
        )

    def _apply(self) -> None:
        self._applied = self._spec()
        self._table.apply(self._applied)

    # -- while it runs ----------------------------------------------------------------------

    def set_devices(self, stations: Mapping[int, Station], owned: bool) -> None:
        """Who is who, who is open, and whether there is an owner. Raises ``OSError``."""
        self._table.set_stations(stations)
        self.counters.forget()
        gone = {slot for slot in self._slots if slot not in stations}
        self._slots = frozenset(stations)
        for slot in gone:
            conntrack.forget_mark(slot)
        self._owned = owned
        if self._spec() != self._applied:
            self._apply()

    def let_log_in(self, slot: int | None) -> None:
        """The slot that may reach the uplink's own portal. Raises ``OSError``."""
        if slot != self._login:
            self._login = slot
            self._apply()

    def _heard(self) -> None:
        """Somebody changed nftables: look a moment later, once for many changes."""
        if self._watch is not None and self._watch.changed() and self._told is None:
            self._told = asyncio.get_running_loop().call_later(HEARD_S, self.look)

    def look(self) -> None:
        """Put right what somebody else changed."""
        self._told = None
        try:
            if not self._table.intact():
                log.warning("another tool has changed the rules: putting them right")
                self._repair()
        except OSError as error:
            log.error("the rules cannot be put right: %s", error)

    def _repair(self) -> None:
        self._table.repair()
        generation = self.counters.generation()
        if generation != self._generation:
            self._generation = generation
            self.lost()
        self.posted.begin(generation)
        self.counters.forget()
        self.mended()

    def session_of(self, uplink: str) -> str | None:
        """Which session of an uplink is going on; ``None``: it is down."""
        return self.sessions.get(uplink)

    async def keep(self) -> None:
        """Look now and then: at the rules, at the uplinks, at the box's own addresses."""
        now = asyncio.get_running_loop().time
        due = now()
        while True:
            await asyncio.sleep(LOOK_S)
            everything = now() >= due
            if everything:
                due = now() + AGAIN_S
            if everything or not self._table.unchanged():
                self.look()
            if everything or (self._links is not None and self._links.changed()):
                try:
                    await self._follow_links()
                except OSError as error:
                    log.warning("the links cannot be looked at: %s", error)
                    due = now()

    async def _follow_links(self) -> None:
        before = self.uplinks, self.sessions
        seen = await unbroken(asyncio.to_thread(self._look_at_links))
        self.uplinks, self.sessions = seen.uplinks, seen.sessions
        self._tell_dead(seen.dead)
        if before != (self.uplinks, self.sessions):
            self.moved()
        if self._spec() != self._applied:
            self._apply()

    def _tell_dead(self, dead: frozenset[str]) -> None:
        """Remember which uplinks carry nothing; each is told when that begins and when it ends."""
        for name in sorted(dead - self.dead):
            log.warning("uplink %s has no carrier or default route: nothing goes by it", name)
        for name in sorted(self.dead - dead):
            log.info("uplink %s is there again", name)
        self.dead = dead

    def _look_at_links(self) -> "Seen":
        """The uplinks as they are now; the guard and the uplinks' settings are seen to. With none
        at all (``auto``) those that there were stay."""
        if not routes.intact(self.link):
            log.warning("another tool has changed the routing rules: putting them right")
            routes.apply(self.link)
        self.own.look()
        found = self._find_uplinks()
        for name in found:
            tune_uplink(self._recorded, name)
        uplinks = found or self.uplinks
        return Seen(uplinks, addresses.sessions(found), addresses.dead(uplinks))


class Seen(NamedTuple):
    """One look at the uplinks."""

    uplinks: tuple[str, ...]
    sessions: Mapping[str, str]
    dead: frozenset[str]
