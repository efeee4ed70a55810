"""What hostapd is told."""

from typing import Any

import pytest

from tripgate.core.hostapdconf import AccessPoint, psk_text, text

KEY = "correct horse"
PERSONS = {"maria": "marias own key", "tom": "another one!"}


def point(**change: Any) -> AccessPoint:
    told = {"interface": "wlan0", "ssid": "Van 7", "country": "DE", "control_dir": "/run/hostapd"}
    return AccessPoint(**(told | {"psk_file": "/run/hostapd.psk", "key": KEY} | change))


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({}, {"wpa_key_mgmt=WPA-PSK SAE", "ieee80211w=1", f"wpa_passphrase={KEY}"}),
        ({"security": "wpa3"}, {"wpa_key_mgmt=SAE", "ieee80211w=2", f"sae_password={KEY}"}),
        ({"security": "wpa3", "persons": PERSONS}, {"wpa_key_mgmt=WPA-PSK SAE", "ieee80211w=1"}),
        ({"key": None, "persons": PERSONS}, {"wpa_key_mgmt=WPA-PSK", "ieee80211w=1"}),
        ({"persons": PERSONS}, {"wpa_psk_file=/run/hostapd.psk"}),
        ({}, {"ap_isolate=1", "hw_mode=g", "channel=6", "ssid2=56616e2037", "sae_require_mfp=1"}),
        ({"isolate": False}, {"ap_isolate=0"}),
        ({"channel": 36}, {"hw_mode=a", "ieee80211h=1", "ieee80211ac=1"}),
        ({"ssid": "Café"}, {"ssid2=436166c3a9"}),
        ({"elements": "dd080050f21102000000"}, {"vendor_elements=dd080050f21102000000"}),
    ],
)
def test_the_access_point_is_told(change: dict[str, Any], wanted: set[str]) -> None:
    assert wanted <= set(text(point(**change)).split("\n"))


def test_the_shared_key_of_wpa3_alone_is_no_wpa2_key() -> None:
    told = text(point(security="wpa3", persons=PERSONS))
    assert "wpa_passphrase" not in told


def test_each_person_has_a_key_for_any_device() -> None:
    assert psk_text(point(persons=PERSONS)).split("\n") == [
        "keyid=maria 00:00:00:00:00:00 marias own key",
        "keyid=tom 00:00:00:00:00:00 another one!",
        "",
    ]


@pytest.mark.parametrize(
    "key",
    [
        *("short77", "x" * 64, "newline\nwpa=0", " leading", "trailing ", "tab\tinside"),
        *("pipe|vlanid=1", "ümlauts!", "nul\0inside"),
    ],
)
@pytest.mark.parametrize("whose", ["shared", "person"])
def test_a_key_that_hostapd_would_read_otherwise_is_refused_unseen(key: str, whose: str) -> None:
    with pytest.raises(ValueError) as error:
        point(**({"key": key} if whose == "shared" else {"persons": {"maria": key}}))
    assert key not in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"ssid": ""},
        {"ssid": "x" * 33},
        {"ssid": "ü" * 17},
        {"ssid": "a\nb"},
        {"country": "de"},
        {"country": "DE\n"},
        {"channel": 14},
        {"channel": 37},
        {"interface": "wlan0\nwpa=0"},
        {"control_dir": "/run/a\nb"},
        {"psk_file": "relative"},
        {"persons": {"Maria": PERSONS["maria"]}},
        {"persons": {"m" * 32: PERSONS["maria"]}},
        {"persons": {"a": "the same key", "b": "the same key"}},
        {"persons": {"a": KEY}},
        {"key": None},
        {"elements": "dd08\nwpa=0"},
    ],
)
def test_a_value_that_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        point(**change)


def test_keys_are_not_in_a_representation() -> None:
    shown = repr(point(persons=PERSONS))
    assert KEY not in shown and PERSONS["maria"] not in shown
