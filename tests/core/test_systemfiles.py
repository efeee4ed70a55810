"""The files of the router as system services."""

import re
from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from tripgate.core.dnsmasqconf import Lan, Resolver
from tripgate.core.hostapdconf import AccessPoint
from tripgate.core.systemfiles import (
    CAPTIVE_UNIT,
    EVERY_PATH,
    GATEWAY_UNIT,
    HOSTAPD_CONF,
    HOSTAPD_UNIT,
    NETWORK_MANAGER,
    PSK_FILE,
    RESOLVER_UNIT,
    SYSCTL,
    Router,
    files,
    is_ours,
)
from tripgate.core.unboundconf import TlsServer

KEY = "correct horse"
WLAN = Lan("wlan0", IPv4Interface("10.77.0.1/24"))
POINT = AccessPoint("wlan0", "Van", "DE", "/run/h", "/etc/tripgate/hostapd.psk", key=KEY)
ROUTER = Router(
    ("/opt/tripgate", "up"),
    "/var/lib/tripgate",
    Resolver(WLAN, "/var/lib/tripgate/leases"),
    5354,
    ("usb0", "eth0.7"),
    POINT,
    (TlsServer("9.9.9.9", "dns.quad9.net"),),
)
FOUND = {file.path: file for file in files(ROUTER)}


def test_everything_that_may_be_written_is_known_to_remove() -> None:
    assert set(FOUND) == set(EVERY_PATH)


@pytest.mark.parametrize("path", EVERY_PATH)
def test_each_file_names_its_maker(path: str) -> None:
    assert is_ours(FOUND[path].text)


def test_keys_are_in_files_that_root_alone_reads() -> None:
    holding = {file.path for file in FOUND.values() if KEY in file.text}
    assert holding == {HOSTAPD_CONF}
    assert FOUND[HOSTAPD_CONF].mode == FOUND[PSK_FILE].mode == 0o600


def test_no_file_turns_forwarding_on() -> None:
    named = [
        file.path for file in FOUND.values() if re.search(r"ip_forward|\.forwarding", file.text)
    ]
    assert named == []


def test_a_router_s_uplinks_go_on_taking_advertisements() -> None:
    assert "-net/ipv6/conf/eth0.7/accept_ra = 2\n" in FOUND[SYSCTL].text


def test_network_manager_leaves_the_lan_alone() -> None:
    assert "unmanaged-devices=interface-name:wlan0\n" in FOUND[NETWORK_MANAGER].text


def test_without_a_hotspot_there_is_no_hostapd() -> None:
    paths = {file.path for file in files(replace(ROUTER, point=None))}
    assert not paths & {HOSTAPD_UNIT, HOSTAPD_CONF, PSK_FILE}


@pytest.mark.parametrize("word", ["/opt/my gate", "/opt/$HOME", "/opt/%h", '/opt/"', "/o\npt"])
def test_a_command_that_systemd_would_read_otherwise_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="without spaces"):
        files(replace(ROUTER, command=(word,)))


def test_the_gateway_s_unit_may_only_what_it_needs() -> None:
    bounding = [line for line in FOUND[GATEWAY_UNIT].text.split("\n") if "Bounding" in line]
    assert bounding == ["CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE"]


def test_a_stop_asks_the_gateway_first_so_that_leases_are_settled() -> None:
    """Not the ledger's server with it, in the same group of processes."""
    assert "KillMode=mixed\n" in FOUND[GATEWAY_UNIT].text


@pytest.mark.parametrize("path", [RESOLVER_UNIT, CAPTIVE_UNIT, HOSTAPD_UNIT])
def test_devices_come_after_the_gateway(path: str) -> None:
    after = [line for line in FOUND[path].text.split("\n") if line.startswith("After=")]
    assert "tripgate.service" in after[0]


@pytest.mark.parametrize("path", [GATEWAY_UNIT, RESOLVER_UNIT, CAPTIVE_UNIT, HOSTAPD_UNIT])
def test_no_number_of_failures_is_the_last_one(path: str) -> None:
    assert {"StartLimitIntervalSec=0", "Restart=always"} <= set(FOUND[path].text.split("\n"))


def test_a_gateway_that_hangs_is_started_again() -> None:
    assert {"Type=notify", "WatchdogSec=30"} <= set(FOUND[GATEWAY_UNIT].text.split("\n"))
