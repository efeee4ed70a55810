"""Devices that share a limit: what one is granted or gives back, the others know."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.kernel_world import KernelWorld, tablet
from tripgate.core import book
from tripgate.core.counts import Volume
from tripgate.core.lease import IDLE_S
from tripgate.core.model import PLAN, Cap, Period
from tripgate.proxy.kernelaccount import SCARCE

MB = 1_000_000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[KernelWorld]:
    made = KernelWorld(tmp_path)
    await made.open(tmp_path)
    await made.look()
    yield made
    await made.journal.aclose()


async def test_idle_slices_are_there_for_others_when_the_plan_is_nearly_used_up(
    world: KernelWorld,
) -> None:
    tab = await tablet(world)
    await world.edit(lambda now: book.set_cap(now, Cap(PLAN, Period.DAY, MB)))
    world.meter.present = {tab}
    await world.look()
    assert world.desk.account(tab).budget.granted == MB
    world.meter.present = {world.phone.id, tab}
    for _ in range(300):
        let = world.counters.allowed[world.phone.slot]
        world.counters.count(world.phone.slot, Volume(0, let), let)
        await world.look()
        world.settler.measure()
        await world.settler.settle()
    assert (await world.used())[0] == MB


async def test_what_one_device_is_granted_of_a_shared_limit_is_not_left_to_another(
    world: KernelWorld,
) -> None:
    tab = await tablet(world)
    await world.edit(lambda now: book.set_cap(now, Cap(PLAN, Period.DAY, 100 * MB)))
    world.meter.present = {tab}
    await world.look()
    world.meter.present = {tab, world.phone.id}
    before = world.desk.account(tab).left
    assert before
    await world.look()
    granted = world.account.budget.granted
    assert granted
    assert world.desk.account(tab).left == before - granted


async def test_who_shares_a_limit_has_a_share_of_what_is_left_beyond_the_leases(
    world: KernelWorld,
) -> None:
    tab = await tablet(world)
    await world.edit(lambda now: book.set_cap(now, Cap(PLAN, Period.DAY, 100 * MB)))
    world.meter.present = {tab, world.phone.id}
    await world.look()
    granted = [world.desk.account(one).budget.granted for one in (tab, world.phone.id)]
    assert world.account.beyond
    assert 2 * world.account.beyond <= 100 * MB - max(granted)


async def left_of_plan(world: KernelWorld, limit: int) -> int:
    """As the ledger has it."""
    counter = (await world.ledger.tallies([PLAN])).counters[PLAN, Period.DAY]
    return limit - counter.used - counter.reserved


async def forward(world: KernelWorld, volume: int) -> None:
    """The phone forwards so much, as its quota lets it."""
    while volume > 0:
        let = min(volume, world.counters.allowed[world.phone.slot])
        world.counters.count(world.phone.slot, Volume(0, let), let)
        volume -= let
        await world.look()
        await world.settler.settle()


async def test_an_idle_device_knows_what_a_shared_limit_leaves_as_others_use_it(
    world: KernelWorld,
) -> None:
    tab, limit = await tablet(world), 400 * MB
    await world.edit(lambda now: book.set_cap(now, Cap(PLAN, Period.DAY, limit)))
    world.meter.present = {tab, world.phone.id}
    await world.look()
    await forward(world, 150 * MB)
    assert world.desk.account(tab).left == await left_of_plan(world, limit)


async def test_what_a_lease_gives_back_is_left_to_all_again(world: KernelWorld) -> None:
    tab, limit = await tablet(world), 400 * MB
    await world.edit(lambda now: book.set_cap(now, Cap(PLAN, Period.DAY, limit)))
    world.meter.present = {tab, world.phone.id}
    await world.look()
    await forward(world, 10 * MB)
    world.account.rotate()
    await world.settler.settle()
    assert world.desk.account(tab).left == await left_of_plan(world, limit)


async def test_what_was_given_back_is_not_left_twice_to_who_was_granted_meanwhile(
    world: KernelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to a settlement may come after that to a grant which knew of it."""
    tab, limit = await tablet(world), 400 * MB
    await world.edit(lambda now: book.set_cap(now, Cap(PLAN, Period.DAY, limit)))
    world.meter.present = {tab, world.phone.id}
    await world.look()
    settle = world.ledger.settle

    async def settle_and_grant(*args: Any) -> None:
        await settle(*args)
        world.desk.low(world.desk.account(tab))
        await world.desk._asking[tab]

    monkeypatch.setattr(world.ledger, "settle", settle_and_grant)
    world.account.rotate()
    await world.settler.settle()
    assert world.desk.account(tab).left == await left_of_plan(world, limit)


async def test_an_idle_device_keeps_its_slice_while_a_shared_limit_leaves_enough(
    world: KernelWorld,
) -> None:
    tab, limit = await tablet(world), 400 * MB
    await world.edit(lambda now: book.set_cap(now, Cap(PLAN, Period.DAY, limit)))
    world.meter.present = {tab, world.phone.id}
    await world.look()
    world.settler.measure()
    await forward(world, 290 * MB)
    assert SCARCE < await left_of_plan(world, limit) < 2 * SCARCE
    assert not world.desk.account(tab).idle(world.clock.now + IDLE_S)
