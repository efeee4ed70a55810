"""Who may come in, where to, and what a refusal says.

Rules
1. Only private, link-local and loopback addresses are served; all others are reset unanswered.
2. A device that nobody knows is put in the book as ``pending``: it gets the portal, nothing else.
3. Connections are bounded per device and in all.
4. Without a running ledger nothing is admitted.
5. Who comes with the credentials of a proxy user is that device, from whatever allowed address.
"""

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from tripgate.core import address, book, names, proxyuser
from tripgate.core.address import IPAddress
from tripgate.core.model import Device, DeviceState
from tripgate.core.policy import Verdict
from tripgate.ledger.protocol import LedgerDown
from tripgate.proxy import dial
from tripgate.proxy.account import Refusal
from tripgate.proxy.desk import LeaseDesk
from tripgate.proxy.plans import PlanKeeper
from tripgate.proxy.stats import Stats

PER_DEVICE = 1_024
IN_ALL = 10_240

log = logging.getLogger("tripgate.gate")


class Turned(Exception):
    """A refusal.

    ``kind`` is ``pending``, ``blocked``, ``cap``, ``policy``, ``ledger``, ``destination``,
    ``request`` or ``unreachable``; ``decision`` is what a policy or a soft cap said, of the
    ``service``.
    """

    def __init__(
        self,
        kind: str,
        text: str,
        refusal: Refusal | None = None,
        decision: Verdict | None = None,
        service: str = "",
    ) -> None:
        super().__init__(text)
        self.kind, self.text, self.refusal = kind, text, refusal
        self.decision, self.service = decision, service

    @classmethod
    def by(cls, decision: Verdict, service: str) -> "Turned":
        """Turned away by a policy, or by a soft cap that leaves nothing to the service."""
        kind = "policy" if decision.policy else "cap"
        return cls(kind, decision.reason, None, decision, service)

    @property
    def verdict(self) -> str:
        """The label of ``tripgate_flows_total``."""
        return f"refuse-{self.kind}"


@dataclass(frozen=True, slots=True)
class Client:
    """The far end of a client connection; ``local``: it is on the gateway's own machine."""

    address: IPAddress
    identity: str
    allowed: bool
    local: bool = False

    @classmethod
    def of(cls, peername: Any, sockname: Any) -> "Client":
        """From the socket's names. Any of the host's own addresses is the device ``host``."""
        peer = address.unwrap(ipaddress.ip_address(str(peername[0]).partition("%")[0]))
        here = address.unwrap(ipaddress.ip_address(str(sockname[0]).partition("%")[0]))
        own = peer.is_loopback or peer == here or dial.is_own(peer)
        allowed = own or address.client_allowed(peer)
        return cls(peer, "host" if own else f"ip:{peer}", allowed, own)


class Connection(Protocol):
    """A client connection, as the gate counts it."""

    who: Client

    def abort(self) -> None: ...


class OwnPages(Protocol):
    """The gateway's own pages, for browsers that send even these requests through the proxy."""

    def serves(self, host: str, port: int) -> bool:
        """Is this destination the portal?"""

    async def answer(self, who: Client, local: str, request: Any) -> Any:
        """The whole response, in mitmproxy's terms; ``local``: the address that was reached."""


PageMaker = Callable[[Client, Device | None, Turned, Any], bytes]


