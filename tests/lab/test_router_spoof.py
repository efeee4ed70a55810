"""A guest takes the address of a phone that is away: neither its data nor its page is to be had."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab, device4, device_mac, needs_lab, server4, wait_until
from tests.lab.product import Product, curl, product, web

PHONE, GUEST = 1, 2


@pytest.fixture
def lab() -> Iterator[Lab]:
    needs_lab()
    with Lab(devices=2, prefix="tgv") as made:
        yield made


@pytest.fixture
def gateway(lab: Lab, tmp_path: Path) -> Iterator[Product]:
    """The phone has its address by a lease; it is away, and the guest has put it on."""
    web(lab)
    with product(lab, tmp_path) as made:
        made.admit(PHONE)
        made.meet(GUEST)
        with (made.state / "dhcp.leases").open("a") as leases:
            until = int(time.time()) + 3600
            leases.write(f"{until} {device_mac(PHONE)} {device4(PHONE)} phone *\n")
        _follows(made)
        lab.run(lab.device(PHONE), ["ip", "link", "set", "eth0", "down"])
        lab.run(lab.device(GUEST), ["ip", "addr", "add", f"{device4(PHONE)}/24", "dev", "eth0"])
        lab.run(lab.gateway, ["ip", "neigh", "flush", "dev", "lan0"])
        hello = ["ping", "-q", "-c", "1", "-W", "1", "-I", device4(PHONE), "10.77.0.1"]
        lab.run(lab.device(GUEST), hello, check=False)
        named = ["ip", "neigh", "show", device4(PHONE), "dev", "lan0"]
        wait_until(lambda: device_mac(GUEST) in lab.run(lab.gateway, named).stdout, "the spoof")
        # The second, where the lease file was not read before: the guest's alone, for a moment.
        seen = (f"two devices claim {device4(PHONE)}", f"{device4(PHONE)} moved")
        wait_until(lambda: any(one in made.said() for one in seen), "the gateway sees it")
        yield made


def _follows(gateway: Product) -> None:
    """The lease counts: the phone keeps its address though it has just fallen silent."""

    def leased() -> bool:
        rows = gateway.json("device", "list")
        return any(row["name"] == "phone-1" and row["ip"] == device4(PHONE) for row in rows)

    wait_until(leased, "the lease")


def _as_phone(lab: Lab, url: str) -> str:
    return curl(lab, GUEST, url, "--interface", device4(PHONE), seconds=3).stdout


def test_a_guest_at_the_phones_address_gets_no_byte(lab: Lab, gateway: Product) -> None:
    before = lab.truth(server4(1))
    assert not _as_phone(lab, f"http://{server4(1)}/100000").startswith("200")
    argv = ["ping", "-q", "-c", "1", "-W", "1", "-I", device4(PHONE), server4(1)]
    assert lab.run(lab.device(GUEST), argv, check=False).returncode
    assert lab.truth(server4(1)) == before


def test_a_guest_at_the_phones_address_does_not_see_its_page(lab: Lab, gateway: Product) -> None:
    argv = ["curl", "-sL", "-m", "5", "--interface", device4(PHONE), "http://10.77.0.1/"]
    assert "phone-1" not in lab.run(lab.device(GUEST), argv, check=False).stdout
