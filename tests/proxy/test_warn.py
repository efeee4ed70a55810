"""Warn levels are told once a period, and a restart does not tell them again."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.proxy.desk_world import World
from tripgate.core import limits, warning
from tripgate.core.allowance import give
from tripgate.core.book import Book
from tripgate.core.model import Plan, device_target
from tripgate.core.period import carry
from tripgate.core.warning import Alert
from tripgate.proxy.warn import Warner

MB = 1_000_000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World().open(tmp_path)
    await made.cap(10 * MB)
    yield made
    await made.journal.aclose()


async def levels(world: World, volume: int) -> list[int]:
    """Move ``volume`` bytes and look with a gateway that was just started."""
    heard: list[Alert] = []
    await world.move(world.flow(), volume)
    await world.settler.settle()
    await Warner(world.desk, heard.append).look()
    return [one.level for one in heard]


async def test_each_level_is_told_once(world: World) -> None:
    told = [await levels(world, volume) for volume in (4 * MB, MB, MB, 2 * MB, MB, 10 * MB)]
    assert told == [[], [50], [], [80], [], [95]]


async def test_of_levels_passed_at_once_the_highest_is_told(world: World) -> None:
    assert await levels(world, 9 * MB) == [80]


async def test_a_new_day_warns_again(world: World) -> None:
    assert await levels(world, 5 * MB) == [50]
    world.clock.now += 86_400
    world.desk.turn()
    assert await levels(world, 5 * MB) == [50]


async def test_a_gift_in_the_period_repeats_no_level(world: World) -> None:
    assert await levels(world, 9_500_000) == [95]
    target = device_target(world.phone.id)
    await world.edit(lambda book: give(book, target, 10 * MB, int(world.clock.wall())))
    assert [await levels(world, volume) for volume in (0, 7 * MB, 3 * MB)] == [[], [], []]


async def test_another_zone_repeats_no_level_nor_the_way_back(world: World) -> None:
    assert await levels(world, 9_500_000) == [95]
    for zone in ("Asia/Tokyo", "Pacific/Pago_Pago", "UTC"):
        now = int(world.clock.wall())
        await world.edit(lambda book, zone=zone, now=now: in_zone(book, zone, now))  # type: ignore[misc]
        assert await levels(world, 0) == []


def in_zone(book: Book, zone: str, now: int) -> Book:
    return replace(book, plan=carry(book.plan, replace(book.plan or Plan(), tz=zone), now))


async def test_a_start_that_moved_back_repeats_no_level(world: World) -> None:
    assert await levels(world, 9_500_000) == [95]
    states = limits.cap_states(
        world.desk.book,
        (await world.ledger.tallies([device_target(world.phone.id)])).counters,
        world.desk.starts,
        trusted=True,
    )
    earlier = {period: start - 3600 for period, start in world.desk.starts.items()}
    assert warning.due(world.desk.book, states, earlier) == []
