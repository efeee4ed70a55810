"""The box's own addresses: of the LAN, given and taken back; of every link, with their networks."""

import contextlib
import ipaddress
import socket
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from tripgate.core.address import IPAddress

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
_EEXIST = 17
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def give(link: str, addresses: Iterable[Interface]) -> list[Interface]:
    """Bring the link up and give it the addresses that it lacks; which those were.

    Raises ``OSError``; the text names the interface.
    """
    given = []
    with IPRoute() as ip:
        try:
            index = _index(ip, link)
            ip.link("set", index=index, state="up")
            for address in addresses:
                with contextlib.suppress(_Exists):
                    _add(ip, index, address)
                    given.append(address)
        except NetlinkError as error:
            raise OSError(error.code, f"{link}: {error}") from error
    return given


class _Exists(Exception):
    """The link has it already."""


def _add(ip: IPRoute, index: int, address: Interface) -> None:
    flags = {"flags": 0x02} if address.version == 6 else {}  # IFA_F_NODAD: ours alone
    try:
        ip.addr(
            "add",
            index=index,
            address=str(address.ip),
            prefixlen=address.network.prefixlen,
            **flags,
        )
    except NetlinkError as error:
        if error.code == _EEXIST:
            raise _Exists from error
        raise


def take_back(link: str, addresses: Iterable[Interface]) -> None:
    """Take addresses away; never fails: the link may be gone."""
    with IPRoute() as ip, contextlib.suppress(OSError, NetlinkError):
        index = _index(ip, link)
        for address in addresses:
            with contextlib.suppress(NetlinkError):
                prefix = address.network.prefixlen
                ip.addr("delete", index=index, address=str(address.ip), prefixlen=prefix)


def _index(ip: IPRoute, link: str) -> int:
    found = ip.link_lookup(ifname=link)
    if not found:
        raise OSError(19, f"there is no interface {link}: see `ip link`")
    index: int = found[0]
    return index


def interfaces(link: str | None = None) -> list[Interface]:
    """Addresses with their networks, of one link or of all. Raises ``OSError``."""
    with IPRoute() as ip:
        chosen = {"index": _index(ip, link)} if link else {}
        found = ip.get_addr(**chosen)
        return [
            ipaddress.ip_interface(f"{_text(one)}/{one['prefixlen']}")
            for one in found
            if _text(one) is not None
        ]


def _text(message: object) -> str | None:
    get = message.get_attr  # type: ignore[attr-defined]  # pyroute2's message
    found: str | None = get("IFA_LOCAL") or get("IFA_ADDRESS")
    return found


class OwnAddresses:
    """Is an address the box's own, or within a network of one of its links?"""

    def __init__(self) -> None:
        self._interfaces: list[Interface] = []

    def look(self) -> None:
        """See what there is now. Raises ``OSError``."""
        self._interfaces = interfaces()

    def networks(self) -> tuple[str, ...]:
        """The networks, none within another."""
        found = [one.network for one in self._interfaces if one.network.prefixlen]
        v4 = [one for one in found if isinstance(one, ipaddress.IPv4Network)]
        v6 = [one for one in found if isinstance(one, ipaddress.IPv6Network)]
        merged = (*ipaddress.collapse_addresses(v4), *ipaddress.collapse_addresses(v6))
        return tuple(str(one) for one in merged)

    def __call__(self, address: IPAddress) -> bool:
        return any(
            address.version == one.version and address in one.network
            for one in self._interfaces
            if one.network.prefixlen
        )


def default_links() -> list[str]:
    """Interfaces with a default route, the preferred ones first."""
    with IPRoute() as ip:
        names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in ip.get_links()}
        found: dict[str, int] = {}
        for family in (socket.AF_INET, socket.AF_INET6):
            for route in ip.get_default_routes(family=family):
                name = names.get(route.get_attr("RTA_OIF"))
                if name:
                    found.setdefault(name, route.get_attr("RTA_PRIORITY") or 0)
        return sorted(found, key=lambda name: found[name])


def dead(links: Iterable[str]) -> frozenset[str]:
    """Those of the links by which nothing goes: no carrier (down, unplugged, gone) or no default
    route."""
    with IPRoute() as ip:
        alive = {
            link.get_attr("IFLA_IFNAME") for link in ip.get_links() if link.get_attr("IFLA_CARRIER")
        }
    return frozenset(links) - (alive & set(default_links()))


def sessions(links: Iterable[str]) -> dict[str, str]:
    """What tells one session of an uplink from the next: this boot, the interface, how often its
    carrier came, its addresses of IPv4. It stays the same when only the gateway begins anew."""
    boot = _BOOT.read_text(encoding="ascii").strip()
    with IPRoute() as ip:
        found = {link.get_attr("IFLA_IFNAME"): link for link in ip.get_links()}
        made = {}
        for name in set(links) & found.keys():
            link = found[name]
            ups = link.get_attr("IFLA_CARRIER_UP_COUNT")
            own = ip.get_addr(family=socket.AF_INET, index=link["index"])
            state = boot, link["index"], ups, sorted(str(_text(one)) for one in own)
            made[name] = blake2b(repr(state).encode(), digest_size=8).hexdigest()
    return made


def has_ipv6(links: Iterable[str]) -> bool:
    """Does one of the links have a default route of IPv6?"""
    wanted = set(links)
    with IPRoute() as ip:
        names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in ip.get_links()}
        routes = ip.get_default_routes(family=socket.AF_INET6)
        return any(names.get(route.get_attr("RTA_OIF")) in wanted for route in routes)
