"""The configuration of unbound, which asks upstream over TLS for dnsmasq.

Rules
1. The name in the server's certificate is checked (RFC 8310 section 8.1, strict): where it does not
   match there is no answer, never one in the clear.
2. It listens on loopback, for this machine alone.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from tripgate.core.names import clean_host

TLS_PORT = 8053
"""Where unbound listens for dnsmasq, on 127.0.0.1."""


@dataclass(frozen=True, slots=True)
class TlsServer:
    """A resolver that speaks TLS on port 853, and the name in its certificate."""

    address: str
    name: str

    def __post_init__(self) -> None:
        ipaddress.ip_address(self.address)
        if "%" in self.address or clean_host(self.name) != self.name:
            raise ValueError("ADDRESS and NAME of a resolver: 9.9.9.9 dns.quad9.net")


def unbound_text(servers: Iterable[TlsServer], port: int = TLS_PORT) -> str:
    """unbound forwards everything over TLS to ``servers``."""
    lines = [f"    forward-addr: {server.address}@853#{server.name}" for server in servers]
    if not lines:
        raise ValueError("at least one resolver")
    return "\n".join([_UNBOUND.format(port=port).rstrip("\n"), *lines, ""])


_UNBOUND = """\
server:
    interface: 127.0.0.1
    port: {port}
    access-control: 127.0.0.0/8 allow
    tls-cert-bundle: /etc/ssl/certs/ca-certificates.crt
    hide-identity: yes
    hide-version: yes
forward-zone:
    name: "."
    forward-tls-upstream: yes
    forward-first: no
"""
