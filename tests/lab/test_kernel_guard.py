"""Rules flushed or changed by another tool: nothing gets through, and they are put back."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lab.lab import Lab, device4, device_mac, server4
from tests.lab.router import SPEC, Router, router, slot
from tests.lab.traffic import UDP4, udp_socket
from tripgate.core.kernelreading import Count
from tripgate.kernel import routes
from tripgate.kernel.nft import NftError
from tripgate.kernel.watch import Watch

CHANGES = {
    "all rules": "flush ruleset",
    "the table": "delete table inet tripgate",
    "a chain's rules": "flush chain inet tripgate forward_up",
    "a rule before ours": "insert rule inet tripgate forward accept",
    "a policy": "chain inet tripgate forward { policy accept; }",
    "a set of devices": "flush map inet tripgate slots",
    "the quotas' map": "flush map inet tripgate grants",
    "a quota": "add quota inet tripgate s2 { until 900 mbytes }",
    "the uplinks": "flush set inet tripgate uplinks",
    "the table of ARP": "delete table arp tripgate",
}


@pytest.fixture
def gateway(lab: Lab) -> Iterator[Router]:
    with router(lab) as made:
        with lab.inside(lab.gateway):
            routes.apply(SPEC.lan)
        yield made


@pytest.fixture
def watch(lab: Lab, gateway: Router) -> Iterator[Watch]:
    with lab.inside(lab.gateway):
        made = Watch()
    yield made
    made.close()


def test_without_rules_nothing_is_routed(lab: Lab, gateway: Router) -> None:
    gateway.open(1)
    gateway.nft("flush ruleset")
    argv = ["ping", "-q", "-c", "10", "-i", "0.01", "-W", "1", server4(1)]
    lab.run(lab.device(1), argv, check=False)
    assert lab.truth(server4(1)).total == 0


def test_without_the_guard_they_would_be(lab: Lab, gateway: Router) -> None:
    """The test above sees what it must: forwarding itself is on."""
    gateway.nft("flush ruleset")
    with lab.inside(lab.gateway):
        routes.remove()
    argv = ["ping", "-q", "-c", "1", "-W", "1", server4(1)]
    lab.run(lab.device(1), argv, check=False)
    assert lab.truth(server4(1)).up > 0


def test_the_guard_lets_devices_reach_the_gateway_itself(lab: Lab, gateway: Router) -> None:
    lab.run(lab.device(1), ["ping", "-q", "-c", "1", "-W", "1", "10.77.0.1"])


def test_open_devices_are_routed(lab: Lab, gateway: Router) -> None:
    gateway.open(1)
    lab.run(lab.device(1), ["ping", "-q", "-c", "1", "-W", "1", server4(1)])


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_anothers_change_is_seen(gateway: Router, watch: Watch, change: str) -> None:
    gateway.open(1)
    watch.changed()
    gateway.nft(change)
    assert (watch.changed(), gateway.table.intact()) == (True, False)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_anothers_change_is_repaired(gateway: Router, change: str) -> None:
    gateway.open(1)
    before = gateway.rules()
    gateway.nft(change)
    with gateway.lab.inside(gateway.lab.gateway):
        gateway.table.repair()
    assert (gateway.rules(), gateway.table.intact()) == (before, True)


def test_own_changes_are_not_anothers(gateway: Router, watch: Watch) -> None:
    gateway.open(1)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(gateway.table.grant, slot(1), 5).result()
        gateway.table.apply(SPEC)
        assert (watch.changed(), gateway.table.intact()) == (False, True)


def test_own_changes_leave_the_generation_known(gateway: Router) -> None:
    gateway.open(1)
    assert gateway.table.intact()
    gateway.table.grant(slot(1), 5)
    gateway.table.apply(SPEC)
    assert gateway.table.unchanged()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_anothers_change_is_another_generation(gateway: Router, change: str) -> None:
    gateway.open(1)
    assert gateway.table.intact()
    gateway.nft(change)
    assert not gateway.table.unchanged()


def test_own_changes_do_not_hide_anothers(gateway: Router) -> None:
    gateway.open(1)
    assert gateway.table.intact()
    gateway.nft(CHANGES["a chain's rules"])
    gateway.table.set_macs(slot(2), [])
    assert not gateway.table.unchanged()


def test_the_kernel_itself_says_what_the_library_says(gateway: Router) -> None:
    gateway.open(1)
    gateway.nft(
        "add element inet tripgate up { 5 counter packets 3 bytes 77 }\n"
        'add element inet tripgate links_down { "wan0" counter packets 3 bytes 77 }\n'
        "add element inet tripgate spent { 5 }\n"
    )
    names = ("up", "links_down", "spent", "grants")
    for name in names:
        kind = "map" if name == "grants" else "set"
        listed = gateway.table.nft.query(f"list {kind} inet tripgate {name}")
        told = next(item[kind] for item in listed if kind in item)["elem"]
        assert len(gateway.table.nft.elements("inet tripgate", name)) == len(told) > 0
    table = gateway.look().table
    assert (table.slots[5].up, table.links["wan0"].down, 5 in table.spent) == (77, 77, True)


def test_a_set_that_is_gone_is_an_error(gateway: Router) -> None:
    gateway.nft("flush ruleset")
    with pytest.raises(NftError, match="No such file"):
        gateway.look()


def test_any_number_of_grants_is_no_change(gateway: Router) -> None:
    for device in (1, 2, 3):
        gateway.open(device)
    assert gateway.table.intact()


async def test_the_watch_wakes_an_event_loop(gateway: Router, watch: Watch) -> None:
    seen = asyncio.Event()
    asyncio.get_running_loop().add_reader(watch.fileno(), seen.set)
    gateway.nft("flush ruleset")
    await asyncio.wait_for(seen.wait(), 2)
    asyncio.get_running_loop().remove_reader(watch.fileno())


def test_a_repair_under_load_lets_nothing_free(lab: Lab, gateway: Router) -> None:
    """Every packet that the carrier saw is in the slot's count of one table or the other."""
    gateway.open(1)
    sent, counted = 200, 0
    sink = udp_socket(lab, lab.server, server4(1), 9)
    with sink, udp_socket(lab, lab.device(1), device4(1)) as client:
        for number in range(sent):
            client.sendto(bytes(100), (server4(1), 9))
            if number == sent // 2:
                counted += gateway.look().table.slots[slot(1)].up
                gateway.nft("flush ruleset")
            elif number == sent * 3 // 4:
                with lab.inside(lab.gateway):
                    gateway.table.repair()
        counted += gateway.look().table.slots.get(slot(1), Count()).up
    truth = lab.truth(server4(1))
    assert truth.up == counted == (sent - sent // 4) * (100 + UDP4)


def test_a_repaired_quota_is_what_was_left(lab: Lab, gateway: Router) -> None:
    packet = 100 + UDP4
    gateway.open(1, forwarded=10 * packet)
    sink = udp_socket(lab, lab.server, server4(1), 9)
    with sink, udp_socket(lab, lab.device(1), device4(1)) as client:
        for number in range(40):
            client.sendto(bytes(100), (server4(1), 9))
            if number == 5:
                gateway.look()
                gateway.nft("flush ruleset")
                with lab.inside(lab.gateway):
                    gateway.table.repair()
    assert lab.truth(server4(1)).up == 10 * packet


def test_a_restart_with_forwarding_on_forwards_nothing(lab: Lab, gateway: Router) -> None:
    gateway.table.set_macs(slot(1), [device_mac(1)])
    with router(lab):
        argv = ["ping", "-q", "-c", "5", "-i", "0.01", "-W", "1", server4(1)]
        lab.run(lab.device(1), argv, check=False)
    assert lab.truth(server4(1)).total == 0
