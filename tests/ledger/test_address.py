"""Where Redis is: what URLs are taken, and what is shown of them."""

from pathlib import Path

import pytest

from tripgate.ledger.address import Address, is_at, parse
from tripgate.ledger.protocol import LedgerDown


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        ("unix:///run/r.sock", Address("unix", "/run/r.sock"), "unix:///run/r.sock"),
        ("unix:///a%20b.sock?db=3", Address("unix", "/a b.sock", db=3), "unix:///a b.sock/3"),
        ("unix://:pw@/r.sock", Address("unix", "/r.sock", password="pw"), "unix:///r.sock"),
        ("redis://pi", Address("redis", "pi", 6379), "redis://pi:6379"),
        ("redis://u:p%40w@pi:7000/2", Address("redis", "pi", 7000, 2, "u", "p@w"), "redis://pi:7000/2"),
        ("redis://[::1]:7000", Address("redis", "::1", 7000), "redis://[::1]:7000"),
        ("rediss://pi/0", Address("rediss", "pi", 6379), "rediss://pi:6379"),
    ],
)  # fmt: skip
def test_a_url_is_taken_apart_and_shown_without_its_password(
    url: str, address: Address, shown: str
) -> None:
    assert parse(url) == address
    assert str(address) == shown
    assert repr(address) == f"<{shown}>"


@pytest.mark.parametrize(
    "url",
    [
        "", "pi:6379", "http://pi", "redis://", "unix://", "redis://:hunter2@pi:port",
        "redis://:hun/ter2@pi", "redis://pi/x", "redis://pi?timeout=1", "redis://pi?db=1&db=x",
        "redis://pi:0", "redis://pi:70000", "redis://hunter2@pi\n", "redis://pi#x",
        "redis://" + "x" * 600, "redis://pi?socket_timeout=0", "redis://[::1",
    ],
)  # fmt: skip
def test_anything_else_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(LedgerDown, match="write redis://HOST:PORT/DB") as told:
        parse(url)
    assert "hunter2" not in str(told.value)
    assert "hun" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "is_it"),
    [
        ("unix:///a%20b.sock", True),
        ("unix://tripgate:pw@/a%20b.sock", True),
        ("unix:///b.sock", False),
        ("redis://a/a%20b.sock?db=0", False),
    ],
)
def test_a_socket_is_the_same_whoever_asks(url: str, is_it: bool) -> None:
    assert is_at(url, Path("/a b.sock")) is is_it
