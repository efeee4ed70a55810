"""Stations out of hostapd's lines."""

import pytest

from tripgate.core.hostapdlog import Station, station

MAC = "02:00:00:00:00:01"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"wlan0: AP-STA-CONNECTED {MAC}", Station(MAC, True, None)),
        (f"wlan0: AP-STA-CONNECTED {MAC} keyid=maria", Station(MAC, True, "maria")),
        (f"wlan0: AP-STA-CONNECTED {MAC} auth_alg=sae", Station(MAC, True, None)),
        (f"wlan0: AP-STA-DISCONNECTED {MAC}", Station(MAC, False, None)),
    ],
)
def test_a_station_joins_or_leaves(line: str, told: Station) -> None:
    assert station(line) == told


@pytest.mark.parametrize(
    "line",
    [
        *("", "wlan0: AP-ENABLED", "wlan0: AP-STA-CONNECTED", f"x AP-STA-CONNECTED {MAC}"),
        *(
            "wlan0: AP-STA-CONNECTED ff:ff:ff:ff:ff:ff",
            f"wlan0: AP-STA-CONNECTED {MAC}" + " " * 300,
        ),
    ],
)
def test_another_line_tells_nothing(line: str) -> None:
    assert station(line) is None
