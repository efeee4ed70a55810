"""The uplink of a running router: what it costs, and the portal behind it."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import WAN4, Lab, server4, wait_until
from tests.lab.product import WEB, Product, curl, product, web
from tripgate.core.uplinks import LOGIN_S, log_in

PORTAL = "10.99.0.1"
NAME = "login.hotel.example"
DNS = server4(9)


@pytest.fixture
def gateway(lab: Lab, tmp_path: Path) -> Iterator[Product]:
    web(lab)
    lab._ip(lab.carrier, f"addr add {PORTAL} dev lo")
    lab.spawn(lab.carrier, [sys.executable, str(WEB), "80"])
    with product(lab, tmp_path) as made:
        made.admit(1, 2)
        yield made


def _log_in(gateway: Product, seconds: int) -> None:
    """As ``uplink login`` did it, but for these last seconds."""
    gateway.edit(lambda book: log_in(book, "phone-1", int(time.time()) - LOGIN_S + seconds))


@pytest.mark.parametrize("address", [PORTAL, f"{WAN4}.1"])
def test_only_the_owners_device_that_logs_in_reaches_the_uplinks_portal(
    lab: Lab, gateway: Product, address: str
) -> None:
    gateway.own(1)
    assert curl(lab, 1, f"http://{address}/1000").stdout.startswith("403")
    assert gateway.json("uplink", "login")["device"] == "phone-1"
    wait_until(lambda: curl(lab, 1, f"http://{address}/1000").stdout == "200 1000", "the portal", 5)
    wait_until(lambda: gateway.reaches(1, address), "a ping of the portal", 5)
    assert curl(lab, 2, f"http://{address}/1000").stdout.startswith("403")
    assert not gateway.reaches(2, address)


def test_the_page_of_a_private_address_names_the_login(lab: Lab, gateway: Product) -> None:
    said = lab.run(lab.device(2), ["curl", "-sg", "-m", "10", f"http://{PORTAL}/"]).stdout
    assert "tripgate uplink login" in said
    assert curl(lab, 2, f"https://{PORTAL}/").stdout.startswith("000")


def test_the_portals_name_may_have_a_private_address_while_somebody_logs_in(
    lab: Lab, tmp_path: Path
) -> None:
    names = ["dnsmasq", "-k", "-C", "/dev/null", "-x", "", "-R", "-h", f"-a{DNS}", "-z"]
    lab.spawn(lab.server, [*names, f"--address=/{NAME}/{PORTAL}"])
    with product(lab, tmp_path, settings=f'[dns]\nservers = ["{DNS}"]\n') as gateway:
        gateway.admit(1)
        gateway.own(1)
        assert _looked_up(lab) == []
        _log_in(gateway, seconds=8)
        wait_until(lambda: _looked_up(lab) == [PORTAL], "the portal's address", 5)
        wait_until(lambda: _looked_up(lab) == [], "no address any more", 15)


def _looked_up(lab: Lab) -> list[str] | None:
    """The addresses in the resolver's answer; ``None``: there is no answer, not even an empty one,
    as while it is started anew."""
    argv = ["dig", "+noall", "+comments", "+answer", "+tries=3", "+time=2", "@10.77.0.1", NAME]
    said = lab.run(lab.device(1), argv, check=False).stdout
    if "status: " not in said:
        return None
    return [line.split()[-1] for line in said.splitlines() if line.startswith(NAME)]


def test_a_login_at_the_uplinks_portal_ends_after_its_time(lab: Lab, gateway: Product) -> None:
    gateway.own(1)
    _log_in(gateway, seconds=8)
    wait_until(lambda: gateway.reaches(1, PORTAL), "a ping of the portal", 5)
    wait_until(lambda: not gateway.reaches(1, PORTAL), "the end of the login", 15)
    assert curl(lab, 1, f"http://{PORTAL}/1000").stdout.startswith("403")
    assert gateway.reaches(1)


def test_an_uplink_that_is_down_is_named_and_comes_again(lab: Lab, gateway: Product) -> None:
    assert gateway.json("uplink", "show")[0]["link"] == "up"
    lab._ip(lab.gateway, "link set wan0 down")
    wait_until(lambda: gateway.json("uplink", "show")[0]["link"] == "down", "a dead uplink", 5)
    assert "wan0 down" in gateway.run("status")
    said = json.loads(gateway.cli("doctor", "--json").stdout)["checks"]
    (one,) = (check for check in said if check["check"] == "uplink")
    assert (one["result"], one["detail"]) == ("fail", "wan0 has no carrier or default route")
    lab._ip(lab.gateway, "link set wan0 up")
    lab._ip(lab.gateway, f"route replace default via {WAN4}.1")
    wait_until(lambda: gateway.json("uplink", "show")[0]["link"] == "up", "the uplink again", 5)


def test_on_an_unmetered_uplink_caps_rest_and_counting_goes_on(lab: Lab, gateway: Product) -> None:
    gateway.run("cap", "set", "phone-1", "1MB/day")
    gateway.run("uplink", "unmetered")
    at = gateway.rest()["phone-1"].total
    assert curl(lab, 1, f"http://{server4(1)}/3000000").stdout == "200 3000000"
    assert gateway.rest()["phone-1"].total == at + lab.truth(server4(1)).total
    (row,) = gateway.json("uplink", "show")
    assert (row["name"], row["active"], row["metered"]) == ("wan0", True, False)
    assert row["down"] > 3_000_000
    gateway.run("uplink", "metered")
    assert curl(lab, 1, f"http://{server4(1)}/3000000").returncode != 0
