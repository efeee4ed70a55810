"""What the router's kernel side is made from: settings in, nothing of the machine.

Names of interfaces go into rules and paths of ``/proc/sys``: they are parsed strictly here, once.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal

from tripgate.core import marks

_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class SpecError(OSError):
    """A value that no rule can be made from. One line that names it."""


@dataclass(frozen=True, slots=True)
class RouterSpec:
    """One gateway. Ports are its own: ``tproxy`` takes all TCP of the LAN, ``dns_open`` is the
    resolver of open devices, ``dns_closed`` the one that answers everyone, locally only.

    ``quic``: ``reject`` long headers on UDP/443, or ``count`` them like everything else.
    ``ssh``: from the LAN for everyone, for owners' devices, or for nobody.
    ``own``: networks of the box's own links. ``login``: the slot that may reach private networks
    and these, for a portal of the uplink's.
    ``v6``: IPv6 on the LAN at all; ``nat66``: translated on the uplink, like IPv4.
    """

    lan: str
    uplinks: tuple[str, ...]
    tproxy: int
    dns_open: int
    dns_closed: int
    portals: tuple[int, ...] = (80, 8088)
    proxies: tuple[int, ...] = ()
    quic: Literal["reject", "count"] = "reject"
    ssh: Literal["lan", "owner", "off"] = "lan"
    isolation: bool = False
    v6: bool = True
    nat66: bool = True
    own: tuple[str, ...] = ()
    login: int | None = None

    def __post_init__(self) -> None:
        for name in (self.lan, *self.uplinks):
            check_interface(name)
        if self.lan in self.uplinks:
            raise SpecError(f"{self.lan} cannot be LAN and uplink at once")
        for network in self.own:
            _check_network(network)
        if self.login is not None:
            check_slot(self.login)
        for port in (self.tproxy, self.dns_open, self.dns_closed, *self.portals, *self.proxies):
            if not 0 < port < 65536:
                raise SpecError(f"{port} is not a port: use 1 to 65535")


@dataclass(frozen=True, slots=True)
class Station:
    """A device as the kernel knows it: its slot's MAC addresses, and what it may do."""

    macs: frozenset[str] = frozenset()
    open: bool = False
    owner: bool = False

    def __post_init__(self) -> None:
        for mac in self.macs:
            if not _MAC.fullmatch(mac):
                raise SpecError(f"{mac!r} is not a MAC address: use aa:bb:cc:dd:ee:ff")


def _check_network(text: str) -> None:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise SpecError(f"{text!r} is not a network: use 192.0.2.0/24") from None


def check_interface(name: str) -> str:
    """``name``, when it is one of an interface (``SpecError``)."""
    if not _INTERFACE.fullmatch(name):
        raise SpecError(f"{name!r} is not the name of an interface")
    return name


def check_slot(slot: int) -> int:
    """``slot``, when it is one of a device (``SpecError``)."""
    if not marks.FIRST <= slot <= marks.LAST:
        raise SpecError(f"{slot} is not a slot: use {marks.FIRST} to {marks.LAST}")
    return slot
