"""Warn levels are told once a period, and a restart does not tell them again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.proxy.desk_world import World
from tripgate.core.allowance import give
from tripgate.core.model import device_target
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
