"""The login at an uplink's portal, and its end."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.proxy.desk_world import World
from tripgate.core import book
from tripgate.core.uplinks import LOGIN_S, log_in
from tripgate.uplinklogin import UplinkLogin


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World()
    await made.open(tmp_path)
    await made.edit(lambda now: book.claim_device(now, "phone"))
    yield made
    await made.journal.aclose()


async def _log_in(world: World) -> None:
    await world.edit(lambda now: log_in(now, None, int(world.clock.now)))


async def test_it_ends_after_its_time(world: World) -> None:
    login = UplinkLogin(world.desk)
    assert login.device() is None
    await _log_in(world)
    assert login.device() == world.desk.book.devices[world.phone.id]
    world.clock.now += LOGIN_S
    assert login.device() is None


async def test_it_ends_when_the_device_is_blocked(world: World) -> None:
    login = UplinkLogin(world.desk)
    await _log_in(world)
    await world.edit(lambda now: book.block_device(now, "phone"))
    assert login.device() is None


async def test_a_restart_does_not_make_it_longer(world: World) -> None:
    await _log_in(world)
    world.clock.now += LOGIN_S - 1
    login = UplinkLogin(world.desk)
    assert login.device() is not None
    world.clock.now += 1
    assert login.device() is None


async def test_after_a_restart_with_an_untrusted_clock_it_is_over(world: World) -> None:
    await _log_in(world)
    world.clock.trust = False
    assert UplinkLogin(world.desk).device() is None
