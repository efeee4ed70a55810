"""Whether devices reach each other: an access point keeps them apart, the gateway may not."""

from pathlib import Path

import pytest

from tests.lab.lab import LAN4, LAN6, Lab, device4, device6
from tests.lab.product import Product, product

SETTINGS = """
[hotspot]
ssid = "van"
country = "DE"
key = "all on the road"
isolate = {isolate}
"""
"""There is no radio in the lab: hostapd fails, and is tried again."""


def apart(lab: Lab) -> None:
    """The bridge forwards nothing between the devices, as an access point that isolates them; what
    they send each other goes to the gateway."""
    for number, other in ((1, 2), (2, 1)):
        lab.run(lab.lan, ["bridge", "link", "set", "dev", f"dev{number}", "isolated", "on"])
        lab._ip(lab.device(number), f"route add {device4(other)} via {LAN4}.1")
        via6 = f"via {LAN6}:1 src {device6(number)}"
        lab._ip(lab.device(number), f"-6 route add {device6(other)} {via6}")


def reached(gateway: Product) -> set[tuple[int, str]]:
    """Which device reaches the other one, at which address."""
    ways = [(one, address(3 - one)) for one in (1, 2) for address in (device4, device6)]
    return {way for way in ways if gateway.reaches(*way)}


@pytest.mark.parametrize("isolate", [True, False])
def test_devices_reach_each_other_through_the_gateway_unless_they_are_isolated(
    lab: Lab, tmp_path: Path, isolate: bool
) -> None:
    apart(lab)
    told = SETTINGS.format(isolate=str(isolate).lower())
    with product(lab, tmp_path, settings=told) as gateway:
        gateway.admit(1, 2)
        assert len(reached(gateway)) == (0 if isolate else 4)


def test_without_a_hotspot_of_ours_devices_reach_each_other(lab: Lab, tmp_path: Path) -> None:
    apart(lab)
    with product(lab, tmp_path) as gateway:
        gateway.admit(1, 2)
        assert len(reached(gateway)) == 4
