"""The row of plans: first use begins one, an end brings the next, and no byte moves over."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.proxy.desk_world import NOON, World
from tripgate.core import planbook
from tripgate.core.model import PLAN, Period, Plan
from tripgate.proxy.plans import PlanKeeper

DAY_S = 86_400
KIB = 1024
MIB = 1024 * KIB


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World().open(tmp_path)
    yield made
    await made.journal.aclose()


async def plans(world: World, first: Plan, *following: Plan) -> PlanKeeper:
    await world.edit(lambda book: replace(book, plan=first))
    for plan in following:
        await world.edit(lambda book, plan=plan: planbook.queue_plan(book, plan))  # type: ignore[misc]
    return PlanKeeper(world.desk)


async def test_the_first_use_begins_a_plan_once(world: World) -> None:
    keeper = await plans(world, Plan(start="first-use", valid_s=DAY_S))
    await keeper.first_use()
    world.clock.now += 100
    await keeper.first_use()
    assert world.desk.book.plan == Plan(start="first-use", valid_s=DAY_S, starts_at=int(NOON))


async def test_no_plan_begins_while_the_clock_is_not_trusted(world: World) -> None:
    keeper = await plans(world, Plan(start="first-use"))
    world.clock.trust = False
    await keeper.first_use()
    assert planbook.waits_for_use(world.desk.book)


@pytest.mark.parametrize("trusted", [True, False])
async def test_what_moved_before_the_first_use_was_noticed_is_the_plans(
    world: World, trusted: bool
) -> None:
    keeper = await plans(world, Plan(volume=9 * MIB, starts_at=int(NOON) - 100))
    await world.move(world.flow(), MIB)
    await world.settler.settle()
    world.clock.trust = trusted
    waiting = planbook.wait_for_use(Plan(volume=9 * MIB), int(NOON))
    await world.edit(lambda book: replace(book, plan=waiting))
    await world.move(world.flow(), 8 * MIB)
    await world.settler.settle()
    world.clock.now, world.clock.trust = NOON + 100, True
    await keeper.turn()
    assert not planbook.waits_for_use(world.desk.book)
    assert await world.move(world.flow(), 2 * MIB) == MIB
    await world.settler.settle()
    counters = (await world.ledger.tallies([PLAN])).counters
    assert counters[PLAN, Period.TRIP].used == 9 * MIB


async def test_a_plan_that_is_set_by_a_clock_that_went_back_counts_anew_all_the_same(
    world: World,
) -> None:
    spent = Plan(volume=MIB, starts_at=int(NOON))
    await plans(world, spent)
    assert await world.move(world.flow(), 2 * MIB) == MIB
    await world.edit(lambda book: replace(book, plan=planbook.wait_for_use(spent, 1)))
    assert await world.move(world.flow(), 2 * MIB) == MIB


@pytest.mark.parametrize(("later", "volume"), [(DAY_S - 1, 1), (DAY_S, 2)])
async def test_the_next_plan_takes_over_when_the_first_expires(
    world: World, later: int, volume: int
) -> None:
    first = Plan(volume=1, valid_s=DAY_S, starts_at=int(NOON))
    keeper = await plans(world, first, Plan(volume=2))
    world.clock.now += later
    await keeper.turn()
    assert world.desk.book.plan is not None
    assert world.desk.book.plan.volume == volume


async def test_a_used_up_plan_gives_way_and_takes_none_of_the_others_bytes(world: World) -> None:
    first = Plan(volume=500 * KIB, starts_at=int(NOON) - 10)
    keeper = await plans(world, first, Plan(volume=800 * KIB))
    flow = world.flow()
    assert await world.move(flow, 600 * KIB) == 500 * KIB
    await keeper.turn()
    flow = world.flow()
    assert await world.move(flow, 900 * KIB) == 800 * KIB
    await world.settler.settle()
    counters = (await world.ledger.tallies([PLAN])).counters
    assert counters[PLAN, Period.TRIP].used == 800 * KIB


async def test_a_used_up_plan_without_a_next_one_stops(world: World) -> None:
    keeper = await plans(world, Plan(volume=500 * KIB, starts_at=int(NOON) - 10))
    flow = world.flow()
    await world.move(flow, 600 * KIB)
    await keeper.turn()
    assert await world.move(world.flow(), KIB) == 0
