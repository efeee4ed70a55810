"""The kernel's neighbour table, live, in a namespace."""

import asyncio
from contextlib import asynccontextmanager
from ipaddress import ip_address

from tests.kernel.conftest import MAC, LanWorld, ip, wait_until
from tripgate.kernel import neighbours
from tripgate.kernel.neighbours import Event, Named, Table, Vanished

V4, V6 = ip_address("10.77.0.9"), ip_address("fd77::9")


@asynccontextmanager
async def following(interface: str = "lan0"):
    seen: list[Event] = []

    async def read() -> None:
        async for event in neighbours.follow(interface):
            seen.append(event)

    task = asyncio.create_task(read())
    await wait_until(lambda: seen)
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def neighbour(address: object, mac: str = MAC, state: str = "reachable") -> None:
    ip("neigh", "replace", str(address), "lladdr", mac, "dev", "lan0", "nud", state)


async def test_first_comes_what_is_there(lan: LanWorld) -> None:
    neighbour(V4)
    neighbour(V6, state="stale")
    async with following() as seen:
        assert isinstance(seen[0], Table)
        assert seen[0].entries.items() >= {V4: MAC, V6: MAC}.items()


async def test_a_stale_entry_is_not_fresh(lan: LanWorld) -> None:
    neighbour(V4)
    neighbour(V6, state="stale")
    async with following() as seen:
        assert isinstance(seen[0], Table)
        assert seen[0].fresh & {V4, V6} == {V4}


async def test_then_each_change_of_either_family(lan: LanWorld) -> None:
    async with following() as seen:
        neighbour(V4)
        neighbour(V6)
        await wait_until(lambda: {Named(V4, MAC), Named(V6, MAC)} <= set(seen[1:]))


async def test_another_mac_of_an_address_is_a_change(lan: LanWorld) -> None:
    async with following() as seen:
        neighbour(V4)
        neighbour(V4, "02:00:00:00:00:c2")
        await wait_until(lambda: Named(V4, "02:00:00:00:00:c2") in seen[1:])


async def test_an_entry_that_is_deleted_has_vanished(lan: LanWorld) -> None:
    neighbour(V4)
    async with following() as seen:
        ip("neigh", "del", str(V4), "dev", "lan0")
        await wait_until(lambda: Vanished(V4) in seen[1:])


async def test_entries_of_other_interfaces_are_not_told(lan: LanWorld) -> None:
    ip("link", "add", "up0", "type", "veth", "peer", "name", "up1")
    ip("link", "set", "up0", "up")
    async with following() as seen:
        ip("neigh", "replace", "10.9.9.9", "lladdr", MAC, "dev", "up0", "nud", "reachable")
        neighbour(V4)
        await wait_until(lambda: Named(V4, MAC) in seen[1:])
        assert Named(ip_address("10.9.9.9"), MAC) not in seen[1:]


async def test_an_interface_that_is_not_there_has_no_neighbours(lan: LanWorld) -> None:
    async with following("wlan9") as seen:
        assert seen == [Table({})]


async def test_the_table_is_read_again_after_a_while(lan: LanWorld, monkeypatch) -> None:
    monkeypatch.setattr(neighbours, "AGAIN_S", 0.05)
    async with following() as seen:
        await wait_until(lambda: sum(isinstance(event, Table) for event in seen) > 1)
