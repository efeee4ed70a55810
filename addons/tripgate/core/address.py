"""Addresses: who is served, and where nobody is taken.

Rules
1. An address inside another is judged as the inner one: IPv4-mapped (RFC 4291 section 2.5.5.2),
   6to4 (RFC 3056) and the NAT64 well-known prefix (RFC 6052).
2. Served are private, link-local and loopback clients.
3. Refused as destinations: this network, loopback, link-local (cloud metadata lives there),
   private and unique-local ranges, and every address of the gateway itself. A client on the
   gateway's own machine may reach loopback.
"""

import functools
import ipaddress
from collections.abc import Sequence

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
_LINK_LOCAL = tuple(ipaddress.ip_network(text) for text in ("169.254.0.0/16", "fe80::/10"))
_LOOPBACK = tuple(ipaddress.ip_network(text) for text in ("127.0.0.0/8", "::1/128"))
_NOWHERE = tuple(
    ipaddress.ip_network(text)
    for text in ("0.0.0.0/8", "::/128", "224.0.0.0/4", "ff00::/8", "255.255.255.255/32")
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@functools.lru_cache(1024)  # connections come in bunches, from and to the same addresses
def parse(text: str) -> IPAddress:
    """An address as a socket has it, without its scope. ``ValueError``."""
    return ipaddress.ip_address(text.partition("%")[0])


def unwrap(address: IPAddress) -> IPAddress:
    """The address that packets to ``address`` end up at."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return inner
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if 0xFFFF < int(address) < 1 << 32:  # IPv4-compatible, RFC 4291 section 2.5.5.1
            return ipaddress.IPv4Address(int(address))
    return address


REFUSED = tuple(str(one) for one in (*_NOWHERE, *_LOOPBACK, *_LINK_LOCAL, *_PRIVATE))
"""Networks that no packet is forwarded to, for the kernel's rules."""


def is_private(address: IPAddress) -> bool:
    """True for what is private or unique-local: a LAN's, behind the uplink too."""
    return _within(unwrap(address), _PRIVATE)


def preferred(texts: Sequence[str]) -> str | None:
    """Which of a host's addresses people are shown: its IPv4 one, else a global one, else a
    unique-local one, and link-local last; the last in line among equals."""
    return max(reversed(texts), key=_worth, default=None)


def _worth(text: str) -> int:
    address = parse(text)
    if address.is_link_local:
        return 0
    return 3 if address.version == 4 else 1 if is_private(address) else 2


def client_allowed(address: IPAddress) -> bool:
    """True for clients that may be served at all."""
    return _within(unwrap(address), (*_PRIVATE, *_LINK_LOCAL, *_LOOPBACK))


def destination_refused(address: IPAddress, *, own: bool, local_client: bool) -> str | None:
    """Why nobody is taken to ``address``; ``None``: it is fine.

    ``own``: it is an address of the gateway. ``local_client``: so is the client's.
    """
    inner = unwrap(address)
    if _within(inner, _LOOPBACK):
        return None if local_client else "loopback of the gateway"
    reasons = (
        (own, "an address of the gateway itself"),
        (_within(inner, _NOWHERE), "not an address of a host"),
        (_within(inner, _LINK_LOCAL), "a link-local address"),
        (_within(inner, _PRIVATE), "a private address"),
    )
    return next((reason for applies, reason in reasons if applies), None)


def is_literal(host: str) -> bool:
    """True if ``host`` is an address and not a name."""
    if host[-1:].isalpha() and ":" not in host and "%" not in host:
        return False  # nearly all names; the full check fails slowly, and each connection asks
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


def _within(address: IPAddress, networks: tuple[_Network, ...]) -> bool:
    return any(address in network for network in networks)
