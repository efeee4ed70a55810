"""Upstream resolvers: which the uplink named, and unbound's configuration for DNS over TLS.

Rules
1. Of a ``resolv.conf`` only ``nameserver`` lines count, and of those no loopback address: that is
   a resolver of this machine, which may ask us in turn.
2. DNS over TLS checks the name in the server's certificate (RFC 8310 section 8.1, strict): where
   it does not match there is no answer, never one in the clear.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from tripgate.core.names import clean_host

TLS_PORT = 8053
"""Where unbound listens for dnsmasq, on 127.0.0.1."""
FILE_MOST = 64 * 1024
SERVERS_MOST = 8


@dataclass(frozen=True, slots=True)
class TlsServer:
    """A resolver that speaks TLS on port 853, and the name in its certificate."""

    address: str
    name: str

    def __post_init__(self) -> None:
        ipaddress.ip_address(self.address)
        if "%" in self.address or clean_host(self.name) != self.name:
            raise ValueError("ADDRESS and NAME of a resolver: 9.9.9.9 dns.quad9.net")


def nameservers(resolv_conf: str) -> tuple[str, ...]:
    """The resolvers that a ``resolv.conf`` names, without this machine's own."""
    found: list[str] = []
    for line in resolv_conf[:FILE_MOST].split("\n"):
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            address = _address(words[1])
            if address is not None and address not in found:
                found.append(address)
    return tuple(found[:SERVERS_MOST])


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


def _address(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if address.is_loopback or address.is_unspecified else str(address)
