"""Who a client of the portal is, in both modes, and where the portal listens."""

from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mitmproxy.test import tutils

from tripgate.clock import SystemClock
from tripgate.core.endpoint import EVERY_ADDRESS, Endpoint
from tripgate.pages import lan_address
from tripgate.portalworld import GatewayWorld, portal_settings, portal_sites
from tripgate.proxy.gate import Client, Turned
from tripgate.settings import Settings
from tripgate.wiring import Gateway

MACS = {"10.77.0.5": "mac:02:00:00:00:00:05"}


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    """Not started: nothing here asks the ledger."""
    return Gateway(Settings(state=tmp_path / "state"), SystemClock())


def routing(**more: Any) -> Settings:
    """Settings of the router mode."""
    return cast(Settings, SimpleNamespace(mode="router", subnet="10.77.0.1/24", **more))


@pytest.mark.parametrize(
    ("peer", "identity"),
    [
        ("10.77.0.5", "ip:10.77.0.5"),
        ("::ffff:10.77.0.5", "ip:10.77.0.5"),
        ("127.0.0.1", "host"),
        ("192.0.2.99", None),
        ("2001:db8::1", None),
        ("", None),
    ],
)
def test_in_the_explicit_mode_a_device_is_its_address(
    gateway: Gateway, peer: str, identity: str | None
) -> None:
    assert GatewayWorld(gateway).recognise(peer, "10.77.0.1") == identity


@pytest.mark.parametrize(
    ("peer", "identity"),
    [
        ("10.77.0.5", "mac:02:00:00:00:00:05"),
        ("10.77.0.6", None),
        ("127.0.0.1", "host"),
        ("192.0.2.99", None),
    ],
)
def test_in_the_router_mode_a_device_is_its_hardware(
    gateway: Gateway, peer: str, identity: str | None
) -> None:
    assert GatewayWorld(gateway, MACS.get).recognise(peer, "10.77.0.1") == identity


def test_in_the_explicit_mode_the_portal_is_where_the_option_says(gateway: Gateway) -> None:
    assert [at for at, _ in portal_sites(gateway)] == [Endpoint(EVERY_ADDRESS, 8088)]


def test_in_the_router_mode_it_is_also_on_port_80_of_the_lan(gateway: Gateway) -> None:
    gateway.settings = routing(portal=Endpoint(EVERY_ADDRESS, 8088))
    places = [at for at, _ in portal_sites(gateway, MACS.get)]
    assert places == [Endpoint(EVERY_ADDRESS, 8088), Endpoint(("10.77.0.1",), 80)]


def test_through_the_proxy_the_portal_is_on_the_same_ports(gateway: Gateway) -> None:
    for settings, on_80 in (
        (gateway.settings, False),
        (routing(portal=Endpoint(("::1",), 81)), True),
    ):
        gateway.settings = settings
        portal_sites(gateway)
        assert gateway.gate.pages
        assert gateway.gate.pages.serves("localhost", 80) == on_80
        assert settings.portal
        assert gateway.gate.pages.serves("localhost", settings.portal.port)


def test_the_pages_of_a_router_name_the_portal_without_a_port(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "state", mode="router", lan="lan0", subnet="10.9.0.1/24")
    gate = Gateway(settings, SystemClock()).gate
    who = Client(ip_address("10.9.0.5"), "mac:1", False, True)
    assert b"http://10.9.0.1/\n" in gate.page(who, Turned("pending", "no"), tutils.treq())


def test_in_the_router_mode_the_portal_is_captive() -> None:
    made = portal_settings(lan_address(routing()))
    assert (made.url, made.captive, made.wire) == ("http://10.77.0.1/", True, True)


def test_a_portal_that_is_off_is_nowhere(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "state", portal="off")  # type: ignore[arg-type]
    assert portal_sites(Gateway(settings, SystemClock())) == ()
