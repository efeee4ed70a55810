"""Where the kernel counts, a flow is refused by the count and never by estimates."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.proxy.kernel_world import KernelWorld
from tripgate.core.counts import Reading, Volume
from tripgate.proxy.account import Refusal
from tripgate.proxy.desk import RETRY_S

MB = 1_000_000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[KernelWorld]:
    made = KernelWorld(tmp_path)
    await made.open(tmp_path)
    await made.look()
    yield made
    await made.journal.aclose()


async def test_flows_get_what_was_set_aside_for_packets_before_they_are_refused(
    world: KernelWorld,
) -> None:
    await world.cap(MB)
    world.meter.present = {world.phone.id}
    await world.look()
    world.desk.settle_now = None  # a reading would share out anew
    flow = world.flow()
    while flow.meter.take_down(10_000) or await world.desk.more(world.account):
        pass
    assert (world.account.budget.held, world.account.budget.left) == (0, 0)


async def test_what_flows_take_while_the_last_count_is_settled_does_not_refuse_them(
    world: KernelWorld,
) -> None:
    """What had arrived is in the count; taken again as an estimate it would seem used twice."""
    await world.cap(MB)
    flow = world.flow()
    assert await world.move(flow, MB) == MB
    world.counters.count(world.phone.slot, Volume(0, MB - 10_000))
    count_and_settle = world.settler.count_and_settle

    async def take_meanwhile() -> bool:
        counted = await count_and_settle()
        flow.meter.take_down(MB)
        return counted

    world.desk.settle_now = take_meanwhile
    world.account.refusal = Refusal("ledger", at=world.clock.now)
    world.clock.now += 1.0
    assert await world.desk.more(world.account)
    assert flow.alive


def unreadable(world: KernelWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on no reading succeeds; each takes a second."""

    def fail() -> Reading:
        world.clock.now += 1.0
        raise OSError("no buffer space")

    monkeypatch.setattr("tripgate.proxy.desk.RETRY_EVERY_S", 0)
    monkeypatch.setattr(world.counters, "read", fail)


async def test_a_flow_whose_bytes_cannot_be_counted_ends_with_a_reason(
    world: KernelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.cap(MB)
    flow = world.flow()
    await world.move(flow, MB // 2)
    unreadable(world, monkeypatch)
    began = world.clock.now
    async with asyncio.timeout(10):
        assert await world.move(flow, 2 * MB) <= MB // 2
    assert not flow.alive
    assert world.clock.now - began >= RETRY_S
    assert world.account.refusal
    assert world.account.refusal.kind == "ledger"
    assert "cannot be read" in world.account.refusal.detail


async def test_counters_that_cannot_be_read_are_not_a_ledger_that_is_down(
    world: KernelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.cap(MB)
    unreadable(world, monkeypatch)
    await world.move(world.flow(), 2 * MB)
    assert world.stats.ledger_up
    assert not world.desk.lost


async def test_a_flow_goes_on_once_its_bytes_are_counted_again(
    world: KernelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.cap(MB)
    flow = world.flow()
    await world.move(flow, MB)
    read = world.counters.read
    unreadable(world, monkeypatch)
    asked = asyncio.ensure_future(world.desk.more(world.account))
    while world.account.refusal is None:  # noqa: ASYNC110 - the desk has no event for it
        await asyncio.sleep(0)
    monkeypatch.setattr(world.counters, "read", read)
    world.counters.count(world.phone.slot, Volume(0, MB // 2))
    async with asyncio.timeout(10):
        assert await asked
    assert flow.alive
    assert world.account.budget.left + world.account.budget.held == MB // 2
