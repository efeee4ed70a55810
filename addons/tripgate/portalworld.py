"""The portal of a running gateway: what it reads there, and where it listens."""

import socket
from collections.abc import Sequence

from tripgate.core import names
from tripgate.core.book import Book, has_owner
from tripgate.core.endpoint import Endpoint
from tripgate.core.model import Device
from tripgate.ledger.protocol import Ledger, Registry
from tripgate.portal import claim
from tripgate.portal.app import create_app
from tripgate.portal.claim import ClaimDesk
from tripgate.portal.world import PortalSettings
from tripgate.portalproxy import NAME, PortalPages
from tripgate.proxy.gate import Client
from tripgate.web import AsgiApp
from tripgate.wiring import Gateway


class GatewayWorld:
    """A :class:`~tripgate.portal.world.World` in the explicit mode: devices are addresses."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

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

    def recognise(self, peer: str, local: str) -> str | None:
        who = _client(peer, local)
        return who.identity if who and who.allowed else None

    async def enrol(self, identity: str) -> Device:
        return await self._gateway.enroller.enter(identity)

    async def reload(self) -> None:
        await self._gateway.desk.reload()


def _client(peer: str, local: str) -> Client | None:
    try:
        return Client.of((peer,), (local,))
    except ValueError:
        return None


def portal_sites(gateway: Gateway) -> Sequence[tuple[Endpoint, AsgiApp]]:
    """The portal's addresses and its app, for :func:`~tripgate.web.serve_web`."""
    at = gateway.settings.portal
    if at is None:
        return ()
    world = GatewayWorld(gateway)
    claims = ClaimDesk(gateway.folder, world.monotonic)
    named = own_names()
    app = create_app(world, PortalSettings(names=named), claims)
    gateway.gate.pages = PortalPages(app, at, named)
    return ((at, app),)


def own_names() -> frozenset[str]:
    """Names that people may open the portal by: the machine's, also as multicast DNS has it."""
    host = names.clean_host(socket.gethostname()) or "localhost"
    return frozenset({"localhost", NAME, host, f"{host.partition('.')[0]}.local"})


def first_claim(gateway: Gateway) -> str | None:
    """The one-time code, while no device is an owner's. Raises ``StateError``."""
    return None if has_owner(gateway.desk.book) else claim.ensure(gateway.folder).code
