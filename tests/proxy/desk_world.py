"""A lease desk on the memory ledger (which passes the same contract tests as Redis), with a clock
that the test sets, and flows that only count."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tripgate.core import book
from tripgate.core.book import Book
from tripgate.core.bucket import Bucket
from tripgate.core.classify import Catalogue
from tripgate.core.meter import Meter, WireState
from tripgate.core.model import Cap, Device, DeviceState, Period, device_target
from tripgate.ledger.journal import Journal
from tripgate.ledger.memory import MemoryLedger, MemoryRegistry, MemoryStore
from tripgate.ledger.progress import Progress
from tripgate.ledger.protocol import Edit
from tripgate.proxy.account import Account
from tripgate.proxy.desk import LeaseDesk, Stores
from tripgate.proxy.settle import Settler
from tripgate.proxy.stats import Stats

NOON = 1_700_000_000 // 86_400 * 86_400 + 43_200


@dataclass
class HandClock:
    """Time as the test says."""

    now: float = NOON
    trust: bool = True

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def trusted(self) -> bool:
        return self.trust


@dataclass(eq=False)
class CountingFlow:
    """A flow without sockets."""

    meter: Meter
    alive: bool = True
    windows: list[int] = field(default_factory=list)
    arrived: WireState | None = None
    bucket: Bucket | None = None
    undecided: bool = False

    def wire(self) -> WireState | None:
        return self.arrived

    def window(self, volume: int) -> None:
        self.windows.append(volume)

    def slow(self, bucket: Bucket | None) -> None:
        self.bucket = bucket

    def cut(self) -> bool:
        was, self.alive = self.alive, False
        return was


class World:
    """One gateway with one approved device ``phone``."""

    def __init__(self, make_account: type[Account] = Account) -> None:
        self.clock = HandClock()
        self.store = MemoryStore()
        self.ledger = MemoryLedger(self.store)
        self.registry = MemoryRegistry(self.store)
        self.stats = Stats()
        self.desk = LeaseDesk(self.clock, self.stats, make_account)
        self.settler = Settler(self.desk, Catalogue({}))
        self.journal: Journal
        self.phone: Device

    async def open(self, folder: Path) -> "World":
        await self.ledger.claim("gw", "run1", None, int(self.clock.now))
        self.journal = Journal(folder / "journal")
        progress = Progress(folder / "progress", "boot")
        await self.journal.recover(progress)
        self.desk.connect(
            Stores(self.ledger, self.registry, self.journal, progress), "gw", "gw:run1"
        )
        self.stats.ledger_up = True
        await self.edit(self._with_phone)
        return self

    def _with_phone(self, current: Book) -> Book:
        state = DeviceState.APPROVED
        changed, self.phone = book.add_device(
            current, "ip:10.0.0.2", 0, entropy="00ff00ff", state=state, name="phone"
        )
        return changed

    async def edit(self, change: Callable[[Book], Book]) -> None:
        version, current = await self.registry.load()
        assert await self.registry.replace(version, change(current), Edit("test", "edit"))
        await self.desk.reload()

    async def cap(self, limit: int, period: Period = Period.DAY) -> None:
        cap = Cap(device_target(self.phone.id), period, limit, created_at=int(self.clock.now))
        await self.edit(lambda current: book.set_cap(current, cap))

    @property
    def account(self) -> Account:
        return self.desk.account(self.phone.id)

    def flow(self) -> CountingFlow:
        account = self.account
        flow = CountingFlow(Meter(account, "a.example", "192.0.2.1"))
        account.flows.add(flow)
        return flow

    async def move(self, flow: CountingFlow, volume: int) -> int:
        """Take ``volume`` bytes down, with grants as needed; what was got."""
        got = 0
        while got < volume:
            taken = flow.meter.take_down(volume - got)
            self.account.moved()
            got += taken
            if not taken and not await self.desk.more(self.account):
                break
        return got

    async def used(self, period: Period = Period.DAY) -> tuple[int, int]:
        """Used and reserved of the phone, as the ledger has it."""
        target = device_target(self.phone.id)
        tallies = await self.ledger.tallies([target])
        counter = tallies.counters.get((target, period))
        return (counter.used, counter.reserved) if counter else (0, 0)


def replaced(current: Book, **changes: Any) -> Book:
    return dataclasses.replace(current, **changes)
