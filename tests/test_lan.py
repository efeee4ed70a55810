"""Who is on the LAN: what ends when an address is in dispute, and whose connections count together.

Book, desk and presence are the real ones; the kernel's maps only remember what they were told.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.proxy.desk_world import World
from tripgate.core import book
from tripgate.core.address import IPAddress
from tripgate.core.leasefile import DhcpLease
from tripgate.core.model import DeviceState
from tripgate.core.presence import Presence
from tripgate.core.routerspec import Station
from tripgate.ending import end_all
from tripgate.lan import Lan
from tripgate.proxy.enrol import Enroller

PHONE, GUEST, OTHER = (f"06:00:00:00:00:0{digit}" for digit in "abc")
V4, GUEST4, OTHER4 = (ip_address(f"10.77.0.{number}") for number in (5, 6, 7))


class Maps:
    """The kernel's maps."""

    def set_devices(self, stations: Mapping[int, Station], owned: bool) -> None:
        self.stations = stations


class LanWorld:
    """An approved phone with a leased address, and two guests who wait for approval."""

    def __init__(self, lan: Lan, cut: list[IPAddress], desks: World) -> None:
        self.lan, self.cut, self._desks = lan, cut, desks

    async def entered(self, mac: str) -> bool:
        """Whether ``mac`` is a device of the book, once all that wait are entered."""
        self.lan.follow()
        entering = asyncio.ensure_future(self.lan.enrol())
        await asyncio.sleep(0.05)
        await end_all([entering])
        return book.device_by_identity(self._desks.desk.book, f"mac:{mac}") is not None

    def hears(self, address: IPAddress, mac: str) -> None:
        """The neighbour table names ``mac`` for ``address``."""
        self.lan.take(self.lan.presence.neighbour(address, mac, 1.0))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[LanWorld]:
    desks = await World().open(tmp_path)
    for number, (mac, state) in enumerate(
        ((PHONE, DeviceState.APPROVED), (GUEST, DeviceState.PENDING), (OTHER, DeviceState.PENDING))
    ):
        await desks.edit(
            lambda now, mac=mac, state=state, number=number: book.add_device(  # type: ignore[misc]
                now, f"mac:{mac}", 0, entropy=f"0000000{number}", state=state, mac=mac
            )[0]
        )
    cut: list[IPAddress] = []
    enroller = Enroller(desks.desk, desks.clock)
    lan = Lan(desks.desk, enroller, Maps(), cut.append, Presence())
    lan.take(lan.presence.leases({V4: DhcpLease(PHONE, V4, None)}, 0.0))
    made = LanWorld(lan, cut, desks)
    for address, mac in ((V4, PHONE), (GUEST4, GUEST), (OTHER4, OTHER)):
        made.hears(address, mac)
    cut.clear()
    yield made
    await desks.journal.aclose()


async def test_an_address_that_another_mac_answers_for_is_no_devices(world: LanWorld) -> None:
    assert world.lan.device_at(V4)
    world.hears(V4, GUEST)
    assert world.lan.device_at(V4) is None
    assert world.lan.identity_at(str(V4)) is None


async def test_flows_at_an_address_in_dispute_are_cut(world: LanWorld) -> None:
    world.hears(V4, GUEST)
    assert world.cut == [V4]


async def test_flows_at_an_address_that_nobody_has_any_more_are_cut(world: LanWorld) -> None:
    world.lan.take(world.lan.presence.neighbour_gone(GUEST4, 2.0))
    assert world.cut == [GUEST4]


async def test_a_device_that_is_let_in_has_a_limit_of_its_own(world: LanWorld) -> None:
    assert world.lan.crowd_of(str(V4)) not in ("", world.lan.crowd_of(str(GUEST4)))


@pytest.mark.parametrize("address", [GUEST4, OTHER4, ip_address("10.77.0.99")])
async def test_those_who_are_not_let_in_are_one_crowd(world: LanWorld, address: IPAddress) -> None:
    assert world.lan.crowd_of(str(address)) == ""


@pytest.mark.parametrize("address", ["10.77.0.9", "fd77::9", "2001:db8::9"])
async def test_a_switch_with_a_link_local_address_is_a_device_once_it_has_another(
    world: LanWorld, address: str
) -> None:
    switch = "06:00:00:00:00:0d"
    for alone in ("fe80::d", "169.254.3.4"):
        world.hears(ip_address(alone), switch)
    assert not await world.entered(switch)
    world.hears(ip_address(address), switch)
    assert await world.entered(switch)
