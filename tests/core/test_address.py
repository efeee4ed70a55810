"""Who is served, and where nobody is taken."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core.address import client_allowed, destination_refused, is_literal, unwrap

PRIVATE = ["10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.9", "fd00::5", "fc00::1"]
LINK_LOCAL = ["169.254.169.254", "fe80::1", "febf::1"]
LOOPBACK = ["127.0.0.1", "127.255.0.1", "::1"]
NOWHERE = ["0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "ff02::1", "255.255.255.255"]
PUBLIC = ["1.1.1.1", "172.32.0.1", "192.169.0.1", "11.0.0.0", "2606:4700::1111", "100.64.0.1"]


def wrapped(text: str) -> list[str]:
    """The forms in which an IPv6 address hides an IPv4 one."""
    inner = ipaddress.ip_address(text)
    if inner.version == 6:
        return []
    high, low = divmod(int(inner), 65536)
    return [f"::ffff:{text}", f"64:ff9b::{text}", f"2002:{high:x}:{low:x}::1"]


def refused(text: str, *, own: bool = False, local: bool = False) -> str | None:
    return destination_refused(ipaddress.ip_address(text), own=own, local_client=local)


@pytest.mark.parametrize("text", [*PRIVATE, *LINK_LOCAL, *LOOPBACK])
def test_private_link_local_and_loopback_clients_are_served(text: str) -> None:
    assert client_allowed(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", [*PUBLIC, *NOWHERE])
def test_no_other_client_is_served(text: str) -> None:
    assert not client_allowed(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", [*PRIVATE, *LINK_LOCAL, *LOOPBACK, *NOWHERE])
def test_nobody_from_outside_is_taken_there(text: str) -> None:
    assert refused(text)


@pytest.mark.parametrize("text", [*PRIVATE, *LINK_LOCAL, *NOWHERE])
def test_a_local_client_is_not_taken_there_either(text: str) -> None:
    assert refused(text, local=True)


@pytest.mark.parametrize("text", LOOPBACK)
def test_a_local_client_may_reach_loopback(text: str) -> None:
    assert refused(text, local=True, own=True) is None


@pytest.mark.parametrize("text", PUBLIC)
def test_everybody_is_taken_to_public_addresses(text: str) -> None:
    assert refused(text) is None


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_of_the_gateway_is_refused_though_public(text: str) -> None:
    assert refused(text, own=True) == "an address of the gateway itself"


@pytest.mark.parametrize("text", [*PRIVATE, *LINK_LOCAL, *LOOPBACK, *NOWHERE])
def test_an_address_inside_another_is_judged_as_the_inner_one(text: str) -> None:
    assert [form for form in wrapped(text) if not refused(form)] == []


@pytest.mark.parametrize("text", ["1.1.1.1", "8.8.8.8"])
def test_a_public_address_inside_another_is_fine(text: str) -> None:
    assert [form for form in wrapped(text) if refused(form)] == []


def test_the_old_compatible_form_is_unwrapped_too() -> None:
    assert unwrap(ipaddress.ip_address("::10.0.0.1")) == ipaddress.ip_address("10.0.0.1")


@pytest.mark.parametrize("text", ["1.2.3.4", "::1", "[::1]", "fe80::1%eth0"])
def test_an_address_is_a_literal(text: str) -> None:
    assert is_literal(text)


@pytest.mark.parametrize("text", ["a.example", "1.2.3", "", "1.2.3.4.example"])
def test_a_name_is_not(text: str) -> None:
    assert not is_literal(text)


@given(st.ip_addresses(v=4))
def test_hiding_never_changes_the_verdict(inner: ipaddress.IPv4Address) -> None:
    plain = bool(refused(str(inner)))
    assert {bool(refused(form)) for form in wrapped(str(inner))} == {plain}
