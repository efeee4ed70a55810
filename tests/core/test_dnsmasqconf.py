"""What dnsmasq is told."""

from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any

import pytest

from tripgate.core.dnsmasqconf import CANARIES, Lan, Resolver, captive_text, resolver_text, server

LAN = Lan("wlan0", IPv4Interface("10.77.0.1/24"))
DUAL = replace(LAN, v6=IPv6Interface("fd77::1/64"))
TOLD = Resolver(LAN, "/run/leases")


def lines(told: Resolver) -> list[str]:
    return resolver_text(told).split("\n")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, "interface=wlan0"),
        ({}, "dhcp-range=10.77.0.1,10.77.0.254,255.255.255.0,1h"),
        ({}, "dhcp-option-force=43,ANDROID_METERED"),
        ({}, "stop-dns-rebind"),
        ({}, "bogus-priv"),
        ({}, "domain-needed"),
        ({}, "local=/home.arpa/"),
        ({}, "resolv-file=/etc/resolv.conf"),
        ({}, "log-queries=extra"),
        ({}, "dhcp-ignore-names=tag:wpad"),
        ({}, "address=/use-application-dns.net/"),
        ({"servers": ("9.9.9.9",)}, "server=9.9.9.9"),
        ({"servers": ("9.9.9.9",)}, "no-resolv"),
        ({"api_url": "https://gate.example/api"}, "dhcp-option-force=114,https://gate.example/api"),
        ({"lan": DUAL}, "enable-ra"),
        ({"lan": DUAL}, "dhcp-range=fd77::,ra-only,64,1h"),
        ({"lan": DUAL}, "host-record=tripgate.home.arpa,10.77.0.1,fd77::1"),
    ],
)
def test_the_resolver_is_told(change: dict[str, Any], line: str) -> None:
    assert line in lines(replace(TOLD, **change))


@pytest.mark.parametrize(
    ("change", "absent"),
    [
        ({"metered": False}, "ANDROID_METERED"),
        ({}, "=114,"),
        ({"canaries": False}, CANARIES[0]),
        ({"rebind": True}, "stop-dns-rebind"),
        ({"log_queries": False}, "log-queries"),
        ({}, "enable-ra"),
        ({"servers": ("9.9.9.9",)}, "resolv-file"),
    ],
)
def test_the_resolver_is_not_told(change: dict[str, Any], absent: str) -> None:
    assert absent not in resolver_text(replace(TOLD, **change))


def test_the_captive_instance_asks_nobody_and_serves_no_addresses() -> None:
    text = captive_text(DUAL)
    assert "no-resolv" in text.split("\n")
    assert "address=/#/fd77::1" in text.split("\n")
    assert "dhcp" not in text and "server=" not in text and "enable-ra" not in text


@pytest.mark.parametrize(
    "change",
    [
        {"api_url": "https://x/\ndhcp-script=/bin/sh"},
        {"api_url": "https://x/,y"},
        {"api_url": "file:///etc/shadow"},
        {"lease_file": "/run/l\nuser=root"},
        {"resolv_file": "relative"},
        {"servers": ("9.9.9.9\nuser=root",)},
        {"servers": ("9.9.9.9",) * 9},
        {"portal_names": ("a,b",)},
        {"portal_names": ("a\nb",)},
    ],
)
def test_a_value_that_could_be_another_option_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        resolver_text(replace(TOLD, **change))


@pytest.mark.parametrize("name", ["", "a b", "x" * 16, "w\nuser=root"])
def test_a_lan_has_an_interface(name: str) -> None:
    with pytest.raises(ValueError, match="interface"):
        Lan(name, IPv4Interface("10.77.0.1/24"))


def test_a_lan_prefix_that_slaac_cannot_use_is_refused() -> None:
    with pytest.raises(ValueError, match="64 bits"):
        Lan("wlan0", IPv4Interface("10.77.0.1/24"), IPv6Interface("fd77::1/48"))


@pytest.mark.parametrize(
    ("text", "form"),
    [("9.9.9.9", "9.9.9.9"), ("127.0.0.1#053", "127.0.0.1#53"), ("2620:FE::FE", "2620:fe::fe")],
)
def test_a_resolver_is_an_address_and_perhaps_a_port(text: str, form: str) -> None:
    assert server(text) == form


@pytest.mark.parametrize("text", ["", "dns.example", "9.9.9.9#", "9.9.9.9#0", "9.9.9.9#65536"])
def test_anything_else_is_no_resolver(text: str) -> None:
    with pytest.raises(ValueError, match=r"9\.9\.9\.9 or 127\.0\.0\.1#5335"):
        server(text)
