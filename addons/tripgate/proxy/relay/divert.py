"""Connections that an addon asks to see: handed over to mitmproxy's stock connection handler.

Rules
1. Only what was allowed is diverted, and untouched: its first bytes were peeked at, they are still
   in the socket. mitmproxy chooses the layers, and a TLS connection is decrypted because the addon
   has asked for it, and for no other reason.
2. Bytes to and from servers are metered, marked, slowed and cut as the relay's. Each connection to
   a server is decided on anew: its client's may outlive what allowed it, and an addon may have
   changed where it goes. A cut of one is the end of all.
3. Addons are told of one connection: ``client_connected`` came from the relay and does not come
   again, ``flow_metered`` and ``client_disconnected`` come when all is closed and counted. Only
   ``tls_clienthello`` is told twice: first as the question, then by mitmproxy's layer.
4. What fails in the handover resets the client and frees no bytes.
5. It is counted out of the crowd when nothing of it is open any more, ``CLOSE_S`` after its end at
   the latest: then what is left is reset.
6. At most ``MOST`` are diverted at once, as addons may hold bodies; those beyond are relayed.
"""

import asyncio
import functools
import ipaddress
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mitmproxy import ctx

from tripgate.core.address import IPAddress
from tripgate.core.wirecost import WireCost
from tripgate.core.wiremeter import WireMeter
from tripgate.proxy import dial, upstream
from tripgate.proxy.account import Account
from tripgate.proxy.desk import LeaseDesk
from tripgate.proxy.flow import DOUBLED, Flow, reset
from tripgate.proxy.gate import PER_DEVICE, Gate, Turned
from tripgate.proxy.metered import Dialled
from tripgate.proxy.relay.diverted import DivertedHandler
from tripgate.proxy.relay.lane import Lane
from tripgate.proxy.relay.observers import MeteredFlow, Observed
from tripgate.proxy.relay.peek import Peek
from tripgate.proxy.relay.verdict import Allow, Asked, Decide, Refuse
from tripgate.proxy.streams import CLOSE_S

MOST = 64


@dataclass
class Diverter:
    """All that is diverted now. ``refused`` says whether a verdict's device is not taken to an
    address, ``costs`` are by IP version."""

    lane: Lane
    desk: LeaseDesk
    decide: Decide
    refused: Callable[[str, Allow], bool]
    costs: Mapping[int, WireCost]
    open: "set[Diverted]" = field(default_factory=set)

    @property
    def full(self) -> bool:
        """Rule 6."""
        return len(self.open) >= MOST

    def take(self, peek: Peek, observed: Observed, asked: Asked) -> None:
        """The connection is mitmproxy's from now on."""
        diverted = Diverted(self, peek, observed, asked)
        self.lane.engine.forget(peek.sock.fileno())
        peek.end()
        self.open.add(diverted)

    def end(self, chosen: Callable[[str], bool]) -> None:
        """Reset those whose client's address is chosen."""
        for diverted in [one for one in self.open if chosen(one.asked.client[0])]:
            diverted.end()


