"""The ledger is down when the router starts: DHCP is up, nothing passes, it goes on by itself."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab, server4, wait_until
from tests.lab.product import Product, product


@pytest.fixture
def server_socket(tmp_path: Path) -> Path:
    return tmp_path / "redis.sock"


@pytest.fixture
def gateway(lab: Lab, tmp_path: Path, server_socket: Path) -> Iterator[Product]:
    """A gateway that waits for a Redis that is not there."""
    with product(lab, tmp_path, "--redis", f"unix://{server_socket}", start=False) as made:
        made.spawn()
        wait_until(lambda: "the ledger is down" in made.said(), "the reason", 20)
        yield made


def test_it_serves_addresses_and_lets_nothing_pass(lab: Lab, gateway: Product) -> None:
    lab.wait_udp(lab.gateway, 67)
    assert not gateway.reaches(1, server4(1))
    assert lab.truth(server4(1)).total == 0


def test_it_goes_on_when_the_ledger_comes(lab: Lab, gateway: Product, server_socket: Path) -> None:
    options = ["--port", "0", "--unixsocket", str(server_socket), "--save", "", "--appendonly"]
    folder = str(server_socket.parent)
    server = lab.spawn(
        lab.gateway, ["redis-server", *options, "no", "--dir", folder], stdout=subprocess.DEVNULL
    )
    wait_until(lambda: "tripgate is running" in gateway.said(), "the start", 20)
    assert server.poll() is None


def test_it_is_stopped_cleanly_while_it_waits(lab: Lab, gateway: Product) -> None:
    assert gateway.stop() == 0
    assert lab.run(lab.gateway, ["nft", "list", "ruleset"]).stdout == ""
