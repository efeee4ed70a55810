"""Label values of metrics: bounded in number, clean, and without addresses.

Rules
1. ``MOST_DEVICES`` devices and ``MOST_SERVICES`` services are told apart, the rest is ``other``.
   Who came first keeps a label of its own for the life of the process, so that no counter jumps or
   falls when others come and go.
2. No value carries a hardware address, an IP address or a host name: devices are told by their
   stable id, and a given name that spells an address is not shown.
3. Control characters are taken out, and long names are cut.
"""

import re

MOST_DEVICES = 200
MOST_SERVICES = 64
LONGEST = 64
OTHER = "other"

_ADDRESS = re.compile(
    r"(?:[0-9a-f]{2}[:.-]?){5}[0-9a-f]{2}"  # EUI-48 in any of its spellings
    r"|[0-9]{1,3}(?:[.-][0-9]{1,3}){3}"  # IPv4
    r"|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}",  # IPv6
    re.IGNORECASE,
)


class Labels:
    """Who has a label of its own."""

    def __init__(self) -> None:
        self._devices: set[str] = set()
        self._services: set[str] = set()

    def device(self, device_id: str) -> str:
        return _bounded(device_id, self._devices, MOST_DEVICES)

    def service(self, name: str) -> str:
        return _bounded(name, self._services, MOST_SERVICES)


def _bounded(name: str, own: set[str], most: int) -> str:
    if name not in own and len(own) < most:
        own.add(name)
    return clean(name) if name in own else OTHER


def clean(name: str, instead: str = OTHER) -> str:
    """``name`` without control characters, at most ``LONGEST``; ``instead`` of an address."""
    text = "".join(char for char in name[: 2 * LONGEST] if char.isprintable())
    return instead if _ADDRESS.search(text) else text[:LONGEST]
