"""What unbound is told."""

import pytest

from tripgate.core.unboundconf import TlsServer, unbound_text


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
