"""What policies hold back goes to the ledger, once, and stays there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.proxy.desk_world import World
from tripgate.core import heldback
from tripgate.core.policy import Policy, Verb
from tripgate.core.policybook import clear_policy, set_policy

KIB = 1024


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World().open(tmp_path)
    await made.edit(lambda book: set_policy(book, Policy("", Verb.PAUSE, "all")))
    yield made
    await made.journal.aclose()


def attempt(world: World, times: int = 1) -> None:
    for _ in range(times):
        verdict = world.desk.judge.verdict(world.account, "a.example")
        world.desk.judge.held_back(verdict, "a.example")


async def settle(world: World, volume: int = KIB) -> None:
    await world.move(world.flow(), volume)
    await world.settler.settle()


async def kept(world: World) -> heldback.Held:
    """As ``policy list`` reads it: without the gateway."""
    (fields,) = await world.ledger.buckets([heldback.bucket(world.desk.book.policies[0])])
    return heldback.read(fields)


async def test_attempts_are_kept_with_the_next_bytes(world: World) -> None:
    attempt(world, 3)
    await settle(world)
    found = await kept(world)
    assert (found.attempts, found.hosts) == (3, {"a.example": 3})


async def test_attempts_add_up(world: World) -> None:
    for _ in range(2):
        attempt(world)
        await settle(world)
    assert (await kept(world)).attempts == 2


async def test_a_settlement_that_is_sent_again_counts_once(world: World) -> None:
    attempt(world)
    await world.move(world.flow(), KIB)
    world.store.down = "away"
    await world.settler.settle()
    world.store.down = None
    await world.settler.settle()
    await world.settler.settle()
    assert (await kept(world)).attempts == 1


async def test_without_bytes_they_are_kept_too_and_nothing_is_used(world: World) -> None:
    for _ in range(2):
        attempt(world)
        await world.settler.settle()
    found = await kept(world)
    assert (found.attempts, found.hosts) == (2, {"a.example": 2})
    assert not any(count.used for count in world.store.counts.values())
    assert [name for name in world.store.buckets if not name.startswith("use:held:")] == []
    assert await world.ledger.open_leases() == ()


async def test_attempts_without_bytes_that_are_sent_again_count_once(world: World) -> None:
    attempt(world)
    world.store.down = "away"
    await world.settler.settle()
    world.store.down = None
    await world.settler.settle()
    assert (await kept(world)).attempts == 1


async def test_a_stop_keeps_the_last_attempts(world: World) -> None:
    attempt(world, 2)
    assert await world.settler.close()
    assert (await kept(world)).attempts == 2


async def test_of_a_policy_that_is_gone_nothing_is_written(world: World) -> None:
    attempt(world)
    await world.edit(lambda book: clear_policy(book, "p1"))
    await settle(world)
    assert not [name for name in world.store.buckets if name.startswith("use:held:")]
