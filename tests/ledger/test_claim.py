"""One live instance per gateway, whoever keeps the ledger."""

from dataclasses import replace

import pytest

from tests.ledger.worlds import ASK, MIB, NOW, ROW, World, claimed, counter, settled
from tripgate.ledger.protocol import Fenced


@pytest.mark.parametrize("seconds", [0, 9, -9])
async def test_a_second_instance_is_fenced_while_the_first_is_heard_of(
    world: World, seconds: int
) -> None:
    await claimed(world, instance="one")
    with pytest.raises(Fenced, match="gw"):
        await world.ledger().claim("gw", "two", None, NOW + seconds)


@pytest.mark.parametrize("seconds", [10, 86400, -10, -10 * 365 * 86400])
async def test_it_may_take_over_after_ten_seconds_of_silence(world: World, seconds: int) -> None:
    first = await claimed(world, instance="one")
    second = world.ledger()
    await second.claim("gw", "two", None, NOW + seconds)
    assert (await second.grant(ASK)).granted == MIB
    with pytest.raises(Fenced):
        await first.grant(ASK)


async def test_settlements_are_the_heartbeat(world: World) -> None:
    first = await claimed(world, instance="one")
    await settled(first, now=NOW + 8)
    with pytest.raises(Fenced):
        await world.ledger().claim("gw", "two", None, NOW + 17)


async def test_its_own_next_run_need_not_wait(world: World) -> None:
    await claimed(world, instance="one")
    second = world.ledger()
    await second.claim("gw", "two", "one", NOW + 1)
    assert (await second.grant(ASK)).granted == MIB


async def test_the_same_instance_may_claim_again(world: World) -> None:
    first = await claimed(world, instance="one")
    await first.claim("gw", "one", None, NOW + 1)
    assert (await first.grant(ASK)).granted == MIB


async def test_gateways_do_not_fence_each_other(world: World) -> None:
    first, second = await claimed(world, "gw-a"), await claimed(world, "gw-b")
    assert (await first.grant(replace(ASK, lease="gw-a:one:1"))).granted == MIB
    assert (await second.grant(replace(ASK, lease="gw-b:one:1"))).granted == MIB


async def test_a_fenced_instance_still_settles_but_is_no_heartbeat(world: World) -> None:
    first = await claimed(world, instance="one")
    await first.grant(ASK)
    await world.ledger().claim("gw", "two", "one", NOW)
    assert await settled(first, replace(ROW, used=300), now=NOW + 9) == (300,)
    assert await counter(first) == (300, MIB - 300)
    await world.ledger().claim("gw", "three", None, NOW + 10)


async def test_a_reader_settles_without_a_claim(world: World) -> None:
    assert await settled(world.ledger(), replace(ROW, used=300)) == (300,)


async def test_one_that_has_stopped_is_not_waited_for(world: World) -> None:
    first = await claimed(world, instance="one")
    await first.release()
    second = world.ledger()
    await second.claim("gw", "two", None, NOW)
    assert (await second.grant(ASK)).granted == MIB


async def test_a_fenced_instance_releases_nothing(world: World) -> None:
    first = await claimed(world, instance="one")
    await world.ledger().claim("gw", "two", "one", NOW)
    await first.release()
    with pytest.raises(Fenced):
        await world.ledger().claim("gw", "three", None, NOW + 1)
