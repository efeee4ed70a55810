"""Addresses and names of the network as settings write them: strict forms, one line when wrong.

Rules
1. A server listens at ``HOST:PORT``; without a host, or with ``*``, on every address of both
   families. ``off`` is no server.
2. A parser takes text, gives the value or its normal form, or raises ``ValueError`` whose text is
   the valid forms. It never repeats the value: the caller decides whether that may be shown.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self

EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - meant to be reached by the LAN
ENDPOINT_FORMS = "HOST:PORT, :PORT for every address, [::1]:PORT, or off"
INTERFACE_FORMS = "an interface, as in wlan0"
INTERFACES_FORMS = "an interface, several with commas between them (wwan0,usb0), or auto"
SUBNET_FORMS = "the gateway's address in a private IPv4 network, as in 10.77.0.1/24"

_HOSTS = {"": EVERY_ADDRESS, "*": EVERY_ADDRESS, "localhost": ("127.0.0.1", "::1")}
_PORT = re.compile(r"[0-9]{1,5}")
_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")  # IFNAMSIZ less the end


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens: ``port`` on each of ``hosts`` (addresses, without brackets)."""

    hosts: tuple[str, ...]
    port: int

    def __str__(self) -> str:
        """As an option would name it."""
        if self.hosts == EVERY_ADDRESS:
            return f":{self.port}"
        if len(self.hosts) > 1:
            return f"localhost:{self.port}"
        host = self.hosts[0]
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def clashes(self, other: Self) -> bool:
        """Would both bind one port of one address?"""
        if self.port != other.port:
            return False
        hosts = {*self.hosts, *other.hosts}
        return not hosts.isdisjoint(EVERY_ADDRESS) or len(hosts) < len(self.hosts + other.hosts)


def parse_endpoint(text: str) -> Endpoint | None:
    """Where to listen; ``None`` for ``off``."""
    if text == "off":
        return None
    host, colon, port = text.rpartition(":")
    if not (colon and _PORT.fullmatch(port) and 0 < int(port) < 65536):
        raise ValueError(ENDPOINT_FORMS)
    return Endpoint(_HOSTS.get(host) or (_host(host),), int(port))


def _host(text: str) -> str:
    bracketed = text.startswith("[") and text.endswith("]")
    try:
        address = ipaddress.ip_address(text[1:-1] if bracketed else text)
    except ValueError:
        raise ValueError(ENDPOINT_FORMS) from None
    if bracketed is not (address.version == 6):
        raise ValueError(ENDPOINT_FORMS)
    return str(address)


def check_interfaces(text: str) -> str:
    """One interface name or more (Linux allows 15 characters each), or ``auto``."""
    if not all(_INTERFACE.fullmatch(name) for name in text.split(",")):
        raise ValueError(INTERFACES_FORMS)
    return text


def check_interface(text: str) -> str:
    """One interface name."""
    if not _INTERFACE.fullmatch(text):
        raise ValueError(INTERFACE_FORMS)
    return text


def check_subnet(text: str) -> str:
    """An address of the gateway and its network's prefix, with room for two devices or more."""
    try:
        interface = ipaddress.IPv4Interface(text)
    except ValueError:
        raise ValueError(SUBNET_FORMS) from None
    if not interface.is_private or interface.network.prefixlen > 29:
        raise ValueError(SUBNET_FORMS)
    return str(interface)
