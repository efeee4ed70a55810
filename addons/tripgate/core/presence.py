"""Who is on the LAN: which MAC owns which addresses now, out of neighbour table and DHCP leases.

Rules
1. An address has one owner: the MAC of its DHCP lease, else the MAC that the neighbour table names
   (static addresses, IPv6). A neighbour that claims an address leased to another MAC gets nothing
   by it: that is told as a :class:`Conflict`, and while it lasts the address is nobody's.
2. An owner that changes is told as :class:`Moved`: flows of the old owner end before the new one's
   begin. An address that loses its owner is :class:`Lost`.
3. A MAC is gone when it owns nothing.
4. Bounded: ``MACS_MOST`` MACs, ``ADDRESSES_MOST`` addresses each. What was seen longest ago makes
   room, but never a pinned MAC (a device that the gateway knows): a guest who makes up MACs
   displaces guests.
5. Group, unspecified and loopback addresses are nobody's.

Times are seconds of one monotonic clock.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from tripgate.core.address import IPAddress
from tripgate.core.leasefile import DhcpLease

MACS_MOST = 1024
ADDRESSES_MOST = 32


@dataclass(frozen=True, slots=True)
class Appeared:
    """``mac`` was not here before."""

    mac: str


@dataclass(frozen=True, slots=True)
class Gained:
    """``address``, which nobody had, is ``mac``'s now."""

    mac: str
    address: IPAddress


@dataclass(frozen=True, slots=True)
class Moved:
    """``address`` was ``old``'s and is ``new``'s: cut what ``old`` has open on it at once."""

    address: IPAddress
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Lost:
    """``address`` is not ``mac``'s any more, and nobody's."""

    mac: str
    address: IPAddress


@dataclass(frozen=True, slots=True)
class Gone:
    """``mac`` owns nothing any more."""

    mac: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """``claimant`` uses ``address``, which is leased to ``owner``."""

    address: IPAddress
    owner: str
    claimant: str


Change = Appeared | Gained | Moved | Lost | Gone | Conflict


@dataclass(slots=True)
class Host:
    """A MAC on the LAN. ``addresses``: when each was last seen, the latest last."""

    mac: str
    last_seen: float
    hostname: str | None = None
    addresses: dict[IPAddress, float] = field(default_factory=dict)


class Presence:
    """The LAN as it is. Every method that learns something returns what changed by it."""

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self._owners: dict[IPAddress, str] = {}
        self._neighbours: dict[IPAddress, str] = {}
        self._leases: Mapping[IPAddress, DhcpLease] = {}
        self._pinned: frozenset[str] = frozenset()

    def owner(self, address: IPAddress) -> str | None:
        """The MAC that owns ``address`` now; nobody while another one answers for it."""
        mac = self._owners.get(address)
        return mac if self._neighbours.get(address) in (None, mac) else None

    def pin(self, macs: Iterable[str]) -> None:
        """``macs`` are of devices that the gateway knows; they replace what was pinned before."""
        self._pinned = frozenset(macs)

    def neighbour(
        self, address: IPAddress, mac: str, now: float, *, fresh: bool = True
    ) -> list[Change]:
        """The neighbour table names ``mac`` for ``address``; ``fresh``: it was heard just now."""
        if address.is_multicast or address.is_unspecified or address.is_loopback:
            return []
        changes: list[Change] = []
        lease = self._leases.get(address)
        if lease is not None and lease.mac != mac:
            if self._neighbours.get(address) != mac:
                changes.append(Conflict(address, lease.mac, mac))
            self._remember(address, mac)
            return changes
        self._remember(address, mac)
        changes += self._give(address, mac, now)
        if fresh:
            self._seen(address, mac, now)
        return changes

    def neighbour_gone(self, address: IPAddress, now: float) -> list[Change]:
        """The neighbour table has nobody at ``address``."""
        self._neighbours.pop(address, None)
        return self._judge(address, now)

    def neighbours(
        self, table: Mapping[IPAddress, str], now: float, fresh: Container[IPAddress] = ()
    ) -> list[Change]:
        """The whole neighbour table; ``fresh``: what was heard just now of it."""
        changes = []
        for address in [known for known in self._neighbours if known not in table]:
            changes += self.neighbour_gone(address, now)
        for address, mac in table.items():
            changes += self.neighbour(address, mac, now, fresh=address in fresh)
        return changes

    def leases(self, table: Mapping[IPAddress, DhcpLease], now: float) -> list[Change]:
        """All DHCP leases as they are now."""
        before, self._leases = self._leases, table
        changes: list[Change] = []
        for address in [*(known for known in before if known not in table), *table]:
            changes += self._judge(address, now)
            lease = table.get(address)
            host = self.hosts.get(lease.mac) if lease else None
            if host is not None and lease is not None:
                host.hostname = lease.hostname or host.hostname
        return changes

    def _judge(self, address: IPAddress, now: float) -> list[Change]:
        """Who owns ``address`` by rule 1."""
        lease = self._leases.get(address)
        mac = lease.mac if lease else self._neighbours.get(address)
        return self._take(address) if mac is None else self._give(address, mac, now)

    def _remember(self, address: IPAddress, mac: str) -> None:
        self._neighbours.pop(address, None)
        self._neighbours[address] = mac
        if len(self._neighbours) > MACS_MOST * ADDRESSES_MOST:
            del self._neighbours[next(iter(self._neighbours))]

    def _give(self, address: IPAddress, mac: str, now: float) -> list[Change]:
        if self._owners.get(address) == mac:
            return []
        changes = self._admit(mac, now)
        if mac not in self.hosts:
            return changes
        old = self._owners.get(address)  # as it is after somebody made room
        if old is None:
            changes.append(Gained(mac, address))
        else:
            del self.hosts[old].addresses[address]
            changes += [Moved(address, old, mac), *self._end_empty(old)]
        self._owners[address] = mac
        self._seen(address, mac, now)
        return changes + self._bound(self.hosts[mac])

    def _take(self, address: IPAddress) -> list[Change]:
        mac = self._owners.pop(address, None)
        if mac is None:
            return []
        del self.hosts[mac].addresses[address]
        return [Lost(mac, address), *self._end_empty(mac)]

    def _admit(self, mac: str, now: float) -> list[Change]:
        """Make room by rule 4; without room ``mac`` is not taken in."""
        if mac in self.hosts:
            return []
        changes: list[Change] = []
        if len(self.hosts) >= MACS_MOST:
            others = [host for host in self.hosts.values() if host.mac not in self._pinned]
            if not others:
                return []
            for address in list(min(others, key=lambda host: host.last_seen).addresses):
                changes += self._take(address)
        self.hosts[mac] = Host(mac, now)
        return [*changes, Appeared(mac)]

    def _bound(self, host: Host) -> list[Change]:
        return (
            self._take(next(iter(host.addresses))) if len(host.addresses) > ADDRESSES_MOST else []
        )

    def _end_empty(self, mac: str) -> list[Change]:
        if self.hosts[mac].addresses:
            return []
        del self.hosts[mac]
        return [Gone(mac)]

    def _seen(self, address: IPAddress, mac: str, now: float) -> None:
        host = self.hosts.get(mac)
        if host is not None and self._owners.get(address) == mac:
            host.last_seen = now
            host.addresses.pop(address, None)
            host.addresses[address] = now
