"""Plans and uplinks on the real gateway: sessions are rounded up, each uplink has its own plan."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import WAN4, Lab, server4, wait_until
from tests.lab.product import Product, curl, product, web
from tripgate.doors import LOOK_S

STEP = 1_000_000
KB = 1000
SECOND = "10.55.0"
"""The network of a second uplink, of an interface ``wan1``."""


@pytest.fixture
def gateway(lab: Lab, tmp_path: Path) -> Iterator[Product]:
    web(lab)
    with product(lab, tmp_path) as made:
        made.admit(1)
        yield made


def get(lab: Lab, volume: int) -> None:
    assert curl(lab, 1, f"http://{server4(1)}/{volume}").stdout == f"200 {volume}"


def used(gateway: Product, *uplink: str) -> int:
    gateway.rest()
    found: int = gateway.json("plan", "show", *uplink)["used"]
    return found


def flap(lab: Lab, gateway: Product) -> None:
    lab._ip(lab.gateway, "link set wan0 down")
    lab._ip(lab.gateway, "link set wan0 up")
    lab._ip(lab.gateway, f"route add default via {WAN4}.1")
    wait_until(lambda: gateway.reaches(1), "the uplink is back", 20)
    time.sleep(2 * LOOK_S)  # what moves before the gateway has looked is of the session before


def test_a_session_lasts_as_long_as_the_uplink_whatever_the_gateway_does(
    lab: Lab, gateway: Product
) -> None:
    gateway.run("plan", "set", "--volume", "100MB", "--step", f"{STEP}B", "--start", "now")
    get(lab, 100 * KB)
    assert used(gateway) == STEP
    gateway.kill()
    gateway.start()
    get(lab, 100 * KB)
    assert used(gateway) == STEP
    assert gateway.stop() == 0
    gateway.start()
    get(lab, 100 * KB)
    assert used(gateway) == STEP
    flap(lab, gateway)
    get(lab, 100 * KB)
    assert used(gateway) == 2 * STEP
    get(lab, STEP)
    assert used(gateway) == 3 * STEP


def second_uplink(lab: Lab) -> None:
    lab._link(lab.gateway, "wan1", lab.carrier, "up1")
    lab._address(lab.gateway, "wan1", f"{SECOND}.2/24")
    lab._address(lab.carrier, "up1", f"{SECOND}.1/24")


def prefer(lab: Lab, metric: int) -> None:
    """Route by the second uplink, or (a large ``metric``) by the first."""
    lab._ip(lab.gateway, f"route replace default via {WAN4}.1 dev wan0 metric 100")
    lab.run(lab.gateway, ["ip", "route", "del", "default", "metric", "0"], check=False)
    for other in {50, 500} - {metric}:
        words = ["ip", "route", "del", "default", "metric", str(other)]
        lab.run(lab.gateway, words, check=False)
    lab._ip(lab.gateway, f"route replace default via {SECOND}.1 dev wan1 metric {metric}")


def test_each_uplink_has_its_plan_and_none_takes_the_others_bytes(lab: Lab, tmp_path: Path) -> None:
    web(lab)
    second_uplink(lab)
    prefer(lab, 500)
    with product(lab, tmp_path, "--uplink", "wan0,wan1") as gateway:
        gateway.admit(1)
        gateway.run("plan", "set", "--volume", "100MB", "--start", "now")
        gateway.run("plan", "set", "--volume", "500kB", "--uplink", "wan1")
        get(lab, 300 * KB)
        first = used(gateway)
        assert first > 300 * KB
        assert used(gateway, "--uplink", "wan1") == 0
        prefer(lab, 50)
        wait_until(lambda: _active(gateway) == "wan1", "the second uplink", 10)
        assert curl(lab, 1, f"http://{server4(1)}/{900 * KB}").stdout != f"200 {900 * KB}"
        assert 450 * KB < used(gateway, "--uplink", "wan1") <= 500 * KB + 64 * 1024
        moved = used(gateway)
        prefer(lab, 500)
        wait_until(lambda: _active(gateway) == "wan0", "the first uplink", 10)
        wait_until(lambda: gateway.reaches(1), "device 1 gets through again", 20)
        get(lab, 300 * KB)
        assert used(gateway) >= moved + 300 * KB
        assert moved - first < 20 * KB, "what moved while the gateway did not know"


def _active(gateway: Product) -> str:
    rows = gateway.json("uplink", "show")
    name: str = rows[0]["name"]
    return name
