"""What settings may write for addresses, interfaces and subnets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core.endpoint import (
    EVERY_ADDRESS,
    Endpoint,
    check_interfaces,
    check_subnet,
    parse_endpoint,
)


@pytest.mark.parametrize(
    ("text", "hosts", "port"),
    [
        (":8080", EVERY_ADDRESS, 8080),
        ("*:8080", EVERY_ADDRESS, 8080),
        ("0.0.0.0:8080", ("0.0.0.0",), 8080),
        ("127.0.0.1:1", ("127.0.0.1",), 1),
        ("[::1]:65535", ("::1",), 65535),
        ("[::]:80", ("::",), 80),
        ("[FE80::1%eth0]:80", ("fe80::1%eth0",), 80),
        ("localhost:80", ("127.0.0.1", "::1"), 80),
    ],
)
def test_an_endpoint_is_one_port_on_one_or_more_addresses(
    text: str, hosts: tuple[str, ...], port: int
) -> None:
    assert parse_endpoint(text) == Endpoint(hosts, port)


def test_off_is_no_endpoint() -> None:
    assert parse_endpoint("off") is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "8080", "OFF", ":", ":0", ":65536", ":999999", ":-1", ":+1", ":8o8o", ": 80", ":80 "),
        *("host.example:80", "::1:80", "[::1]", "[127.0.0.1]:80", "[]:80", "[::1:80", "1.2.3:80"),
        *("256.0.0.1:80", ":80\n", "a\0b:80", ":٨٠"),
    ],
)
def test_anything_else_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match=r"^HOST:PORT, :PORT for every address, \[::1\]:PORT, or"):
        parse_endpoint(text)


@given(st.text(max_size=40))
def test_a_parser_gives_a_value_or_the_forms(text: str) -> None:
    try:
        endpoint = parse_endpoint(text)
    except ValueError as error:
        assert str(error).startswith("HOST:PORT")
    else:
        assert endpoint is None or parse_endpoint(str(endpoint)) == endpoint


@pytest.mark.parametrize("text", [":80", "127.0.0.1:80", "[::1]:80", "localhost:80"])
def test_an_endpoint_is_shown_as_it_may_be_written(text: str) -> None:
    assert str(parse_endpoint(text)) == text


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (":80", ":81", False),
        (":80", ":80", True),
        (":80", "127.0.0.1:80", True),
        ("[::]:80", "[::1]:80", True),
        ("127.0.0.1:80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "localhost:80", True),
        ("127.0.0.1:80", "[::1]:80", False),
        ("127.0.0.1:80", "127.0.0.2:80", False),
    ],
)
def test_two_servers_clash_on_one_port_of_one_address(one: str, other: str, clash: bool) -> None:
    first, second = parse_endpoint(one), parse_endpoint(other)
    assert first and second
    assert first.clashes(second) is clash
    assert second.clashes(first) is clash


@pytest.mark.parametrize("text", ["wlan0", "wwan0,usb0", "enx00-1.2_3", "auto"])
def test_interfaces_are_names_with_commas_between_them(text: str) -> None:
    assert check_interfaces(text) == text


@pytest.mark.parametrize("text", ["", "a b", "wlan0,", "$(reboot)", "a" * 16, "eth0\n", "ä"])
def test_what_is_no_interface_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="wwan0,usb0"):
        check_interfaces(text)


def test_a_subnet_is_the_gateways_address_in_it() -> None:
    assert check_subnet("10.77.0.1/24") == "10.77.0.1/24"


@pytest.mark.parametrize(
    "text", ["", "10.77.0.1", "10.77.0.1/30", "8.8.8.8/24", "fd00::1/64", "x/24"]
)
def test_a_subnet_that_holds_no_hotspot_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"as in 10\.77\.0\.1/24"):
        check_subnet(text)
