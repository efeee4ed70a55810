"""Refusals of the proxy: the portal's address as the client reaches it."""

import ipaddress

import pytest
from mitmproxy.test import tutils

from tripgate.core.endpoint import EVERY_ADDRESS, Endpoint
from tripgate.core.model import PLAN, Limit, Period
from tripgate.pages import Pages, portal_url
from tripgate.proxy.account import Refusal
from tripgate.proxy.gate import Client, Turned

LOCAL = ipaddress.ip_address("127.0.0.1")
WHO = Client(LOCAL, "host", True, True)


@pytest.mark.parametrize(
    ("portal", "url"),
    [
        (Endpoint(EVERY_ADDRESS, 8088), "http://127.0.0.1:8088/"),
        (Endpoint(("192.168.7.1",), 80), "http://192.168.7.1/"),
        (Endpoint(("fd00::1",), 8088), "http://[fd00::1]:8088/"),
        (None, None),
    ],
)
def test_the_portal_is_named_as_the_client_reaches_it(
    portal: Endpoint | None, url: str | None
) -> None:
    assert portal_url(portal, LOCAL) == url


def test_a_client_with_ipv6_is_shown_an_address_with_brackets() -> None:
    url = portal_url(Endpoint(EVERY_ADDRESS, 8088), ipaddress.ip_address("::1"))
    assert url == "http://[::1]:8088/"


def test_a_client_that_no_way_leads_to_is_shown_no_address() -> None:
    nowhere = ipaddress.ip_address("fe80::1")
    assert portal_url(Endpoint(EVERY_ADDRESS, 8088), nowhere) is None


@pytest.mark.parametrize("client", ["10.77.0.5", "fd00::5"])
def test_a_router_is_named_by_its_address_on_the_lan_without_a_port(client: str) -> None:
    who = Client(ipaddress.ip_address(client), "mac:1", False, True)
    pages = Pages(portal=Endpoint(EVERY_ADDRESS, 8088), lan="10.77.0.1")
    assert b"http://10.77.0.1/\n" in pages.page(who, None, Turned("cap", "no"), tutils.treq())
    off = Pages(lan="10.77.0.1").page(who, None, Turned("cap", "no"), tutils.treq())
    assert b"10.77.0.1" not in off


@pytest.mark.parametrize("kind", ["pending", "blocked", "ledger", "destination", "request", "new"])
def test_every_kind_of_refusal_is_a_whole_response(kind: str) -> None:
    page = Pages().page(WHO, None, Turned(kind, "why"), tutils.treq())
    head, _, body = page.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 ")
    assert f"Content-Length: {len(body)}".encode() in head


def test_a_refusal_at_a_cap_names_it() -> None:
    refusal = Refusal("cap", Limit(PLAN, Period.TRIP, 0, 5_000_000), 5_000_000)
    page = Pages().page(WHO, None, Turned("cap", "no data left", refusal), tutils.treq())
    assert b"Limit: 5 MB for the trip\n" in page


def test_the_answer_to_head_has_no_body() -> None:
    page = Pages().page(WHO, None, Turned("cap", "no"), tutils.treq(method=b"HEAD"))
    assert page.endswith(b"\r\n\r\n")
