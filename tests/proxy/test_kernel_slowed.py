"""Slowed devices where the kernel counts: forwarded packets keep to the rate, flows share it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.proxy.kernel_world import KernelWorld
from tripgate.core.counts import Volume
from tripgate.core.policy import Policy, Verb
from tripgate.core.policybook import set_policy

MB = 1_000_000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[KernelWorld]:
    made = KernelWorld(tmp_path)
    await made.open(tmp_path)
    await made.look()
    yield made
    await made.journal.aclose()


RATE = 8 * MB
"""A million bytes a second."""


async def slowed(world: KernelWorld, verb: Verb = Verb.THROTTLE) -> None:
    policy = Policy("", verb, "all", rate=RATE if verb is Verb.THROTTLE else None)
    await world.edit(lambda current: set_policy(current, policy))
    await world.look()


async def forwarded(world: KernelWorld, offered: int, readings: int = 80) -> int:
    """What the kernel lets pass of ``offered`` bytes per reading; the rest it drops."""
    passed = 0
    for _ in range(readings):
        let = world.counters.allowed[world.phone.slot]
        passed += min(let, offered)
        world.counters.count(world.phone.slot, Volume(0, offered), offered)
        await world.look(0.75)
        world.settler.measure()
    return passed


@pytest.mark.parametrize("offered", [MB, 10 * MB])
async def test_forwarded_packets_of_a_slowed_device_keep_to_its_rate(
    world: KernelWorld, offered: int
) -> None:
    await slowed(world)
    await forwarded(world, offered, 10)  # the first slices are small
    assert await forwarded(world, offered) == pytest.approx(60 * MB, rel=0.05)


async def test_what_the_kernel_dropped_of_a_slowed_device_is_charged(world: KernelWorld) -> None:
    await slowed(world)
    await forwarded(world, 2 * MB)
    await world.settler.settle()
    assert (await world.used())[0] == 80 * 2 * MB


async def test_nothing_is_forwarded_for_a_device_that_is_paused(world: KernelWorld) -> None:
    await slowed(world, Verb.PAUSE)
    assert world.counters.allowed[world.phone.slot] == 0


async def test_flows_and_forwarded_packets_share_the_rate(world: KernelWorld) -> None:
    await slowed(world)
    flow, passed = world.flow(), 0
    world.desk.judge.follow(world.desk.accounts.values())
    assert flow.bucket is not None
    for _ in range(80):
        let = world.counters.allowed[world.phone.slot]
        world.counters.count(world.phone.slot, Volume(0, let), let)
        passed += let
        for _ in range(25):
            world.clock.now += 0.03
            flow.bucket.fill(world.clock.now)
            share = flow.bucket.share(1)
            flow.bucket.take(share)
            passed += share
        await world.look(0)
    assert passed == pytest.approx(60 * MB, rel=0.05)
