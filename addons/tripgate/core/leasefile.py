"""dnsmasq's lease file: who was given which IPv4 address.

Rules
1. A line is ``EXPIRY MAC ADDRESS HOSTNAME CLIENT-ID``; EXPIRY is in epoch seconds, 0 for ever.
   dnsmasq takes lines of leases that ended out by itself, at its own clock: what is in the file
   holds, and no clock is compared here.
2. The part below a ``duid`` line is of DHCPv6 and is not read: there are no such leases on the
   LAN, its hosts make their addresses themselves (SLAAC).
3. A line of another form is skipped, as is all past ``LEASES_MOST``: the file is our own child's,
   what it holds came from devices. Of two lines for one address the later one counts.
"""

import ipaddress
from dataclasses import dataclass

from tripgate.core.address import IPAddress
from tripgate.core.hostname import clean_hostname
from tripgate.core.mac import clean_mac

LEASES_MOST = 4096
FILE_MOST = 1024 * 1024
"""Bytes of a lease file that are read."""


@dataclass(frozen=True, slots=True)
class DhcpLease:
    """``address`` belongs to ``mac``, which calls itself ``hostname``."""

    mac: str
    address: IPAddress
    hostname: str | None


def parse_leases(text: str) -> dict[IPAddress, DhcpLease]:
    """The leases of a file."""
    found: dict[IPAddress, DhcpLease] = {}
    for line in text.split("\n"):
        if line.startswith("duid ") or len(found) >= LEASES_MOST:
            break
        lease = _lease(line.split(" "))
        if lease is not None:
            found[lease.address] = lease
    return found


def _lease(fields: list[str]) -> DhcpLease | None:
    if len(fields) != 5 or not (fields[0].isascii() and fields[0].isdigit()):
        return None
    mac = clean_mac(fields[1])
    if mac is None:
        return None
    try:
        address = ipaddress.IPv4Address(fields[2])
    except ValueError:
        return None
    return DhcpLease(mac, address, clean_hostname(fields[3]))
