"""On an uplink that costs nothing caps and pauses rest; on the next one they stand as before."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.proxy.desk_world import World
from tripgate.core.book import Book
from tripgate.core.model import PLAN, Period, Plan
from tripgate.core.policy import Policy, Verb
from tripgate.core.policybook import set_policy
from tripgate.core.uplinks import DEFAULT, set_unmetered
from tripgate.proxy.plans import PlanKeeper

KIB = 1024
CAP = 500 * KIB


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World().open(tmp_path)
    yield made
    await made.journal.aclose()


async def unmetered(world: World, free: bool = True) -> None:
    await world.edit(lambda book: set_unmetered(book, DEFAULT, free))


async def test_a_cap_rests(world: World) -> None:
    await world.cap(CAP)
    await unmetered(world)
    assert await world.move(world.flow(), 4 * CAP) == 4 * CAP


async def test_a_used_up_cap_opens_at_once(world: World) -> None:
    await world.cap(CAP)
    await world.move(world.flow(), 2 * CAP)
    assert world.account.refusal
    await unmetered(world)
    assert await world.move(world.flow(), CAP) == CAP


async def test_what_moved_for_nothing_is_used_of_no_cap(world: World) -> None:
    await world.cap(CAP)
    await world.move(world.flow(), 100 * KIB)
    await unmetered(world)
    await world.move(world.flow(), 4 * CAP)
    await unmetered(world, False)
    await world.settler.settle()
    assert (await world.used())[0] == 100 * KIB


async def test_what_moved_for_nothing_is_in_the_record(world: World) -> None:
    await unmetered(world)
    await world.move(world.flow(), CAP)
    await world.settler.settle()
    (life,) = await world.ledger.buckets([f"use:{world.phone.id}:life"])
    assert sum(life.values()) == CAP


async def test_metered_again_the_cap_holds_again(world: World) -> None:
    await world.cap(CAP)
    await unmetered(world)
    flow = world.flow()
    await world.move(flow, 4 * CAP)
    await unmetered(world, False)
    assert await world.move(flow, 2 * CAP) == CAP


async def test_the_uplink_itself_may_change(world: World) -> None:
    await world.cap(CAP)
    await world.edit(lambda book: set_unmetered(book, "wlan1", True))
    used = ["wlan1"]
    world.desk.judge.uplinks = lambda: used
    world.desk.turn()
    flow = world.flow()
    assert await world.move(flow, 2 * CAP) == 2 * CAP
    used[:] = ["wwan0"]
    world.desk.turn()
    assert await world.move(flow, 2 * CAP) == CAP


def paused(book: Book) -> Book:
    return set_policy(book, Policy("", Verb.PAUSE, "all", until_unmetered=True))


async def test_a_pause_until_unmetered_rests(world: World) -> None:
    await world.edit(paused)
    assert not world.desk.judge.verdict(world.account, None).passes
    await unmetered(world)
    assert world.desk.judge.verdict(world.account, None).passes


async def test_no_plan_begins_on_it(world: World) -> None:
    await world.edit(lambda book: replace(book, plan=Plan(start="first-use")))
    await unmetered(world)
    await PlanKeeper(world.desk).first_use()
    assert world.desk.book.plan == Plan(start="first-use")


# -- a plan of one uplink ------------------------------------------------------------------------


async def plan_of(world: World, uplink: str) -> None:
    plan = Plan(volume=CAP, starts_at=int(world.clock.now), uplink=uplink)
    await world.edit(lambda book: replace(book, plan=plan))


async def test_on_another_uplink_the_plan_neither_stops_nor_pays(world: World) -> None:
    await plan_of(world, "wwan0")
    assert await world.move(world.flow(), 3 * CAP) == 3 * CAP
    await world.settler.settle()
    assert (PLAN, Period.TRIP) not in (await world.ledger.tallies([PLAN])).counters


async def test_a_devices_cap_holds_on_every_uplink(world: World) -> None:
    await plan_of(world, "wwan0")
    await world.cap(CAP)
    assert await world.move(world.flow(), 3 * CAP) == CAP


async def test_back_on_its_uplink_the_plan_is_whole(world: World) -> None:
    used = ["eth0"]
    world.desk.judge.uplinks = lambda: used
    await plan_of(world, "wwan0")
    flow = world.flow()
    await world.move(flow, 3 * CAP)
    used[:] = ["wwan0"]
    world.desk.turn()
    assert await world.move(flow, 3 * CAP) == CAP
