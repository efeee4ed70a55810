"""The beacon follows the plan. hostapd's side of the control socket is played here."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.proxy.desk_world import World
from tripgate.beacon import Beacon
from tripgate.core import book
from tripgate.core.model import Plan
from tripgate.core.networkcost import element

MB = 1_000_000
PLAN_VOLUME = 10 * MB


class Hostapd:
    """Answers ``OK`` to everything, and keeps what it was told."""

    def __init__(self, path: Path) -> None:
        self.told: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(path))
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._answer)

    def _answer(self) -> None:
        data, sender = self._socket.recvfrom(4096)
        self.told.append(data.decode())
        self._socket.sendto(b"OK\n", sender)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World()
    await made.open(tmp_path)
    await made.edit(lambda now: book.set_plan(now, Plan(volume=PLAN_VOLUME, starts_at=0)))
    yield made
    await made.journal.aclose()


async def _use(world: World, volume: int) -> None:
    await world.move(world.flow(), volume)
    await world.settler.settle()


async def test_the_beacon_changes_at_80_percent_and_at_the_end(
    world: World, tmp_path: Path
) -> None:
    hostapd = Hostapd(tmp_path / "wlan0")
    beacon = Beacon(world.desk, tmp_path / "wlan0")
    for volume in (0, 7 * MB, MB, 2 * MB):
        if volume:
            await _use(world, volume)
        await beacon.look()
    hostapd.close()
    elements = [line.split()[-1] for line in hostapd.told if line.startswith("SET ")]
    used = (0, 8 * MB, PLAN_VOLUME)
    assert elements == [element(one, PLAN_VOLUME, metered=True) for one in used]
    assert hostapd.told[1::2] == ["UPDATE_BEACON"] * 3


async def test_a_hostapd_that_is_away_is_told_when_it_comes(world: World, tmp_path: Path) -> None:
    beacon = Beacon(world.desk, tmp_path / "wlan0")
    await beacon.look()
    hostapd = Hostapd(tmp_path / "wlan0")
    await beacon.look()
    hostapd.close()
    assert len(hostapd.told) == 2
