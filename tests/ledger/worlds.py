"""One store and its clients, and the calls that tests make of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import redis.asyncio

from tripgate.core.model import PLAN, Counter, Limit, Period, Target, device_target, person_target
from tripgate.ledger.memory import MemoryLedger, MemoryRegistry, MemoryStore
from tripgate.ledger.protocol import GrantRequest, Ledger, Registry, Settlement
from tripgate.ledger.redis import RedisLedger
from tripgate.ledger.registry import RedisRegistry

GATEWAY = "gw"
INSTANCE = "one"
DEVICE = "dev-aaaa"
NOW = 1_800_000_000
DAY = 1_799_971_200
KIB, MIB = 1024, 1024 * 1024

PHONE = device_target(DEVICE)
ANA = person_target("ana")


class World(Protocol):
    """A store; every call makes another client of it."""

    def ledger(self) -> Ledger: ...

    def registry(self) -> Registry: ...

    async def set_reserved(self, target: Target, period: Period, volume: int) -> None:
        """Behind the ledger's back."""

    async def aclose(self) -> None: ...


@dataclass
class MemoryWorld:
    store: MemoryStore = field(default_factory=MemoryStore)

    def ledger(self) -> Ledger:
        return MemoryLedger(self.store)

    def registry(self) -> Registry:
        return MemoryRegistry(self.store)

    async def set_reserved(self, target: Target, period: Period, volume: int) -> None:
        self.store.counts[target, period].reserved = volume

    async def aclose(self) -> None:
        """Nothing to close."""


@dataclass
class RedisWorld:
    url: str
    clients: list[RedisLedger | RedisRegistry] = field(default_factory=list)

    def ledger(self) -> Ledger:
        self.clients.append(made := RedisLedger(self.url))
        return made

    def registry(self) -> Registry:
        self.clients.append(made := RedisRegistry(self.url))
        return made

    async def set_reserved(self, target: Target, period: Period, volume: int) -> None:
        async with redis.asyncio.from_url(self.url) as client:
            await client.hset(f"{{plan}}:scope:{target}", f"{period}.reserved", volume)

    async def aclose(self) -> None:
        for client in self.clients:
            await client.aclose()


def limits(
    limit: int | None = None,
    *,
    start: int = DAY,
    target: Target = PHONE,
    period: Period = Period.DAY,
) -> tuple[Limit, ...]:
    """One limit, or one counter without."""
    return (Limit(target, period, start, limit),)


ASK = GrantRequest(
    lease=f"{GATEWAY}:{INSTANCE}:1",
    device=DEVICE,
    have=0,
    want=MIB,
    limits=limits(),
    share={},
    book_version=0,
    trusted=True,
    now=NOW,
)
"""A grant of 1 MiB without limits."""

ROW = Settlement(
    lease=ASK.lease,
    device=DEVICE,
    granted=MIB,
    used=0,
    final=False,
    limits=ASK.limits,
    trusted=True,
)
"""The settlement of that grant."""


async def claimed(world: World, gateway: str = GATEWAY, instance: str = INSTANCE) -> Ledger:
    """A ledger that may be asked for grants."""
    ledger = world.ledger()
    await ledger.claim(gateway, instance, None, NOW)
    return ledger


async def settled(ledger: Ledger, *rows: Settlement, now: int = NOW) -> tuple[int, ...]:
    return await ledger.settle(rows, {}, now)


async def counter(
    ledger: Ledger, target: Target = PHONE, period: Period = Period.DAY
) -> tuple[int, int]:
    """Used and reserved."""
    found = await counters(ledger, [target])
    return found[target, period].used, found[target, period].reserved


async def counters(
    ledger: Ledger, targets: Sequence[Target] = (PHONE, ANA, PLAN)
) -> Mapping[tuple[Target, Period], Counter]:
    return (await ledger.tallies(targets)).counters
