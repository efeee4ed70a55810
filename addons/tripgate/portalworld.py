"""The portal of a running gateway: what it reads there, and where it listens.

Rules
1. Explicit mode: devices are addresses, as the gate has them; ``--portal`` is the one place.
2. Router mode: ``identify`` says whose an address of the LAN is (its hardware); the portal is also
   on port 80 of the LAN address and answers every other host as a captive portal does.
3. The gateway's own addresses are the device ``host`` in both.
"""

import socket
from collections.abc import Callable, Sequence

from tripgate.core import names
from tripgate.core.book import Book, has_owner
from tripgate.core.endpoint import Endpoint
from tripgate.core.model import Device, Target
from tripgate.ledger.protocol import Ledger, Registry
from tripgate.pages import lan_address
from tripgate.portal import claim
from tripgate.portal.app import create_app
from tripgate.portal.claim import ClaimDesk
from tripgate.portal.world import PortalSettings
from tripgate.portalproxy import NAME, PortalPages
from tripgate.proxy.gate import Client
from tripgate.web import AsgiApp
from tripgate.wiring import Gateway

Identify = Callable[[str], str | None]
"""From an address of the LAN to the identity of its device; ``None``: nobody knows it."""

HTTP_PORT = 80


class GatewayWorld:
    """A :class:`~tripgate.portal.world.World` on a running gateway."""

    def __init__(self, gateway: Gateway, identify: Identify | None = None) -> None:
        self._gateway, self._identify = gateway, identify

    @property
    def book(self) -> Book:
        return self._gateway.desk.book

    @property
    def ledger(self) -> Ledger:
        return self._gateway.desk.stores.ledger

    @property
    def registry(self) -> Registry:
        return self._gateway.desk.stores.registry

    def now(self) -> int:
        return int(self._gateway.clock.wall())

    def monotonic(self) -> float:
        return self._gateway.clock.monotonic()

    def trusted(self) -> bool:
        return self._gateway.clock.trusted()

    def pays(self) -> Target | None:
        return self._gateway.desk.judge.pays

    def recognise(self, peer: str, local: str) -> str | None:
        who = _client(peer, local)
        if who is None or not who.allowed:
            return None
        if self._identify is None or who.local:
            return who.identity
        return self._identify(str(who.address))

    async def enrol(self, identity: str) -> Device:
        return await self._gateway.enroller.enter(identity)

    async def reload(self) -> None:
        await self._gateway.desk.reload()


def _client(peer: str, local: str) -> Client | None:
    try:
        return Client.of((peer,), (local,))
    except ValueError:
        return None


def portal_sites(
    gateway: Gateway, identify: Identify | None = None
) -> Sequence[tuple[Endpoint, AsgiApp]]:
    """The portal's addresses and its app, for :func:`~tripgate.web.serve_web`."""
    at = gateway.settings.portal
    if at is None:
        return ()
    lan = lan_address(gateway.settings)
    world = GatewayWorld(gateway, identify)
    claims = ClaimDesk(gateway.folder, world.monotonic)
    app = create_app(world, portal_settings(lan), claims)
    gateway.gate.pages = PortalPages(app, at, own_names(), (HTTP_PORT,) if lan else ())
    return ((at, app), *([(Endpoint((lan,), HTTP_PORT), app)] if lan else []))


def portal_settings(lan: str | None) -> PortalSettings:
    """``lan``: the gateway's address on the LAN in the router mode."""
    if lan is None:
        return PortalSettings(names=own_names())
    return PortalSettings(names=own_names(), url=f"http://{lan}/", captive=True, wire=True)


def own_names() -> frozenset[str]:
    """Names that people may open the portal by: the machine's, also as multicast DNS has it."""
    host = names.clean_host(socket.gethostname()) or "localhost"
    return frozenset({"localhost", NAME, host, f"{host.partition('.')[0]}.local"})


def first_claim(gateway: Gateway) -> str | None:
    """The one-time code, while no device is an owner's. Raises ``StateError``."""
    return None if has_owner(gateway.desk.book) else claim.ensure(gateway.folder).code
