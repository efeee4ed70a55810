"""The row of plans: first use begins one, an end brings the next, and no byte moves over."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.proxy.desk_world import NOON, World
from tripgate.core import planbook
from tripgate.core.model import PLAN, Period, Plan, Target
from tripgate.proxy.plans import PlanKeeper

DAY_S = 86_400
HOTEL = planbook.plan_target("wlan1")
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


async def test_what_moves_before_a_plan_begins_is_not_its_own(world: World) -> None:
    await plans(world, Plan(volume=500 * KIB, start="at", starts_at=int(NOON) + 100))
    assert await world.move(world.flow(), 900 * KIB) == 900 * KIB
    await world.settler.settle()
    world.clock.now += 100
    world.desk.turn()
    assert await world.move(world.flow(), 900 * KIB) == 500 * KIB
    assert await used_of(world, PLAN) == [500 * KIB]


# -- plans of uplinks ----------------------------------------------------------------------------


async def on_two_uplinks(world: World) -> tuple[PlanKeeper, list[str]]:
    """The plan of 800 KiB, the hotel's own of 500 KiB and one to follow it; the hotel is in use."""
    keeper = await plans(world, Plan(volume=800 * KIB, starts_at=int(NOON) - 10))
    hotel = Plan(volume=500 * KIB, starts_at=int(NOON) - 5)
    await world.edit(lambda book: planbook.put(book, HOTEL, hotel))
    used = ["wlan1", "wwan0"]
    world.desk.judge.uplinks = lambda: used
    world.desk.turn()
    return keeper, used


async def used_of(world: World, *targets: Target) -> list[int]:
    await world.settler.settle()
    counters = (await world.ledger.tallies(targets)).counters
    found = [counters.get((target, Period.TRIP)) for target in targets]
    return [counter.used if counter else 0 for counter in found]


async def test_a_used_up_plan_of_an_uplink_takes_nothing_of_the_plan(world: World) -> None:
    await on_two_uplinks(world)
    assert await world.move(world.flow(), 600 * KIB) == 500 * KIB
    assert await world.move(world.flow(), KIB) == 0
    assert await used_of(world, PLAN, HOTEL) == [0, 500 * KIB]


async def test_back_on_the_other_uplink_the_plan_pays(world: World) -> None:
    _, used = await on_two_uplinks(world)
    await world.move(world.flow(), 600 * KIB)
    used.reverse()
    world.desk.turn()
    assert await world.move(world.flow(), 900 * KIB) == 800 * KIB
    assert await used_of(world, PLAN, HOTEL) == [800 * KIB, 500 * KIB]


async def test_an_uplinks_plan_is_followed_by_its_own_next_one(world: World) -> None:
    keeper, _ = await on_two_uplinks(world)
    following = Plan(volume=300 * KIB, uplink="wlan1")
    await world.edit(lambda book: planbook.queue_plan(book, following))
    await world.move(world.flow(), 600 * KIB)
    await keeper.turn()
    assert await world.move(world.flow(), 600 * KIB) == 300 * KIB
    assert await used_of(world, PLAN, HOTEL) == [0, 300 * KIB]


async def test_an_uplinks_plan_begins_with_the_first_use_there(world: World) -> None:
    keeper, used = await on_two_uplinks(world)
    waiting = planbook.wait_for_use(Plan(), int(NOON))
    await world.edit(lambda book: planbook.put(book, HOTEL, waiting))
    used.reverse()
    world.desk.turn()
    await world.move(world.flow(), KIB)
    await keeper.turn()
    assert planbook.waits_for_use(world.desk.book, HOTEL)
    used.reverse()
    world.desk.turn()
    await world.move(world.flow(), KIB)
    await keeper.turn()
    assert not planbook.waits_for_use(world.desk.book, HOTEL)


# -- a plan that is billed by steps --------------------------------------------------------------

STEP = 100 * KIB


async def test_a_plan_stops_where_the_next_step_would_pass_its_volume(world: World) -> None:
    await plans(world, Plan(volume=450 * KIB, step=STEP, starts_at=int(NOON) - 10))
    assert await world.move(world.flow(), 600 * KIB) == 400 * KIB
    assert await used_of(world, PLAN) == [400 * KIB]


async def test_a_new_session_rounds_the_one_before_up(world: World) -> None:
    await plans(world, Plan(step=STEP, starts_at=int(NOON) - 10))
    await world.move(world.flow(), 60 * KIB)
    assert await used_of(world, PLAN) == [STEP]
    await world.move(world.flow(), 60 * KIB)
    world.desk.judge.session_of = lambda _: "second"
    world.desk.turn()
    await world.move(world.flow(), KIB)
    assert await used_of(world, PLAN) == [3 * STEP]


async def test_the_end_of_a_session_is_no_session(world: World) -> None:
    await plans(world, Plan(step=STEP, starts_at=int(NOON) - 10))
    await world.move(world.flow(), KIB)
    world.desk.judge.session_of = lambda _: None
    world.desk.turn()
    await world.move(world.flow(), KIB)
    assert await used_of(world, PLAN) == [STEP]


async def test_a_step_that_is_set_later_holds_from_then_on(world: World) -> None:
    await plans(world, Plan(starts_at=int(NOON) - 10))
    await world.move(world.flow(), KIB)
    assert await used_of(world, PLAN) == [KIB]
    await world.edit(lambda book: replace(book, plan=replace(book.plan or Plan(), step=STEP)))
    await world.move(world.flow(), KIB)
    assert await used_of(world, PLAN) == [KIB + STEP]


async def test_what_was_paid_ahead_in_one_session_is_not_moved_in_the_next(world: World) -> None:
    await plans(world, Plan(volume=150 * KIB, step=STEP, starts_at=int(NOON) - 10))
    assert await world.move(world.flow(), KIB) == KIB
    await world.settler.settle()
    world.desk.judge.session_of = lambda _: "second"
    world.desk.turn()
    assert await world.move(world.flow(), 50 * KIB) == 0
    assert await used_of(world, PLAN) == [STEP]


async def test_the_last_bytes_of_an_uplink_are_of_its_own_session(world: World) -> None:
    _, used = await on_two_uplinks(world)
    hotel = Plan(step=STEP, starts_at=int(NOON) - 5)
    await world.edit(lambda book: planbook.put(book, HOTEL, hotel))
    await world.move(world.flow(), KIB)
    await world.settler.settle()
    await world.move(world.flow(), KIB)
    used.reverse()
    world.desk.turn()
    assert await used_of(world, HOTEL) == [STEP]
