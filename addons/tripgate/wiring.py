"""The composition of a gateway: which parts there are, in which order they start and stop.

Start: state folder locked, ledger server up, ledger claimed, an unclean end settled, book read,
loops running, gate open. Stop is the same backwards: the gate shuts first, leases are settled last.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from tripgate import __version__, catalogue, lastrun
from tripgate.clock import Clock
from tripgate.core.book import Book
from tripgate.drainwatch import DrainWatch
from tripgate.ending import Ending, end_all, unbroken
from tripgate.lastrun import LastRun
from tripgate.ledger.embedded import EmbeddedServer
from tripgate.ledger.journal import Journal
from tripgate.ledger.progress import Progress, boot_id
from tripgate.ledger.protocol import LedgerDown
from tripgate.ledger.recovery import recover
from tripgate.ledger.redis import RedisLedger
from tripgate.ledger.registry import RedisRegistry
from tripgate.notify.notifier import Notifier
from tripgate.notify.own import charge
from tripgate.pages import Pages, lan_address
from tripgate.proxy import control
from tripgate.proxy.account import Account
from tripgate.proxy.desk import LeaseDesk, Stores
from tripgate.proxy.enrol import Enroller
from tripgate.proxy.gate import Gate
from tripgate.proxy.kernelaccount import KernelAccount
from tripgate.proxy.settle import Settler
from tripgate.proxy.stats import Stats
from tripgate.router import Router
from tripgate.settings import Settings
from tripgate.statefolder import Identity, StateFolder
from tripgate.supervise import supervised
from tripgate.upgrade import upgrade

AGAIN_S = 0.5
DRAIN_S = 1.0
SETTLE_S = 0.5

log = logging.getLogger("tripgate")


class Gateway:
    """Everything between mitmproxy and the ledger. The gate is shut until :meth:`start`."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.folder = StateFolder(settings.state)
        self.clock = clock
        self.guarded = asyncio.Event()
        """What depends on the gateway may come: it serves, or, in the router mode, it waits for its
        ledger behind closed doors."""
        self.served: Callable[[], frozenset[int]] = self._configured
        self.stats = Stats()
        routed = settings.mode == "router"
        services = catalogue.load(settings.state)
        make = KernelAccount if routed else Account
        self.desk = LeaseDesk(clock, self.stats, make, services)
        pool = settings.network.guest_pool if routed else None
        self.enroller = Enroller(self.desk, clock, pool)
        page = Pages(self._book, settings.portal, lan_address(settings)).page
        self.gate = Gate(self.desk, self.enroller, page, self.own_ports)
        self.router = (
            Router(settings, self.folder, self.desk, self.enroller, services, page)
            if routed
            else None
        )
        if self.router is not None:
            self.gate.identify = self.router.identify
        self._settler = Settler(self.desk, services, self.router.read if self.router else None)
        self.drains = DrainWatch(self.desk, services)
        self._server: EmbeddedServer | None = None
        self.ending = Ending()
        self._tasks: set[asyncio.Task[None]] = set()
        self._began = clock.monotonic()

    def _made_notifier(self) -> Notifier:
        return Notifier(
            self.desk,
            lambda channel: self.folder.read_notify_url(channel.key),
            lambda: self.drains.found,
            self._uplink_of_nobody if self.router else None,
            None if self.router else lambda _, moved: charge(self.desk, moved),
        )

    def _uplink_of_nobody(self) -> tuple[int, int]:
        assert self.router is not None
        return self.router.meter.uplink.total, self.router.meter.unattributed.total

    # -- start and stop ---------------------------------------------------------------------

    async def start(self) -> None:
        """Raises ``StateError``, ``LedgerDown``, ``Fenced``, ``NewerState`` or ``JournalError``."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        self.folder.create()
        lock = contextlib.ExitStack()
        lock.enter_context(self.folder.locked())
        self.ending.then("the state folder", lock.close)
        before = self.folder.read_identity()
        gateway = before.gateway if before else secrets.token_hex(8)
        lastrun.write(self.folder, self._last_run())
        self.ending.then("the note of the end", lambda: lastrun.end(self.folder))
        if self.router is not None:
            self.ending.then("the rules and what they need", self.router.put_back)
            await self.router.shut(gateway)
            await self.router.serve()
            self.guarded.set()
        identity = Identity(gateway, secrets.token_hex(8))
        url = await self._ledger_url()
        ledger = RedisLedger(url)
        self.ending.then("the ledger", ledger.aclose)
        await self._claim(url, ledger, identity, before.instance if before else None)
        now = int(self.clock.wall())
        self.ending.then("the hold on the ledger", lambda: _release(ledger))
        self.folder.write_identity(identity)
        progress = Progress(self.folder.progress, boot_id())
        journal = Journal(self.folder.journal)
        self.ending.then("the journal", journal.aclose)
        await recover(journal, progress, ledger, gateway, now)
        registry = RedisRegistry(url)
        self.ending.then("the registry", registry.aclose)
        prefix = f"{gateway}:{identity.instance}"
        self.desk.connect(Stores(ledger, registry, journal, progress), gateway, prefix)
        if self.router is None:  # nobody sees the link: each run is a session
            self.desk.judge.session_of = lambda _: identity.instance
        self.stats.ledger_up = True
        await self.desk.reload()
        if self.router is None:
            await self.enroller.enrol_host()
        server = await control.serve(self.folder.control_socket, self._told)
        self.ending.then("the control socket", server.close)
        self.ending.then("the settlement", self._settle_last)
        self.ending.then("the grants under way", self.desk.close)
        self.ending.then("the loops", lambda: end_all(self._tasks))
        if self.router is not None:
            self.ending.then("the relay", self.router.close)
            await self.enroller.open_pool()
            await self.router.open()
        self._spawn("the settlement", self._settler.run)
        self._spawn("the watch of the book", self._watch)
        self._spawn("the watch of drains", self.drains.run)
        self._spawn("the messages", self._made_notifier().run)
        self._spawn("the ledger's server", self._keep_server)
        self.gate.ready = True
        self.guarded.set()

    async def stop(self) -> None:
        """Shut the gate, end the flows, settle, close. Never fails, is never broken off and ends in
        bounded time (:mod:`tripgate.ending`); may be called twice."""
        self.ending.then("the connections", lambda: self.gate.close(DRAIN_S))
        await self.ending.run()

    async def _settle_last(self) -> None:
        if not await self._settler.close():
            log.warning("the ledger did not answer: the journal settles at the next start")

    def _spawn(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.add(asyncio.ensure_future(supervised(name, work)))

    # -- the ledger -------------------------------------------------------------------------

    async def _claim(
        self, url: str, ledger: RedisLedger, identity: Identity, previous: str | None
    ) -> None:
        """A router that has its rules waits behind them for the ledger, with DHCP up: devices stay
        joined, and nothing passes. The explicit mode raises ``LedgerDown``."""
        told = False
        while True:
            now = int(self.clock.wall())
            try:
                await upgrade(url, self.folder.path, identity.gateway, now)
                return await ledger.claim(identity.gateway, identity.instance, previous, now)
            except LedgerDown as error:
                if self.router is None:
                    raise
                if not told:
                    log.error("no data passes, the ledger is down: %s; trying again", error)
                told = True
            await asyncio.sleep(AGAIN_S)

    async def _ledger_url(self) -> str:
        """Where the ledger answers, told to the CLI; the embedded server is started for it."""
        if self.settings.redis is not None:
            url = self.settings.redis.get_secret_value()
        else:
            self._server = EmbeddedServer(self.folder.redis_dir, self.folder.redis_socket)
            url = await unbroken(self._start_server(self._server))
        self.folder.write_redis_url(url)
        return url

    async def _start_server(self, server: EmbeddedServer) -> str:
        url = await asyncio.to_thread(server.start)
        self.ending.then("the ledger's server", lambda: asyncio.to_thread(server.stop))
        return url

    async def _keep_server(self) -> None:
        """Start the embedded server again when it has died."""
        while self._server is not None:
            await asyncio.sleep(AGAIN_S)
            try:
                if not self._server.alive():
                    log.warning("the ledger's server has ended: starting it again")
                    await unbroken(asyncio.to_thread(self._server.start))
            except (LedgerDown, OSError) as error:
                log.warning("the ledger's server does not start: %s", error)

    async def _watch(self) -> None:
        """Follow the book: every change is felt at once, a lost connection is made again."""
        while True:
            try:
                await self.desk.reload()
                async for _ in self.desk.stores.registry.changes():
                    await self.desk.reload()
            except LedgerDown as error:
                self.desk.failed(error)
            await asyncio.sleep(AGAIN_S)

    # -- what others ask --------------------------------------------------------------------

    def _book(self) -> Book:
        return self.desk.book

    def own_ports(self) -> frozenset[int]:
        """Ports of the gateway's own servers: the proxy is taken to none of them."""
        return self.served()

    def _listens(self) -> dict[str, str]:
        """Its own addresses by option, as :func:`parse_endpoint` reads them."""
        options = ("listen", "socks", "portal", "metrics")
        return {name: str(getattr(self.settings, name) or "off") for name in options}

    def _last_run(self) -> LastRun:
        options = self.settings
        return LastRun(
            mode=options.mode,
            boot=lastrun.this_boot(),
            listens=self._listens(),
            lan=options.lan,
            uplink=options.uplink,
            services=options.services,
            trust=options.clock.trust,
            redis=options.redis is not None,
        )

    def _configured(self) -> frozenset[int]:
        options = self.settings
        addresses = (options.listen, options.socks, options.portal, options.metrics)
        return frozenset(address.port for address in addresses if address)

    async def _told(self) -> dict[str, Any]:
        """The status, once what moved so far is in the ledger: whoever asks will read that next."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                await asyncio.shield(self._settler.refresh())
        return self.status()

    def _moved(self, direction: str) -> int:
        """Bytes of all devices and of the gateway's messages since the start."""
        devices = (v for (_, _, way), v in self.stats.traffic.items() if way == direction)
        return self.stats.own[direction] + sum(devices)

    def status(self) -> dict[str, Any]:
        """The contract's ``status``. In the explicit mode the uplink is the upstream sockets."""
        uplink = {"up": self._moved("up"), "down": self._moved("down"), "unattributed": 0}
        live: dict[str, Any] = {}
        if self.router is not None:
            meter = self.router.meter
            uplink = {
                "up": meter.uplink.up,
                "down": meter.uplink.down,
                "unattributed": meter.unattributed.total,
            }
            live = {"present": self.router.described(), "uplinks": self.router.uplinks()}
        return {
            "mode": self.settings.mode,
            "version": __version__,
            "ledger": "up" if self.stats.ledger_up else "down",
            "clock": "trusted" if self.clock.trusted() else "untrusted",
            "flows": sum(len(account.flows) for account in self.desk.accounts.values()),
            "devices": len(self.desk.book.devices),
            "uplink": uplink,
            "held": {
                policy: {"attempts": held.attempts, "hosts": sorted(held.hosts)}
                for policy, held in self.desk.judge.held.items()
            },
            "listens": self._listens(),
            "lan": self.settings.lan if self.router is not None else None,
            "uptime_s": int(self.clock.monotonic() - self._began),
            **live,
        }


async def _release(ledger: RedisLedger) -> None:
    """Say that the gateway has stopped; where the ledger does not answer, silence says it."""
    with contextlib.suppress(LedgerDown):
        await ledger.release()
