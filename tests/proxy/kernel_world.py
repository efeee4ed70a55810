"""A gateway whose kernel counts, with counters that the test sets."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from tests.proxy.desk_world import CountingFlow, World
from tripgate.core import book
from tripgate.core.counts import NOTHING, Reading, SlotCount, Volume
from tripgate.core.model import PLAN, DeviceState, Period
from tripgate.kernel.posted import PostedPage
from tripgate.proxy.kernelaccount import KernelAccount
from tripgate.proxy.kernelmeter import KernelMeter


class HandCounters:
    """Counters that the test sets, and the allowances that they were given."""

    def __init__(self) -> None:
        self.slots: dict[int, SlotCount] = {}
        self.beside = NOTHING
        self.allowed: dict[int, int] = {}
        self.spent: frozenset[int] = frozenset()

    def count(self, slot: int, total: Volume, forwarded: int = 0) -> None:
        before = self.slots.get(slot, SlotCount())
        self.slots[slot] = SlotCount(before.total + total, before.forwarded + forwarded)

    def read(self) -> Reading:
        everything = sum((count.total for count in self.slots.values()), self.beside)
        return Reading(dict(self.slots), everything, self.spent)

    def allow(self, volumes: Mapping[int, int]) -> None:
        self.allowed |= volumes


class KernelWorld(World):
    """A gateway whose kernel counts."""

    def __init__(self, folder: Path) -> None:
        super().__init__(KernelAccount)
        self.counters = HandCounters()
        self.page = PostedPage(folder / "posted", "boot")
        self.meter = KernelMeter(self.desk, self.counters, self.page)
        self.settler._read = self.meter.read

    async def look(self, seconds: float = 1.0) -> None:
        """One reading; grants that it asks for come in before this returns."""
        self.clock.now += seconds
        self.settler.read()
        while self.desk._asking:
            await asyncio.gather(*self.desk._asking.values())

    async def move_and_count(self, flow: CountingFlow, volume: int) -> int:
        """As ``move``, and the kernel sees it."""
        got = 0
        while got < volume:
            taken = flow.meter.take_down(min(volume - got, 10_000))
            self.counters.count(self.phone.slot, Volume(0, taken))
            got += taken
            if not taken and not await self.desk.more(self.account):
                break
        return got

    async def plan_used(self) -> int:
        tallies = await self.ledger.tallies([PLAN])
        counter = tallies.counters.get((PLAN, Period.DAY))
        return counter.used if counter else 0


async def tablet(world: KernelWorld) -> str:
    """A second approved device; its id."""
    await world.edit(
        lambda now: book.add_device(
            now, "ip:10.0.0.3", 0, entropy="11ff11ff", state=DeviceState.APPROVED, name="tab"
        )[0]
    )
    return next(one.id for one in world.desk.book.devices.values() if one.name == "tab")
