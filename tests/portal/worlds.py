"""A gateway as the portal sees it, on the memory ledger: one for each test."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from starlette.types import ASGIApp

from tripgate.core import book as books
from tripgate.core.book import EMPTY, Book
from tripgate.core.classify import Service
from tripgate.core.limits import limits_for
from tripgate.core.model import Cap, Device, DeviceState, Period, Plan, Target
from tripgate.core.period import starts
from tripgate.core.planbook import paying
from tripgate.core.usage import increments
from tripgate.ledger.memory import MemoryLedger, MemoryRegistry, MemoryStore
from tripgate.ledger.protocol import Edit, Settlement
from tripgate.portal.app import create_app
from tripgate.portal.claim import ClaimDesk
from tripgate.portal.world import PortalSettings
from tripgate.statefolder import StateFolder

NOW = 1_763_992_800  # Monday 24 November 2025, 14:00 UTC
PHONE = "10.0.0.2"
HERE = "10.0.0.1"
MB, GB = 10**6, 10**9


@dataclass
class PortalWorld:
    """Clients are their addresses; the clock stands unless a test moves it."""

    folder: StateFolder
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: float = 0.0
    book: Book = EMPTY
    asked: int = 0
    uplink: str = "wwan0"
    settings: PortalSettings = field(default_factory=PortalSettings)

    def __post_init__(self) -> None:
        self.ledger = CountingLedger(self)
        self.registry = MemoryRegistry(self.store)
        self.claims = ClaimDesk(self.folder, self.monotonic)
        self._leases = 0

    # -- what the portal asks ---------------------------------------------------------------

    def now(self) -> int:
        return NOW

    def monotonic(self) -> float:
        return self.clock

    def trusted(self) -> bool:
        return True

    def pays(self) -> Target | None:
        return paying(self.book, (self.uplink,))

    def recognise(self, peer: str, local: str) -> str | None:
        return f"ip:{peer}" if peer.startswith("10.") else None

    async def enrol(self, identity: str) -> Device:
        version, book = await self.registry.load()
        book, device = books.add_device(book, identity, NOW, entropy="4b2a91c7")
        assert await self.registry.replace(version, book, Edit("gateway", "device new"))
        await self.reload()
        return device

    async def reload(self) -> None:
        _, self.book = await self.registry.load()

    # -- what tests do ----------------------------------------------------------------------

    async def edit(self, change: Callable[[Book], Book]) -> None:
        version, book = await self.registry.load()
        assert await self.registry.replace(version, change(book), Edit("test", "edit"))
        await self.reload()

    async def device(
        self, name: str, address: str = PHONE, state: DeviceState = DeviceState.APPROVED,
        *, person: str | None = None, owner: bool = False,
    ) -> Device:  # fmt: skip
        """A device in the book."""
        made: list[Device] = []

        def change(book: Book) -> Book:
            entropy = f"{len(book.devices) + 7:08x}"
            book, device = books.add_device(
                book, f"ip:{address}", NOW, entropy=entropy, state=state, name=name
            )
            if person and person not in book.people:
                book = books.add_person(book, person, NOW)
            if person:
                book = books.approve_device(book, device.id, person)
            if owner:
                book = books.claim_device(book, device.id)
            made.append(device)
            return book

        await self.edit(change)
        return self.book.devices[made[0].id]

    async def cap(self, target: Target, period: Period, limit: int, action: str = "block") -> None:
        cap = Cap(target, period, limit, action=action, created_at=NOW)
        await self.edit(lambda book: books.set_cap(book, cap))

    async def plan(self, **changes: object) -> None:
        plan = Plan(**changes)  # type: ignore[arg-type]
        await self.edit(lambda book: books.set_plan(book, plan))

    async def used(self, device: Device, service: str, volume: int, at: int = NOW) -> None:
        """Bytes that the gateway counted, today or ``at`` an earlier instant."""
        self._leases += 1
        began = starts(self.book.plan, at)
        parts = increments(device.id, Service(service, "video"), None, 0, volume, at, began)
        row = Settlement(
            lease=f"test:{self._leases}:1", device=device.id, granted=volume, used=volume,
            final=True, limits=limits_for(self.book, device, began, at, pays=self.pays()),
            trusted=True, parts=volume,
            increments=parts,
        )  # fmt: skip
        await MemoryLedger(self.store).settle([row], {}, at)

    def app(self) -> ASGIApp:
        return create_app(self, self.settings, self.claims)

    @asynccontextmanager
    async def visit(
        self,
        address: str = PHONE,
        base: str = f"http://{HERE}",
        language: str = "en",
        app: ASGIApp | None = None,
    ) -> AsyncIterator[httpx.AsyncClient]:
        """A browser on the device at ``address``; its requests reach the address ``HERE``.

        ``app``: the portal, where several visits are of the same one.
        """
        app = app or self.app()

        async def arrived(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
            await app({**scope, "server": (HERE, 80)}, receive, send)

        transport = httpx.ASGITransport(arrived, client=(address, 50_000))
        headers = {"Accept-Language": language}
        async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers) as client:
            yield client


class CountingLedger(MemoryLedger):
    """Counts what the portal asks it."""

    def __init__(self, world: PortalWorld) -> None:
        super().__init__(world.store)
        self._world = world

    async def tallies(self, targets):  # type: ignore[no-untyped-def]
        self._world.asked += 1
        return await super().tallies(targets)


def make_world(path: Path, **settings: object) -> PortalWorld:
    folder = StateFolder(path / "state")
    folder.create()
    return PortalWorld(folder, settings=PortalSettings(**settings))  # type: ignore[arg-type]