class Gate:
    """Admission of client connections and of their destinations."""

    def __init__(
        self,
        desk: LeaseDesk,
        devices: "Enrolment",
        page: PageMaker,
        forbidden_ports: Callable[[], frozenset[int]],
    ) -> None:
        self.desk = desk
        self.ready = False
        self.plans = PlanKeeper(desk)
        self.pages: OwnPages | None = None
        self.identify: Callable[[str], str | None] | None = None
        """By whose hardware a client's address is, where the LAN is ours (router mode)."""
        self._devices = devices
        self._page = page
        self._own_ports = forbidden_ports
        self._open: Counter[str] = Counter()
        self.connections: set[Connection] = set()
        self._empty = asyncio.Event()

    @property
    def stats(self) -> Stats:
        return self.desk.stats

    # -- clients ----------------------------------------------------------------------------

    def client(self, peername: Any, sockname: Any) -> Client:
        """Who is at the far end; of an address that nobody owns, somebody who is not served."""
        who = Client.of(peername, sockname)
        if self.identify is None or who.local:
            return who
        identity = self.identify(str(who.address))
        return replace(who, identity=identity or who.identity, allowed=bool(identity))

    def mark(self, device: str) -> int:
        """What its upstream sockets carry, where the kernel counts by it; 0: nothing."""
        known = self.desk.book.devices.get(device)
        return known.slot if known is not None and self.identify is not None else 0

    def enter(self, connection: Connection) -> bool:
        """Count a client connection in; False: it has no business here."""
        who = connection.who
        full = len(self.connections) >= IN_ALL or self._open[who.identity] >= PER_DEVICE
        if not (self.ready and who.allowed) or full:
            self.stats.verdicts["refuse-client" if not full else "refuse-crowd"] += 1
            return False
        self._open[who.identity] += 1
        self.connections.add(connection)
        self._empty.clear()
        return True

    def leave(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self._open[connection.who.identity] -= 1
        self._open += Counter()  # forget zeros
        if not self.connections:
            self._empty.set()

    async def close(self, patience: float) -> None:
        """Let nobody in any more, reset all, and wait up to ``patience`` s until they are gone."""
        self.ready = False
        for connection in list(self.connections):
            connection.abort()
        if self.connections:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._empty.wait()

    def proxy_users(self) -> bool:
        """Is there a device that comes with credentials?"""
        return any(device.proxy_secret for device in self.desk.book.devices.values())

    def recognise(self, connection: Connection, user: str, secret: str) -> bool:
        """Take the client for the device of these credentials, from now on; False: wrong ones.

        A connection is one device's: another's credentials on it are wrong.
        """
        before, identity = connection.who, proxyuser.identity(user)
        device = book.device_by_identity(self.desk.book, identity)
        if not proxyuser.fits(secret, device.proxy_secret if device else None):
            self.stats.verdicts["refuse-credentials"] += 1
            return False
        if before.identity.startswith(proxyuser.identity("")):
            return before.identity == identity
        if self._open[identity] >= PER_DEVICE:
            self.stats.verdicts["refuse-crowd"] += 1
            return False
        self._open[before.identity] -= 1
        self._open[identity] += 1
        connection.who = replace(before, identity=identity)
        return True

    def device(self, who: Client) -> Device | None:
        return book.device_by_identity(self.desk.book, who.identity)

    # -- destinations -----------------------------------------------------------------------

    async def admit(self, who: Client, host: str | None = None, *, tunnel: bool = False) -> str:
        """The id of the device that pays; ``host``: the clean name. Raises :class:`Turned`.

        ``tunnel``: without a host, the first bytes may bring one, which then decides.
        """
        try:
            device = self.device(who) or await self._devices.enrol(who)
        except (LedgerDown, book.BookError) as error:
            raise Turned("ledger", str(error)) from error
        if device.state is DeviceState.BLOCKED:
            raise Turned("blocked", f"{device.name} is blocked")
        if device.state is DeviceState.PENDING:
            raise Turned("pending", f"{device.name} waits for approval")
        account = self.desk.account(device.id)
        if not await self.desk.more(account):
            refusal = account.refusal
            kind = refusal.kind if refusal else "ledger"
            raise Turned(kind, "no data left" if kind == "cap" else "no ledger", refusal)
        verdict = self.desk.judge.verdict(account, host)
        waits = host is None and tunnel and self.desk.judge.waits(account, verdict)
        if not verdict.passes and not waits:
            self.desk.judge.held_back(verdict, host)
            raise Turned.by(verdict, self.desk.judge.service(host))
        try:
            await self.plans.first_use()
        except LedgerDown as error:
            raise Turned("ledger", str(error)) from error
        return device.id

    async def connect(
        self, who: Client, host: str, port: int, window: int, mark: int = 0
    ) -> socket.socket:
        """A connection to an allowed address, whose SYN offered at most ``window`` bytes and
        carried ``mark``.

        Raises :class:`Turned` or ``OSError``.
        """

        def check(ip: IPAddress) -> str | None:
            own = dial.is_own(ip)
            if own and port in self._own_ports():
                return "the gateway itself"
            return address.destination_refused(ip, own=own, local_client=who.local)

        try:
            return await dial.connect(host, port, check, window, mark)
        except dial.Refused as refused:
            raise Turned("destination", str(refused)) from refused

    @staticmethod
    def name(host: str) -> str | None:
        """The destination's name, or ``None`` when it was given as an address."""
        return None if address.is_literal(host) else names.clean_host(host)

    def page(self, who: Client, turned: Turned, request: Any) -> bytes:
        """The whole HTTP response that tells a person why."""
        return self._page(who, self.device(who), turned, request)


class Enrolment(Protocol):
    """Puts an unknown client in the book."""

    async def enrol(self, who: Client) -> Device: ...
