"""The beacon follows the plan. hostapd is played here, or is itself there without a radio."""

import asyncio
import contextlib
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.lab.lab import wait_until
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


@contextlib.contextmanager
def _real_hostapd(folder: Path) -> Iterator[Path]:
    """hostapd itself, with no radio; where it writes what it was told."""
    conf, said = folder / "hostapd.conf", folder / "said"
    conf.write_text(f"interface=wlan0\ndriver=none\nctrl_interface={folder}/control\n")
    with said.open("w") as out:
        process = subprocess.Popen(["hostapd", "-d", str(conf)], stdout=out, stderr=out)
    try:
        wait_until((folder / "control/wlan0").exists, "hostapd's control socket")
        yield said
    finally:
        process.terminate()
        process.wait(5)


@pytest.mark.skipif(not shutil.which("hostapd"), reason="hostapd is not installed")
async def test_hostapd_itself_takes_the_elements_at_80_percent_and_at_the_end(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "tripgate.beacon")
    with _real_hostapd(tmp_path) as said:
        beacon = Beacon(world.desk, tmp_path / "control/wlan0")
        for volume in (0, 8 * MB, 2 * MB):
            if volume:
                await _use(world, volume)
            await beacon.look()
        told = re.findall(r"SET 'vendor_elements'='([0-9a-f]+)'", said.read_text())
    assert told == [element(used, PLAN_VOLUME, metered=True) for used in (0, 8 * MB, PLAN_VOLUME)]
    assert not caplog.records  # each SET and UPDATE_BEACON was answered with OK
