"""The interfaces' own counters: the figure that everything else must add up to.

``/proc/thread-self/net/dev`` and an ioctl, not sysfs: both are of the thread's own network
namespace, however it got there.
"""

import contextlib
import fcntl
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

from tripgate.core.kernelreading import Count, parse_links
from tripgate.core.routerspec import check_interface

_DEVICES = Path("/proc/thread-self/net/dev")
_SIOCGIFHWADDR = 0x8927
_IFREQ = struct.Struct("16sH22x")


def link_type(name: str) -> int:
    """The interface's ARPHRD type. ``OSError`` when it is not there."""
    request = _IFREQ.pack(check_interface(name).encode(), 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket.fileno(), _SIOCGIFHWADDR, request)
    return int(_IFREQ.unpack(answer)[1])


def indexes(names: Iterable[str]) -> dict[str, int]:
    """The index of those of ``names`` that are there: an interface that was made anew has another
    (``netdevice(7)``)."""
    found = {}
    for name in names:
        with contextlib.suppress(OSError):
            found[name] = socket.if_nametoindex(name)
    return found


def newest() -> int:
    """The highest index of all interfaces: what comes later has a higher one."""
    return max((index for index, _ in socket.if_nameindex()), default=0)


def read_links(names: Iterable[str]) -> dict[str, Count]:
    """Bytes less link headers of those of ``names`` that are there; ARP is still in them."""
    types = {}
    for name in names:
        with contextlib.suppress(OSError):
            types[name] = link_type(name)
    return parse_links(_DEVICES.read_text(encoding="ascii"), types)