class Diverted:
    """One connection of a client, until nothing of it is open."""

    def __init__(self, diverter: Diverter, peek: Peek, observed: Observed, asked: Asked) -> None:
        self.asked = asked
        self.observed = observed
        self.lane = diverter.lane
        self._diverter = diverter
        self._crowd = peek.crowd
        self._raw = peek.sock
        self._handler: DivertedHandler | None = None
        self._client_open, self._ended = True, False
        self._flows: dict[Flow, Callable[[], None]] = {}
        self._empty = asyncio.Event()
        self._metered: MeteredFlow | None = None
        # never eager, as mitmproxy has tasks on Python 3.12 and later: the engine is in a batch
        self._task = asyncio.Task(self._run(), loop=diverter.lane.engine.loop)

    async def _run(self) -> None:
        try:
            await self._hand_over()
        except Exception as error:
            self.lane.engine.quiet.warning("a connection could not be diverted: %r", error)
            self.end()
        except asyncio.CancelledError:
            self.end()
            raise
        finally:
            await self._close()

    async def _hand_over(self) -> None:
        sock = socket.socket(fileno=self._raw.detach())
        try:
            sock.setblocking(False)
            server: Any = ctx.master.addons.get("proxyserver")
            register = server.register_connection
            reader, writer = await dial.open_stream(sock, self._client_lost)
        except BaseException:
            self._client_lost()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, upstream.RESET_ON_CLOSE)
            sock.close()
            raise
        try:
            self._handler = DivertedHandler(self, reader, writer)
        except BaseException:
            reset(writer.transport)
            raise
        if self._ended:
            self._handler.end()
            return
        with register(self._handler.client.id, self._handler):
            await self._handler.handle_client()

    # -- servers ----------------------------------------------------------------------------

    async def dial(self, host: str, port: int) -> Dialled:
        """A metered connection to a server. Raises ``Turned`` or ``OSError``."""
        diverter, verdict = self._diverter, self._diverter.decide(self.asked)
        if isinstance(verdict, Refuse):
            raise Turned(verdict.reason.removeprefix("refuse-"), "it is not allowed any more")
        account = verdict.account
        if len(account.flows) >= PER_DEVICE:
            raise Turned("crowd", "too many connections")
        if not await diverter.desk.more(account):
            raise Turned("cap", "no data left")

        def check(ip: IPAddress) -> str | None:
            return "nobody is taken there" if diverter.refused(str(ip), verdict) else None

        window = account.first_window() // DOUBLED
        if self._ended:
            raise OSError("it was cut")
        try:
            sock = await dial.connect(host, port, check, window, verdict.mark)
        except dial.Refused as refused:
            raise Turned("destination", str(refused)) from refused
        original = host == self.asked.destination[0]
        return await self._serve(
            sock, account, verdict.name or self.asked.name if original else Gate.name(host)
        )

    async def _serve(self, sock: socket.socket, account: Account, name: str | None) -> Dialled:
        address = ipaddress.ip_address(sock.getpeername()[0].partition("%")[0])
        cost = self._diverter.costs[address.version]
        meter = WireMeter(account, name, str(address), cost)
        flow = Flow(self._diverter.desk, account, meter, self.end)
        lost = functools.partial(self._server_lost, flow, meter)
        reader, writer = await dial.open_stream(sock, lost)
        self._flows[flow] = lost
        meter.headers(cost.opening)
        flow.opened(writer.transport)
        if self._ended:
            self.end()
            raise OSError("it was cut meanwhile")
        return flow, reader, writer

    def _server_lost(self, flow: Flow, meter: WireMeter) -> None:
        """The last word on a connection to a server."""
        if self._flows.pop(flow, None) is None:
            return
        meter.headers(meter.cost.closing)
        flow.lost()
        before = self._metered
        up, down = (before.up, before.down) if before else (0, 0)
        self._metered = MeteredFlow(
            flow.account.device,
            meter.name,
            self.asked.destination,
            up + meter.up,
            down + meter.down,
        )
        self._look()

    # -- the end ----------------------------------------------------------------------------

    def end(self) -> None:
        """Reset both sides, and count what they moved."""
        self._ended = True
        for flow, lost in list(self._flows.items()):
            flow.cut()
            lost()
        if self._handler is not None:
            self._handler.end()

    def _client_lost(self) -> None:
        self._client_open = False
        self._look()

    def _look(self) -> None:
        if not (self._client_open or self._flows):
            self._empty.set()

    async def _close(self) -> None:
        """Rule 5."""
        patience = self.lane.engine.loop.call_later(CLOSE_S, self.end)
        try:
            await self._empty.wait()
        finally:
            patience.cancel()
            self._diverter.open.discard(self)
            self.lane.left(self._crowd)
            self.observed.over(self._metered)
