"""Devices at a running gateway: blocked, come back with another address, with another MAC."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab, device4, server4, wait_until
from tests.lab.product import Product, curl, product, web
from tests.lab.traffic import udp_socket


@pytest.fixture
def gateway(lab: Lab, tmp_path: Path) -> Iterator[Product]:
    web(lab)
    with product(lab, tmp_path) as made:
        made.admit(1)
        yield made


def _download(lab: Lab, gateway: Product) -> "subprocess.Popen[str]":
    """A slow one of device 1, under way."""
    lab.rate(lab.server, "eth0", "20mbit")
    url = f"http://{server4(1)}/90000000"
    job = lab.spawn(lab.device(1), ["curl", "-sfo", "/dev/null", url])
    at = lab.truth(server4(1)).total
    wait_until(lambda: lab.truth(server4(1)).total > at + 500_000, "a download", 20)
    return job


def test_a_blocked_device_is_cut_at_once(lab: Lab, gateway: Product) -> None:
    job = _download(lab, gateway)
    gateway.run("device", "block", "phone-1")
    assert job.wait(5) != 0
    wait_until(lambda: not gateway.reaches(1, server4(1)), "its packets are dropped", 5)


def test_a_forgotten_device_is_cut_and_pending_again(lab: Lab, gateway: Product) -> None:
    job = _download(lab, gateway)
    gateway.run("device", "forget", "phone-1")
    assert job.wait(5) != 0
    gateway.meet(1)
    assert gateway.json("device", "list")[0]["state"] == "pending"


def test_an_address_that_moves_cuts_what_its_old_owner_had_open(lab: Lab, gateway: Product) -> None:
    job = _download(lab, gateway)
    take = f"ip addr add {device4(1)}/24 dev eth0; ping -c 3 -W 1 -I {device4(1)} 10.77.0.1"
    lab.run(lab.device(1), ["ip", "link", "set", "eth0", "down"])
    lab.run(lab.device(2), ["sh", "-c", take], check=False)
    wait_until(lambda: gateway.json("status")["flows"] == 0, "its flows are cut", 10)
    job.kill()


def _kept(lab: Lab) -> str:
    """What the kernel keeps of forwarded connections of device 1's address."""
    return lab.run(lab.gateway, ["conntrack", "-L", "-p", "udp", "-s", device4(1)]).stdout


def _forwarded(lab: Lab) -> None:
    """A datagram of device 1 went out; its connection is kept."""
    with udp_socket(lab, lab.device(1), device4(1)) as client:
        client.sendto(b"hello", (server4(1), 7))
    wait_until(lambda: "dport=7" in _kept(lab), "a connection")


def test_an_address_that_moves_leaves_its_connections_behind(lab: Lab, gateway: Product) -> None:
    _forwarded(lab)
    lab.run(lab.device(1), ["ip", "link", "set", "eth0", "down"])
    take = f"ip addr add {device4(1)}/24 dev eth0; ping -c 3 -W 1 -I {device4(1)} 10.77.0.1"
    lab.run(lab.device(2), ["sh", "-c", take], check=False)
    wait_until(lambda: "dport=7" not in _kept(lab), "nothing of the old owner is kept", 10)


def test_a_forgotten_device_leaves_no_connection(lab: Lab, gateway: Product) -> None:
    _forwarded(lab)
    gateway.run("device", "forget", "phone-1")
    wait_until(lambda: "dport=7" not in _kept(lab), "nothing of it is kept", 10)


def test_several_addresses_are_one_device(lab: Lab, gateway: Product) -> None:
    lab.run(lab.device(1), ["ip", "addr", "add", "10.77.0.201/24", "dev", "eth0"])
    # A connection may overtake the news of its address; the ping does not.
    lab.run(lab.device(1), ["ping", "-qc2", "-W1", "-I", "10.77.0.201", "10.77.0.1"])
    at = lab.truth(server4(1))
    more = ["--interface", "10.77.0.201"]
    got = curl(lab, 1, f"http://{server4(1)}/100000", *more).stdout
    assert got == "200 100000"
    used = gateway.rest()["phone-1"].total
    assert used == (lab.truth(server4(1)) - at).total + 2 * 84


def test_a_phone_that_comes_back_with_a_new_mac_keeps_its_counts(
    lab: Lab, gateway: Product
) -> None:
    assert curl(lab, 1, f"http://{server4(1)}/100000").returncode == 0
    used = gateway.rest()["phone-1"].total
    lab.run(lab.device(1), ["ip", "link", "set", "eth0", "address", "02:77:00:00:aa:01"])
    lab.run(lab.device(1), ["ip", "route", "add", "default", "via", "10.77.0.1"], check=False)
    lab.run(lab.device(1), ["ping", "-qc1", "-W1", "10.77.0.1"], check=False)
    wait_until(lambda: len(gateway.json("device", "list")) == 2, "the new MAC is met")
    new = next(row["name"] for row in gateway.json("device", "list") if row["name"] != "phone-1")
    assert not gateway.reaches(1)
    gateway.run("device", "merge", "phone-1", new)
    wait_until(lambda: gateway.reaches(1), "it gets through", 5)
    assert gateway.rest()["phone-1"].total == used + 2 * 84


def test_a_gateway_without_an_uplink_goes_on_when_it_comes(lab: Lab, tmp_path: Path) -> None:
    lab.run(lab.gateway, ["ip", "link", "set", "wan0", "down"])
    with product(lab, tmp_path, "--uplink", "auto") as made:
        made.meet(1)
        made.run("device", "approve", "phone-1")
        assert not made.reaches(1)
        lab.run(lab.gateway, ["ip", "link", "set", "wan0", "up"])
        lab.run(lab.gateway, ["ip", "route", "replace", "default", "via", "100.64.0.1"])
        wait_until(lambda: made.reaches(1), "the uplink is taken", 10)
