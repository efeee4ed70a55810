"""A day turns at midnight in Mexico City; the box is in UTC and its clock was wrong at boot.

The gateway and its ledger are real; only the clock is the test's.
"""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tripgate.core.book import Book, set_cap, set_plan
from tripgate.core.meter import Meter
from tripgate.core.model import Cap, Period, Plan, device_target
from tripgate.ledger.protocol import Edit
from tripgate.proxy.account import Account
from tripgate.settings import Settings
from tripgate.wiring import Gateway

MEXICO = "America/Mexico_City"
MB = 1_000_000
HOUR_S = 3600
EVENING = int(datetime(2026, 5, 4, 23, 30, tzinfo=ZoneInfo(MEXICO)).timestamp())
MIDNIGHT = EVENING + HOUR_S // 2


@dataclass
class HandClock:
    """A clock that was ``wrong`` by so many seconds until it is set."""

    true: float
    wrong: float = 0.0
    trust: bool = True
    ran: float = 1000.0

    def wall(self) -> float:
        return self.true + self.wrong

    def monotonic(self) -> float:
        return self.ran

    def trusted(self) -> bool:
        return self.trust

    def go_on(self, seconds: float) -> None:
        self.true += seconds
        self.ran += seconds

    def set_right(self) -> None:
        self.wrong, self.trust = 0.0, True


class Box:
    """A gateway, and its one device that downloads."""

    def __init__(self, gateway: Gateway, clock: HandClock) -> None:
        self.gateway, self.clock = gateway, clock

    @property
    def account(self) -> Account:
        (device,) = self.gateway.desk.book.devices
        return self.gateway.desk.account(device)

    async def edit(self, change: Callable[[Book], Book]) -> None:
        desk = self.gateway.desk
        edit = Edit("test", "edit", "", int(self.clock.wall()))
        assert await desk.stores.registry.replace(desk.version, change(desk.book), edit)
        await desk.reload()

    async def download(self, volume: int) -> int:
        """How much of it came."""
        self.gateway.desk.turn()
        account, got = self.account, 0
        meter = Meter(account, "a.example", "192.0.2.1")
        while got < volume and await self.gateway.desk.more(account):
            got += meter.take_down(volume - got)
            account.moved()
        assert account.lease
        account.lease.parts["a.example"].down += got
        return got


@asynccontextmanager
async def running(folder: Path, clock: HandClock) -> AsyncIterator[Box]:
    gateway = Gateway(Settings(state=folder), clock)
    await gateway.start()
    try:
        yield Box(gateway, clock)
    finally:
        await gateway.stop()


async def yesterday(folder: Path) -> None:
    """Of the day's 10 MB 8 are used by half past eleven; then the box is switched off."""
    async with running(folder, HandClock(EVENING)) as box:
        plan = Plan(volume=1000 * MB, tz=MEXICO, starts_at=EVENING - 86_400)
        (device,) = box.gateway.desk.book.devices
        cap = Cap(device_target(device), Period.DAY, 10 * MB, created_at=EVENING)
        await box.edit(lambda book: set_cap(set_plan(book, plan), cap))
        assert await box.download(8 * MB) == 8 * MB


@pytest.fixture(autouse=True)
def box_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "TZ", "UTC")


@pytest.mark.parametrize("wrong", [-HOUR_S, HOUR_S], ids=["slow", "fast"])
async def test_no_day_turns_by_the_wrong_clock(tmp_path: Path, wrong: int) -> None:
    await yesterday(tmp_path)
    async with running(tmp_path, HandClock(EVENING, wrong, trust=False)) as box:
        assert await box.download(10 * MB) == 2 * MB


@pytest.mark.parametrize("wrong", [-HOUR_S, HOUR_S], ids=["slow", "fast"])
async def test_what_moved_by_the_wrong_clock_is_of_the_day_that_it_was(
    tmp_path: Path, wrong: int
) -> None:
    await yesterday(tmp_path)
    async with running(tmp_path, HandClock(EVENING, wrong, trust=False)) as box:
        await box.download(MB)
        box.clock.go_on(60)
        box.clock.set_right()
        assert await box.download(10 * MB) == MB


@pytest.mark.parametrize("wrong", [-HOUR_S, HOUR_S], ids=["slow", "fast"])
async def test_the_day_turns_at_midnight_there(tmp_path: Path, wrong: int) -> None:
    await yesterday(tmp_path)
    async with running(tmp_path, HandClock(EVENING, wrong, trust=False)) as box:
        await box.download(10 * MB)
        box.clock.set_right()
        box.clock.go_on(MIDNIGHT - EVENING - 1)
        assert await box.download(MB) == 0
        box.clock.go_on(1)
        assert await box.download(20 * MB) == 10 * MB


async def test_utc_midnight_is_no_midnight(tmp_path: Path) -> None:
    await yesterday(tmp_path)
    noon = HandClock(int(datetime(2026, 5, 5, 12, tzinfo=ZoneInfo(MEXICO)).timestamp()))
    async with running(tmp_path, noon) as box:
        assert await box.download(10 * MB) == 10 * MB
        box.clock.go_on(7 * HOUR_S)  # 01:00 UTC
        assert await box.download(MB) == 0


async def test_a_day_of_the_plan_is_no_calendar_day_where_the_seller_counts_24_hours(
    tmp_path: Path,
) -> None:
    await yesterday(tmp_path)
    async with running(tmp_path, HandClock(EVENING)) as box:
        await box.edit(
            lambda book: replace(
                book, plan=replace(book.plan or Plan(), day="24h", starts_at=EVENING - HOUR_S)
            )
        )
        await box.download(20 * MB)
        box.clock.go_on(2 * HOUR_S)  # past midnight
        assert await box.download(MB) == 0
        box.clock.go_on(21 * HOUR_S)
        assert await box.download(20 * MB) == 10 * MB
