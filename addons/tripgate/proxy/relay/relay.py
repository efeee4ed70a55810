"""The relay: by which decision a connection is in it, and who pays.

Rules
1. A verdict counts once for each connection.
2. What is allowed is bounded in number per device, its destination is checked, and without budget
   it waits for the device's grant before anything is sent.
3. What an addon asks to see is diverted once it is allowed, not before.
"""

import asyncio
import socket
from collections.abc import Callable

from tripgate.core.address import IPAddress
from tripgate.core.wirecost import MTU, WireCost
from tripgate.core.wiremeter import WireMeter
from tripgate.proxy.account import Account
from tripgate.proxy.desk import LeaseDesk
from tripgate.proxy.gate import PER_DEVICE
from tripgate.proxy.relay.answer import Answer
from tripgate.proxy.relay.destination import Destinations
from tripgate.proxy.relay.divert import Diverter
from tripgate.proxy.relay.engine import READ, Engine
from tripgate.proxy.relay.flow import RelayFlow
from tripgate.proxy.relay.lane import Lane
from tripgate.proxy.relay.listener import Listener, own_name
from tripgate.proxy.relay.observers import Observers
from tripgate.proxy.relay.peek import Peek
from tripgate.proxy.relay.purse import Purse
from tripgate.proxy.relay.verdict import Address, Allow, Asked, Decide, Refuse
from tripgate.proxy.upstream import Socket


class Relay(Lane):
    """``decide`` and ``own`` (see :class:`Destinations`) are the composition's; ``mtu`` is the
    uplink's; ``forbidden`` makes the page for plain HTTP to where nobody is taken."""

    def __init__(
        self,
        desk: LeaseDesk,
        decide: Decide,
        own: Callable[[IPAddress], bool],
        loop: asyncio.AbstractEventLoop,
        mtu: int = MTU,
        crowd_of: Callable[[str], str] = str,
        forbidden: Callable[[Asked], bytes] = lambda _: b"",
    ) -> None:
        self.desk = desk
        super().__init__(Engine(loop, desk.clock.monotonic), desk.stats, crowd_of)
        self.observers = Observers(self.engine.quiet)
        self._decide = decide
        self._forbidden = forbidden
        self._destinations = Destinations(own)
        self._purses: dict[str, Purse] = {}
        self._costs = {version: WireCost.of(version, mtu) for version in (4, 6)}
        self._diverter = Diverter(self, desk, decide, self._refused, self._costs)

    def close(self) -> None:
        """Reset everything; the accounts have all of it."""
        self._diverter.end(lambda _: True)
        self.engine.close()

    def cut(self, client: str) -> None:
        """End what is open at a client's address: it belongs to another device now."""
        self.engine.abort(lambda one: getattr(one, "address", None) == client)
        self._diverter.end(lambda address: address == client)

    # -- clients ----------------------------------------------------------------------------

    def listen(
        self, sock: socket.socket, destination: Callable[[Socket], Address] = own_name
    ) -> Listener:
        """Accept from ``sock``; ``destination`` says where an accepted one wants to go."""
        return Listener(self.engine, self.enter, sock, destination)

    def enter(self, sock: Socket, client: Address, destination: Address) -> None:
        """A new connection, counted in; or reset, if there are too many."""
        peek = Peek(self, self.admit, sock, client, destination)
        if not self.count_in(peek.crowd):
            self._refuse(peek, "refuse-crowd")
            return
        peek.observed = self.observers.meet(client, destination, self.engine.now)
        self.engine.watch(sock.fileno(), peek, READ)
        self.hushed.enter(peek, self.engine.now)
        self.engine.tick()

    # -- the decision -----------------------------------------------------------------------

    def admit(self, peek: Peek, asked: Asked) -> None:
        """Decide, then connect, wait for a grant, or turn it away."""
        verdict = self._decide(asked)
        cost = self._costs[6 if ":" in asked.destination[0] else 4]
        if isinstance(verdict, Refuse):
            self._refuse(peek, verdict.reason, verdict.page if asked.head else b"")
        elif self._refused(asked.destination[0], verdict):
            page = self._forbidden(asked) if asked.head else b""
            self._refuse(peek, "refuse-destination", page)
        elif len(verdict.account.flows) >= PER_DEVICE:
            self._refuse(peek, "refuse-crowd")
        elif verdict.account.budget.left >= cost.least:
            self._open(peek, asked, verdict, cost)
        elif peek.refused_once:
            self._refuse(peek, "refuse-cap")
        else:
            verdict.account.spend_rest(asked.name)
            self._purse(verdict.account).wait(peek)

    def _refused(self, host: str, verdict: Allow) -> bool:
        if verdict.portal and self._destinations.portal(host):
            return False
        return self._destinations.refused(host, self.engine.now) is not None

    def _refuse(self, peek: Peek, reason: str, page: bytes = b"") -> None:
        self.stats.verdicts[reason] += 1
        if page:
            peek.end()
            if peek.observed is not None:
                peek.observed.over(None)
            Answer(self, peek.sock, peek.crowd, page).begin()
        else:
            peek.abort()

    def _open(self, peek: Peek, asked: Asked, verdict: Allow, cost: WireCost) -> None:
        if peek.observed is not None and peek.observed.asks and not self._diverter.full:
            self.stats.verdicts["allow"] += 1
            self._diverter.take(peek, peek.observed, asked)
            return
        if peek.observed is not None and not peek.observed.connect():
            self._refuse(peek, "refuse-destination")
            return
        host = asked.destination[0]
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            server = Socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            self.engine.quiet.warning("no socket for a connection: %s", error)
            self._refuse(peek, "unreachable")
            return
        peek.end()
        purse = self._purse(verdict.account)
        meter = WireMeter(purse.account, verdict.name or asked.name, host, cost)
        flow = RelayFlow(self, purse, meter, peek)
        self.engine.hand_over(peek.sock.fileno(), flow)
        self.stats.verdicts["allow"] += 1
        flow.connect(server, asked.destination, verdict.mark)
        judge = self.desk.judge
        if verdict.policy is None:
            judge.apply(verdict.account, flow)
        elif (bucket := judge.bucket(verdict.policy)) is not None:
            flow.slow(bucket)

    def _purse(self, account: Account) -> Purse:
        purse = self._purses.get(account.device)
        if purse is None or purse.account is not account:
            purse = self._purses[account.device] = Purse(self.desk, account, self.engine)
        return purse
