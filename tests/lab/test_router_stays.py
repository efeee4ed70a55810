"""The gateway's rules are flushed, its process is killed, its uplink vanishes: no byte is free."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import WAN4, WAN6, Lab, server4, server6, wait_until
from tests.lab.product import Product, product, web
from tests.lab.truth import Bytes

REPAIR_S = 2.0
PERMILLE = 1000
MET = Bytes(84, 84)
"""The ping that a device was admitted with went elsewhere."""


@pytest.fixture
def gateway(lab: Lab, tmp_path: Path) -> Iterator[Product]:
    web(lab)
    with product(lab, tmp_path) as made:
        made.admit(1, 2)
        yield made


@pytest.fixture
def load(lab: Lab, gateway: Product) -> list["subprocess.Popen[str]"]:
    """Device 1 downloads and pings for as long as it takes, device 2 pings; in both families."""
    lab.rate(lab.server, "eth0", "30mbit")
    get = 'while :; do curl -s -g -m 5 -o /dev/null "$0"; sleep 0.1; done'
    loading = [
        lab.spawn(lab.device(1), ["sh", "-c", get, f"http://{host}/90000000"])
        for host in (server4(1), f"[{server6(1)}]")
    ]
    pinging = [
        lab.spawn(lab.device(number), ["ping", "-i", "0.02", server(number)])
        for number in (1, 2)
        for server in (server4, server6)
    ]
    return [*loading, *pinging]


def _end(load: list["subprocess.Popen[str]"]) -> None:
    for one in load:
        one.send_signal(signal.SIGKILL)
        one.wait()


def _flowing(lab: Lab) -> None:
    for address in (server4(1), server6(1)):
        enough = lab.truth(address).total + 1_000_000
        wait_until(lambda: lab.truth(address).total > enough, "traffic", 20)  # noqa: B023 - at once


def _truth(lab: Lab, number: int) -> Bytes:
    """What a device has moved, the ping it was admitted with included."""
    return lab.truth(server4(number)) + lab.truth(server6(number)) + MET


def _all_is_counted(lab: Lab, gateway: Product) -> None:
    """Each device's use is the carrier's truth."""
    used = gateway.rest()
    assert [used[f"phone-{n}"] for n in (1, 2)] == [_truth(lab, n) for n in (1, 2)]


def test_flushed_rules_let_nothing_through_and_come_back(
    lab: Lab, gateway: Product, load: list["subprocess.Popen[str]"]
) -> None:
    _flowing(lab)
    lab.run(lab.gateway, ["nft", "flush", "ruleset"])
    wait_until(lambda: gateway.reaches(2), "the rules are back", REPAIR_S)
    _flowing(lab)
    _end(load)
    used = gateway.rest()
    truths = [_truth(lab, number) for number in (1, 2)]
    assert sum(one.total for one in used.values()) >= sum(one.total for one in truths)
    # Pings since the last reading went with the rules; of the download the relay knows.
    assert used["phone-2"].total <= truths[1].total
    off = truths[0].total - used["phone-1"].total
    assert abs(off) * PERMILLE <= truths[0].total, (used, truths)


def test_a_stop_with_system_services_leaves_rules_and_guard(lab: Lab, tmp_path: Path) -> None:
    web(lab)
    with product(lab, tmp_path, "--services", "system") as gateway:
        gateway.admit(1)
        assert gateway.stop() == 0
        assert "table inet tripgate" in lab.run(lab.gateway, ["nft", "list", "tables"]).stdout
        assert "1072:" in lab.run(lab.gateway, ["ip", "rule"]).stdout
        assert lab.sysctl(lab.gateway, "ipv4/ip_forward") == "1"
        before = lab.truth(server4(1))
        assert not gateway.reaches(1, server4(1))
        assert lab.truth(server4(1)) == before


def test_deleted_routing_rules_come_back(lab: Lab, gateway: Product) -> None:
    before = lab.run(lab.gateway, ["ip", "rule"]).stdout
    for priority in ("1070", "1071", "1072"):
        lab.run(lab.gateway, ["ip", "rule", "del", "priority", priority])
    wait_until(lambda: lab.run(lab.gateway, ["ip", "rule"]).stdout == before, "the rules", 5)


def test_a_killed_gateway_frees_nothing_and_forgets_nothing(
    lab: Lab, gateway: Product, load: list["subprocess.Popen[str]"]
) -> None:
    _flowing(lab)
    gateway.kill()
    time.sleep(1)
    gateway.start()
    _flowing(lab)
    _end(load)
    _all_is_counted(lab, gateway)


def test_the_ledgers_server_is_killed_under_load(
    lab: Lab, gateway: Product, load: list["subprocess.Popen[str]"]
) -> None:
    _flowing(lab)
    pid = int((gateway.state / "redis" / "valkey.pid").read_text())
    lab.run(lab.gateway, ["kill", "-9", str(pid)])
    wait_until(lambda: gateway.json("status")["ledger"] == "up", "the ledger", 10)
    _flowing(lab)
    _end(load)
    _all_is_counted(lab, gateway)


@pytest.mark.parametrize("returns", [3, pytest.param(50, marks=pytest.mark.slow)])
@pytest.mark.timeout(600)
def test_an_uplink_that_comes_and_goes_is_counted_once(
    lab: Lab, gateway: Product, load: list["subprocess.Popen[str]"], returns: int
) -> None:
    for _ in range(returns):
        _flowing(lab)
        lab.run(lab.gateway, ["ip", "link", "delete", "wan0"])
        _cable(lab)
    _flowing(lab)
    _end(load)
    used = gateway.rest()
    uplink = gateway.json("status")["uplink"]
    whole = sum(one.total for one in used.values())
    assert abs(uplink["up"] + uplink["down"] - whole) * 400 <= whole
    for number in (1, 2):
        truth = _truth(lab, number)
        # What was on the wire when it was cut is the carrier's count alone.
        assert abs(used[f"phone-{number}"].total - truth.total) * 400 <= truth.total


def _cable(lab: Lab) -> None:
    """The modem is plugged in again: the same name, new counters."""
    lab._link(lab.gateway, "wan0", lab.carrier, "up0")
    lab._address(lab.gateway, "wan0", f"{WAN4}.2/24", f"{WAN6}:2/64")
    lab._address(lab.carrier, "up0", f"{WAN4}.1/24", f"{WAN6}:1/64")
    lab._routes(lab.gateway, f"{WAN4}.1", f"{WAN6}:1")
