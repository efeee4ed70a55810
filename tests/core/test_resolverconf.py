"""Upstream resolvers."""

import pytest

from tripgate.core.resolverconf import TlsServer, nameservers, unbound_text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("nameserver 9.9.9.9\n", ("9.9.9.9",)),
        ("# nameserver 1.1.1.1\nsearch lan\nnameserver 2620:fe::fe\n", ("2620:fe::fe",)),
        ("nameserver 127.0.0.53\nnameserver ::1\nnameserver 0.0.0.0\n", ()),
        ("nameserver 9.9.9.9\nnameserver 9.9.9.9\n", ("9.9.9.9",)),
        ("nameserver\nnameserver evil.example\n", ()),
    ],
)
def test_the_uplink_s_resolvers_are_those_of_other_machines(
    text: str, found: tuple[str, ...]
) -> None:
    assert nameservers(text) == found


def test_their_number_is_bounded() -> None:
    assert len(nameservers("".join(f"nameserver 192.0.2.{n}\n" for n in range(99)))) == 8


def test_unbound_asks_over_tls_alone_and_checks_the_name() -> None:
    text = unbound_text([TlsServer("9.9.9.9", "dns.quad9.net")])
    assert "    forward-tls-upstream: yes\n    forward-first: no\n" in text
    assert "    forward-addr: 9.9.9.9@853#dns.quad9.net\n" in text
    assert "interface: 127.0.0.1\n" in text


@pytest.mark.parametrize(
    ("address", "name"), [("x", "dns.quad9.net"), ("9.9.9.9", ""), ("9.9.9.9", "a\nb"), ("", "")]
)
def test_a_tls_resolver_is_an_address_and_a_name(address: str, name: str) -> None:
    with pytest.raises(ValueError):
        TlsServer(address, name)


def test_dns_over_tls_needs_a_resolver() -> None:
    with pytest.raises(ValueError):
        unbound_text([])
