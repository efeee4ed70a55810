"""Segmentation on a link: nftables must see packets as they go over the wire.

It counts before software segmentation and after joining, one header for many segments.
``FileNotFoundError`` when the link is not there, ``CommandError`` for the rest.
"""

import json
import socket
from typing import Any

from tripgate.core.routerspec import check_interface
from tripgate.kernel.command import CommandError, run


def read_gso_max_segs(link: str) -> str:
    """The most segments of one packet."""
    _present(link)
    shown: list[dict[str, Any]] = json.loads(run(["ip", "-j", "-d", "link", "show", "dev", link]))
    return str(int(shown[0]["gso_max_segs"]))


def write_gso_max_segs(link: str, value: str) -> None:
    _present(link)
    run(["ip", "link", "set", "dev", link, "gso_max_segs", str(int(value))])


def read_gro(link: str) -> str:
    """``on`` or ``off``: whether received packets are joined."""
    _present(link)
    for line in run(["ethtool", "-k", link]).splitlines():
        name, _, value = line.partition(":")
        if name == "generic-receive-offload":
            return "on" if value.split()[0] == "on" else "off"
    raise CommandError(f"ethtool does not tell generic-receive-offload of {link}")


def write_gro(link: str, value: str) -> None:
    _present(link)
    run(["ethtool", "-K", link, "gro", "on" if value == "on" else "off"])


def _present(link: str) -> None:
    try:
        socket.if_nametoindex(check_interface(link))
    except OSError as error:
        raise FileNotFoundError(f"there is no interface {link}") from error
