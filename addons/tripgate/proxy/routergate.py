"""The decision of the router mode: who pays for a connection, or what it is told.

Rules
1. A client is the device whose MAC its packets come from, as the kernel's rules have marked them;
   neither its address nor what it says of itself counts.
2. What is refused over plain HTTP gets the page; a connectivity check gets the portal's address
   instead, which is how a phone finds out that it is to show the portal.
3. A refusal of the ledger stands for a moment, one of a cap until something changes.
"""

from collections.abc import Callable
from typing import Any, Protocol

from tripgate.core.address import IPAddress
from tripgate.core.address import parse as parse_address
from tripgate.core.book import device_of_slot
from tripgate.core.classify import Catalogue
from tripgate.core.model import Device, DeviceState
from tripgate.core.policy import Verdict
from tripgate.proxy.account import Account
from tripgate.proxy.desk import REFUSAL_STANDS_S, LeaseDesk
from tripgate.proxy.gate import Client, Turned
from tripgate.proxy.relay.request import parse
from tripgate.proxy.relay.verdict import Allow, Asked, Refuse

CHECKS = "connectivity-check"

PageMaker = Callable[[Client, Device | None, Turned, Any], bytes]


class Names(Protocol):
    """Names of addresses, as devices asked for them."""

    def name(self, client: IPAddress, address: IPAddress) -> str | None: ...


class RouterGate:
    """``portal`` is where the portal is found."""

    def __init__(
        self,
        desk: LeaseDesk,
        page: PageMaker,
        catalogue: Catalogue,
        names: Names,
        portal: str,
    ) -> None:
        self._desk = desk
        self._page = page
        self._catalogue = catalogue
        self._names = names
        self._portal = portal
        self.ready = False

    def decide(self, asked: Asked) -> Allow | Refuse:
        """The relay's question."""
        client = parse_address(asked.client[0])
        device = device_of_slot(self._desk.book, asked.slot)
        turned = self._turned(device)
        if turned is None and device is not None:
            name = asked.name or self._asked_for(client, asked.destination[0])
            account = self._desk.account(device.id)
            verdict = self._desk.judge.verdict(account, name)
            if verdict.passes:
                return Allow(account, device.slot, name, policy=verdict)
            turned = self._held_back(verdict, name)
        assert turned is not None
        return Refuse(turned.verdict, self._answer(client, device, turned, asked))

    def _turned(self, device: Device | None) -> Turned | None:
        if not self.ready:
            return Turned("ledger", "the gateway is starting")
        if device is None or device.state is DeviceState.PENDING:
            return Turned("pending", "waits for approval")
        if device.state is DeviceState.BLOCKED:
            return Turned("blocked", f"{device.name} is blocked")
        return self._refused(self._desk.account(device.id))

    def _refused(self, account: Account) -> Turned | None:
        refusal = account.refusal
        if refusal is None or not account.exhausted:
            return None
        age = self._desk.clock.monotonic() - refusal.at
        if refusal.kind == "ledger" and age > REFUSAL_STANDS_S:
            return None
        return Turned(refusal.kind, "no data left", refusal)

    def _held_back(self, verdict: Verdict, name: str | None) -> Turned:
        """What policies and soft caps say."""
        judge = self._desk.judge
        judge.held_back(verdict, name)
        return Turned.by(verdict, judge.service(name))

    def _answer(
        self, client: IPAddress, device: Device | None, turned: Turned, asked: Asked
    ) -> bytes:
        if not asked.head:
            return b""
        if self._catalogue.classify(asked.name).category == CHECKS:
            return (
                f"HTTP/1.1 302 Found\r\nLocation: {self._portal}\r\nCache-Control: no-store\r\n"
                "Content-Length: 0\r\nConnection: close\r\n\r\n"
            ).encode()
        return self._told(client, device, turned, asked)

    def forbidden(self, asked: Asked) -> bytes:
        """The page for plain HTTP to an address that nobody is taken to."""
        device = device_of_slot(self._desk.book, asked.slot)
        turned = Turned("destination", "a private address")
        return self._told(parse_address(asked.client[0]), device, turned, asked)

    def _told(
        self, client: IPAddress, device: Device | None, turned: Turned, asked: Asked
    ) -> bytes:
        identity = device.identities[0] if device else ""
        return self._page(Client(client, identity, True), device, turned, parse(asked.head))

    def _asked_for(self, client: IPAddress, destination: str) -> str | None:
        return self._names.name(client, parse_address(destination))
