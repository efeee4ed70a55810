import pytest

from tripgate.core import marks
from tripgate.core.routerspec import RouterSpec, SpecError, Station, check_slot

HOSTILE_NAMES = [
    "",
    "-j",
    "..",
    "../x",
    "a/b",
    "a b",
    'a"; flush ruleset',
    "a\n",
    "a\x00",
    "sixteen-letters1",
    "ünï",
    "$(id)",
    "*",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_an_interfaces_name_cannot_become_a_rule(name: str) -> None:
    with pytest.raises(SpecError):
        RouterSpec(lan=name, uplinks=(), tproxy=1, dns_open=2, dns_closed=3)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_an_uplinks_name_cannot_become_a_rule(name: str) -> None:
    with pytest.raises(SpecError):
        RouterSpec(lan="lan0", uplinks=("usb0", name), tproxy=1, dns_open=2, dns_closed=3)


@pytest.mark.parametrize("name", ["wlan0", "enx0a1b2c3d4e5f", "br-lan", "eth0.100", "wwan0_1"])
def test_usual_names_are_taken(name: str) -> None:
    assert RouterSpec(lan=name, uplinks=(), tproxy=1, dns_open=2, dns_closed=3).lan == name


def test_one_interface_is_not_lan_and_uplink() -> None:
    with pytest.raises(SpecError, match="eth0"):
        RouterSpec(lan="eth0", uplinks=("eth0",), tproxy=1, dns_open=2, dns_closed=3)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_is_one(port: int) -> None:
    with pytest.raises(SpecError, match=str(port)):
        RouterSpec(lan="lan0", uplinks=(), tproxy=port, dns_open=2, dns_closed=3)


@pytest.mark.parametrize(
    "mac", ["", "02:77", "02:77:00:00:00:0G", "02:77:00:00:00:01 : 5", "02-77-00-00-00-01"]
)
def test_a_mac_address_is_one(mac: str) -> None:
    with pytest.raises(SpecError):
        Station(frozenset([mac]))


@pytest.mark.parametrize("slot", [marks.NOBODY, marks.GATEWAY, marks.LAST + 1, -2])
def test_only_a_devices_slot_is_one(slot: int) -> None:
    with pytest.raises(SpecError):
        check_slot(slot)
