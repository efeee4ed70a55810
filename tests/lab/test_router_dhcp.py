"""A device that ran a DHCP client: the portal before approval, the internet after it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab, device_mac, needs_lab, server4, server6, wait_until
from tests.lab.product import Product, curl, product, web
from tests.running import ADDONS

DNS = server4(16)
SITE = "site.example"
SITE4, SITE6 = "11.0.2.7", "2a0b::7"  # dnsmasq takes the networks of RFC 5737 for private
SETTINGS = f'[dns]\nservers = ["{DNS}"]\n'
ACCEPT = """\
#!/bin/sh
case $reason in
BOUND|RENEW|REBOOT)
    ip addr replace "$new_ip_address/24" dev "$interface"
    ip route replace default via "$new_routers"
    ;;
esac
"""
CONF = """\
option captive-portal code 114 = text;
request subnet-mask, routers, domain-name-servers;
"""


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A device without addresses."""
    needs_lab()
    with Lab(devices=1, configure_devices=False) as made:
        yield made


@pytest.fixture
def leases(lab: Lab, tmp_path: Path) -> Path:
    """The lease file of the device's DHCP client."""
    return tmp_path / "dhclient.leases"


@pytest.fixture
def gateway(lab: Lab, leases: Path, tmp_path: Path) -> Iterator[Product]:
    web(lab)
    answers = [f"--address=/{SITE}/{address}" for address in (SITE4, SITE6)]
    names = ["dnsmasq", "-k", "-C", "/dev/null", "-x", "", "-R", "-h", f"-a{DNS}", "-z", *answers]
    lab.spawn(lab.server, names)
    lab.sysctl(lab.device(1), "ipv6/conf/all/router_solicitations", "3")
    lab.sysctl(lab.device(1), "ipv6/conf/eth0/router_solicitations", "3")
    with product(lab, tmp_path, settings=SETTINGS) as made:
        _dhclient(lab, leases, tmp_path)
        made.names[1] = _only_device(made)
        yield made


def _dhclient(lab: Lab, leases: Path, folder: Path) -> None:
    script = folder / "accept.sh"
    script.write_text(ACCEPT)
    script.chmod(0o755)
    (folder / "dhclient.conf").write_text(CONF)
    leases.touch()
    files = ["-cf", str(folder / "dhclient.conf"), "-lf", str(leases)]
    files += ["-pf", str(folder / "dhclient.pid"), "-sf", str(script)]
    lab.spawn(lab.device(1), ["dhclient", "-4", "-d", *files, "eth0"])
    wait_until(lambda: "fixed-address" in leases.read_text(), "a lease", 20)


def _only_device(gateway: Product) -> str:
    found: list[str] = []

    def known() -> bool:
        rows = gateway.json("device", "list")
        found[:] = [row["name"] for row in rows if row["mac"] == device_mac(1)]
        return bool(found)

    wait_until(known, "the device is in the book")
    return found[0]


def _resolve(lab: Lab, name: str, kind: str = "A") -> str:
    argv = ["dig", "+short", "+tries=1", "+time=2", "@10.77.0.1", name, kind]
    return lab.run(lab.device(1), argv, check=False).stdout.strip()


def test_a_pending_device_gets_the_portal_and_nothing_else(lab: Lab, gateway: Product) -> None:
    before = lab.wire().total
    assert _resolve(lab, SITE) == "10.77.0.1"
    assert curl(lab, 1, f"http://{server4(1)}/10").stdout.startswith("511")
    assert not gateway.reaches(1)
    shown = lab.run(lab.device(1), ["curl", "-sL", "-m", "5", "http://10.77.0.1/"]).stdout
    assert "<html" in shown
    check = ["--resolve", "captive.apple.com:80:10.77.0.1"]
    assert curl(lab, 1, "http://captive.apple.com/", *check).stdout.startswith("302")
    assert lab.truth(server4(1)).total == 0
    assert lab.wire().total - before < 1000  # the box's own neighbour discovery


def test_approval_opens_names_and_both_families(lab: Lab, gateway: Product) -> None:
    gateway.run("device", "approve", gateway.names[1])
    wait_until(lambda: _resolve(lab, SITE) == SITE4, "the name", 3)
    where = ["--resolve", f"{SITE}:80:{server4(1)}"]
    assert curl(lab, 1, f"http://{SITE}/1000", *where).stdout == "200 1000"
    assert _resolve(lab, SITE, "AAAA") == SITE6
    wait_until(lambda: curl(lab, 1, f"http://[{server6(1)}]/9").stdout == "200 9", "IPv6", 20)


def test_the_dhcp_answer_says_metered_and_where_the_portal_is(
    leases: Path, gateway: Product
) -> None:
    told = leases.read_text()
    assert 'captive-portal "http://10.77.0.1/captive-api"' in told
    hexadecimal = b"ANDROID_METERED".hex(":")
    assert "ANDROID_METERED" in told or hexadecimal in told.replace(":0", ":")


def _machine(lab: Lab) -> str:
    """Everything that a gateway changes."""
    show = "nft list ruleset; ip rule; ip -6 rule; ip route show table all; ip -6 route show"
    show += " table all; ip -o addr | sed 's/valid_lft.*//'; ip -d link | grep -o 'gso_max_segs"
    show += " [0-9]*'; ethtool -k wan0; sysctl -a 2>/dev/null | grep -E 'forwarding|accept_ra |"
    show += "accept_redirects|ip_forward '"
    return lab.run(lab.gateway, ["sh", "-c", show]).stdout


@pytest.fixture
def before(lab: Lab) -> str:
    """The machine before a gateway was there, with a LAN that has no address of its own."""
    lab.run(lab.gateway, ["ip", "addr", "del", "10.77.0.1/24", "dev", "lan0"])
    lab.run(lab.gateway, ["ip", "link", "set", "wan0", "gso_max_segs", "64"])
    lab.run(lab.gateway, ["ethtool", "-K", "wan0", "gro", "on"])
    return _machine(lab)


def test_a_clean_stop_puts_everything_back(lab: Lab, tmp_path: Path, before: str) -> None:
    with product(lab, tmp_path) as gateway:
        assert _machine(lab) != before
        assert gateway.stop() == 0
    assert _machine(lab) == before


def test_so_does_a_clean_stop_after_a_crash(lab: Lab, tmp_path: Path, before: str) -> None:
    with product(lab, tmp_path) as gateway:
        gateway.kill()
        gateway.start()
        assert gateway.stop() == 0
    assert _machine(lab) == before


def test_router_remove_after_a_crash_puts_everything_back(
    lab: Lab, tmp_path: Path, before: str
) -> None:
    with product(lab, tmp_path) as gateway:
        gateway.kill()
        command = [sys.executable, "-m", "tripgate", "router", "remove"]
        env = ["env", f"PYTHONPATH={ADDONS}"]
        lab.run(lab.gateway, [*env, *command, "--state", str(gateway.state)])
    assert _machine(lab) == before


def test_a_start_with_forwarding_on_frees_no_packet(lab: Lab, tmp_path: Path) -> None:
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        lab.sysctl(lab.gateway, name, "1")
    with product(lab, tmp_path, start=False) as gateway:
        gateway.start()
        gateway.kill()
        lab.run(lab.device(1), ["ip", "addr", "add", "10.77.0.101/24", "dev", "eth0"])
        lab.run(lab.device(1), ["ip", "route", "add", "default", "via", "10.77.0.1"])
        lab.spawn(lab.device(1), ["ping", "-i", "0.01", server4(1)])
        gateway.start()
        assert lab.truth(server4(1)).total == 0
